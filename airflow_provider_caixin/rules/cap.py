"""The frequency cap: how many messages one recipient may get per day and per week."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from airflow_provider_caixin.china_time import DAY_SECONDS, china_midnight

_EXPECTED: Final = (
    'expected "member_marketing" (1 a day), "games_health" (1 a day and 3 a week), '
    'FrequencyCap(per_day=, per_week=, rolling=), {"per_day": 1, "per_week": 3} or None (no cap)'
)


@dataclass(frozen=True, slots=True)
class FrequencyCap:
    """How many messages one recipient may get.

    The gateway's document: 会员营销 1条/日; 游戏、保健品等 1条/日, 3条/周. It does not say what a day is, so
    days are calendar days in Asia/Shanghai and a week is any 7 consecutive ones; ``rolling`` counts 24 hours
    and 7 x 24 hours instead.

    :param per_day: messages a day, at least 1; None: no daily limit.
    :param per_week: messages in any 7 days, at least 1; None: no weekly limit.
    :param rolling: count back from the moment of sending and not by calendar days.
    :raises ValueError: for a limit below 1, or when neither is given.
    """

    per_day: int | None = 1
    per_week: int | None = None
    rolling: bool = False

    def __post_init__(self) -> None:
        for name in ("per_day", "per_week"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(
                    f"frequency_cap: {name}={value!r} is not a number of messages from 1; {_EXPECTED}."
                )
        if self.per_day is None and self.per_week is None:
            raise ValueError(f"frequency_cap: neither per_day nor per_week is given; {_EXPECTED}.")
        if not isinstance(self.rolling, bool):
            raise ValueError(f"frequency_cap: rolling={self.rolling!r} is not True or False; {_EXPECTED}.")

    @classmethod
    def parse(cls, value: FrequencyCap | str | Mapping[str, object]) -> FrequencyCap:
        """Return the cap that an argument, a connection extra or a configuration option gives.

        :param value: a cap, one of the two presets' names, a mapping of the fields, or that mapping as JSON.
        :raises ValueError: when it is none of these.
        """
        if isinstance(value, FrequencyCap):
            return value
        if isinstance(value, str):
            if value in PRESETS:
                return PRESETS[value]
            try:
                value = json.loads(value)
            except ValueError:
                raise ValueError(f"frequency_cap {value!r} is not known: {_EXPECTED}.") from None
        if not isinstance(value, Mapping) or not value or set(value) - {"per_day", "per_week", "rolling"}:
            raise ValueError(f"frequency_cap {value!r} is not known: {_EXPECTED}.")
        return cls(**{"per_day": None, **value})  # type: ignore[arg-type]  # __post_init__ checks each field

    def since(self, now: float) -> float:
        """Return the moment since which messages count at ``now``; both are in seconds since the epoch."""
        return self._start(now, 7 if self.per_week is not None else 1)

    def allows(self, now: float, earlier: Iterable[float]) -> bool:
        """Return whether one more message may leave.

        :param now: the moment of sending, in seconds since the epoch.
        :param earlier: the moments of this recipient's messages so far, in any order.
        """
        moments = list(earlier)
        return all(
            sum(moment >= self._start(now, days) for moment in moments) < limit
            for limit, days in ((self.per_day, 1), (self.per_week, 7))
            if limit is not None
        )

    def looser_than(self, other: FrequencyCap) -> bool:
        """Return whether this cap lets pass what the other one would stop."""
        return any(mine > others for mine, others in zip(self._limits, other._limits, strict=True))

    @property
    def _limits(self) -> tuple[int, int]:
        """The most messages that the cap allows in a day and in a week."""
        day = min(limit for limit in (self.per_day, self.per_week) if limit is not None)
        return day, min(self.per_week or 7 * day, 7 * day)

    def _start(self, now: float, days: int) -> float:
        if self.rolling:
            return now - days * DAY_SECONDS
        return china_midnight(now) - (days - 1) * DAY_SECONDS


PRESETS: Final[Mapping[str, FrequencyCap]] = {
    "member_marketing": FrequencyCap(per_day=1),
    "games_health": FrequencyCap(per_day=1, per_week=3),
}
