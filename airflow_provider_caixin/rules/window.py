"""The send window: the daily hours, in Asia/Shanghai, in which a message may leave."""

from __future__ import annotations

import re
from datetime import datetime, time

import pendulum

from airflow_provider_caixin.china_time import DAY_SECONDS, in_china, seconds_of_day

#: Nothing leaves in the first seconds of the window, because hosts' clocks differ.
OPENING_GUARD_SECONDS = 2.0
#: Nothing leaves in the last seconds of the window, and in a whole timeout before these.
CLOSING_GUARD_SECONDS = 5.0

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_EXPECTED = 'expected "HH:MM-HH:MM" (or HH:MM:SS) in Asia/Shanghai, such as "09:00-18:00" or "00:00-24:00"'


class SendWindow:
    """Daily hours in which sending is allowed, ``opens`` included and ``closes`` excluded, in Asia/Shanghai.

    The gateway's document says 早九晚六 (09:00-18:00) and answers no error outside it, so the window is
    kept here. China has had no summer time since 1991; every day is as long as the other.

    :param opens: the opening as ``"HH:MM"``, ``"HH:MM:SS"`` or :class:`datetime.time`, or the whole window
        as text, ``"09:00-18:00"``.
    :param closes: the closing, later the same day; ``"24:00"`` is the end of the day. Left out when ``opens``
        is the whole window.
    :raises ValueError: for a time that does not exist (``25:99``), a window that ends before it begins
        (``18:00-09:00``) or one that is empty.
    """

    __slots__ = ("_closes", "_opens")

    def __init__(self, opens: str | time, closes: str | time | None = None) -> None:
        if closes is None:
            if not isinstance(opens, str) or opens.count("-") != 1:
                raise ValueError(f"send_window {opens!r} is not a window: {_EXPECTED}.")
            opens, closes = opens.split("-")
        self._opens = _seconds(opens)
        self._closes = _seconds(closes)
        if self._opens == self._closes:
            raise ValueError(
                f'send_window "{self}" is empty: {_EXPECTED}; for sending at any time give None or "00:00-24:00".'
            )
        if self._opens > self._closes:
            raise ValueError(
                f'send_window "{self}" ends before it begins: {_EXPECTED}; a window over midnight is not supported.'
            )

    @classmethod
    def parse(cls, value: SendWindow | str) -> SendWindow:
        """Return the window that an argument, a connection extra or a configuration option gives.

        :raises ValueError: for a text that is no window.
        """
        return value if isinstance(value, SendWindow) else cls(value)

    @property
    def all_day(self) -> bool:
        """Whether the window never closes: at midnight, which is guarded like any closing, it opens again."""
        return self._closes - self._opens == DAY_SECONDS

    def contains(self, moment: datetime) -> bool:
        """Return whether the window is open; a moment without a zone is taken as Asia/Shanghai."""
        local = in_china(moment)
        return self._opens <= (local - local.start_of("day")).total_seconds() < self._closes

    def next_opening(self, moment: datetime) -> pendulum.DateTime:
        """Return the first opening after a moment; while the window is open, that of the next day."""
        local = in_china(moment)
        opening = local.start_of("day").add(seconds=self._opens)
        return opening if opening > local else opening.add(days=1)

    def closes_at(self, moment: datetime) -> pendulum.DateTime:
        """Return the first closing after a moment: today's, or the one after the next opening."""
        local = in_china(moment)
        closing = local.start_of("day").add(seconds=self._closes)
        return closing if closing > local else closing.add(days=1)

    def seconds_to_post(self, now: float, timeout: float) -> float:
        """Return the seconds until a request may leave, with a margin on both sides of the window; 0 is now.

        The gateway may take a whole ``timeout`` to accept a message. The margins hold at midnight, too, where
        a day's caps and volume end. This is plain arithmetic, because every request asks.

        :param now: when the request would be written, in seconds since the epoch.
        :param timeout: seconds that an answer may take.
        """
        into = seconds_of_day(now)
        first, last = self._opens + OPENING_GUARD_SECONDS, self._closes - CLOSING_GUARD_SECONDS - timeout
        if first <= into <= last:
            return 0.0
        return first - into if into < first else first - into + DAY_SECONDS

    def usable_seconds(self, timeout: float) -> float:
        """Return how many seconds of a day are left for sending; an answer may take ``timeout`` seconds."""
        guards = OPENING_GUARD_SECONDS + CLOSING_GUARD_SECONDS + timeout
        return max(0.0, self._closes - self._opens - guards)

    def __str__(self) -> str:
        return f"{_text(self._opens)}-{_text(self._closes)}"

    def __repr__(self) -> str:
        return f'SendWindow("{self}")'

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SendWindow):
            return NotImplemented
        return (self._opens, self._closes) == (other._opens, other._closes)

    def __hash__(self) -> int:
        return hash((self._opens, self._closes))


def _seconds(value: str | time) -> int:
    if isinstance(value, time):
        return value.hour * 3600 + value.minute * 60 + value.second
    found = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    if found:
        hours, minutes, seconds = (int(part or 0) for part in found.groups())
        if minutes < 60 and seconds < 60 and hours * 3600 + minutes * 60 + seconds <= DAY_SECONDS:
            return hours * 3600 + minutes * 60 + seconds
    raise ValueError(f"send_window: {value!r} is not a time of day: {_EXPECTED}.")


def _text(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    minutes, second = divmod(rest, 60)
    return f"{hours:02}:{minutes:02}" + (f":{second:02}" if second else "")


#: What None stands for.
ANY_TIME = SendWindow("00:00-24:00")
