"""What Airflow may show of an audience: how many, and a few of them masked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any

_SAMPLES = 3


class Recipients:
    """
    The rendered ``mobiles`` of a task.

    Airflow stores the value of every template field in its database, rebuilding lists item by item, but asks an object that
    has ``serialize`` what to store.

    :param value: the numbers as they were given; only ``execute`` takes them out again.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def serialize(self) -> str:
        """Describe the numbers as a count and masked samples."""
        # Here and not above: Dag files import this module, and the audience package reads its number data.
        from airflow_provider_caixin.audience import AudienceError, audience_from, mask, normalise

        value = self.value
        if isinstance(value, (str, int, float)):
            try:
                value = list(audience_from(value))
            except AudienceError:
                value = None
        if not isinstance(value, Collection) or isinstance(value, (bytes, bytearray, Mapping)):
            return f"a {type(self.value).__name__}"
        numbers = [normalise(item) for item in islice(value, _SAMPLES)]
        samples = [mask(number) if number else "***" for number in numbers]
        if len(value) > _SAMPLES:
            samples.append("...")
        count = f"{len(value)} number{'' if len(value) == 1 else 's'}"
        return f"{count}: {', '.join(samples)}" if samples else count

    def __repr__(self) -> str:
        return f"<{self.serialize()}>"
