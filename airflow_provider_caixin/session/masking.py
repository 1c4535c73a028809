"""What Airflow may show of recipients, or of what they are made from: how many, and a few of them masked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any, Final, Self

_SAMPLES: Final = 3
# As many digits as a number has, in whatever spelling.
_DIGITS: Final = 11


class Masked:
    """A rendered value that only its task sees: Airflow stores and shows what ``serialize`` returns."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    @classmethod
    def of(cls, value: Any) -> Self:
        """Mask a value, unless it is masked."""
        return value if isinstance(value, cls) else cls(value)

    def serialize(self) -> Any:
        """Return what is shown of the value: its type and size."""
        value = self.value
        size = f" of {len(value)}" if isinstance(value, Collection) and not isinstance(value, str) else ""
        return f"a {type(value).__name__}{size}"

    def __repr__(self) -> str:
        return f"<{self.serialize()}>"


class MaskedNumbers(Masked):
    """The rendered ``mobiles`` of a task."""

    __slots__ = ()

    def serialize(self) -> str:
        """Return a count and masked samples."""
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


class MaskedArgument(Masked):
    """A rendered argument of a function that makes an audience: it may be numbers, too, or hold some."""

    __slots__ = ()

    @classmethod
    def each(cls, values: Any) -> Any:
        """Mask a function's arguments, a sequence of them or a mapping by name."""
        if isinstance(values, Mapping):
            return {name: cls.of(value) for name, value in values.items()}
        return [cls.of(value) for value in values]

    def serialize(self) -> Any:
        """Return a plain value that is too short to hold a number, and of any other what it is."""
        value = self.value
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (str, int, float)) and sum(map(str.isdigit, str(value))) < _DIGITS:
            return value
        return super().serialize()


def unmasked(value: Any) -> Any:
    """Return a rendered value itself, masked or not."""
    return value.value if isinstance(value, Masked) else value
