"""A timetable whose runs start within the send window."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any, Self

import pendulum
from airflow.timetables.base import DagRunInfo, DataInterval, Timetable

from airflow_provider_caixin.china_time import CHINA, in_china
from airflow_provider_caixin.compat import NOTSET, ArgNotSet
from airflow_provider_caixin.rules import ANY_TIME, SendWindow
from airflow_provider_caixin.settings.options import get_option

if TYPE_CHECKING:
    from airflow.timetables.base import TimeRestriction

_CONFIGURED_OFF = "none"
_MINUTE = timedelta(minutes=1)
_SECOND = timedelta(seconds=1)
_TICK = timedelta(microseconds=1)
# Airflow also asks while it parses the Dag, and that answer replaces a slot whose run the scheduler has yet
# to make.
_DUE = timedelta(minutes=1)


class SendWindowTimetable(Timetable):
    """Start a run every so many minutes, or by cron, within the daily hours of sending.

    Airflow's cron schedules start what they missed as soon as they can: a Dag that is un-paused at 22:33 runs
    its slot of 17:30 then. This one goes on at the next slot, tomorrow's first if need be; only with
    ``catchup=True`` are missed slots made up for; a slot counts as missed when its run is not made within a
    minute. It decides when runs start. That nothing leaves outside the window is for the operator to see to,
    also because a run that someone triggers starts at any hour.

    :param every: minutes, or a timedelta of whole minutes, from one slot to the next; a day's first slot is
        the opening.
    :param cron: slots as a cron expression of five fields, in Asia/Shanghai; those outside the window do not
        count. Either this or ``every``.
    :param send_window: daily hours in Asia/Shanghai such as ``"09:00-18:00"``; None: any time. Not given: the
        configuration's, else 09:00-18:00. A schedule knows no connection: where a connection has a window of
        its own, write it here, too.
    :raises ValueError: for an argument that cannot be right; names it and what was expected.
    """

    def __init__(
        self,
        every: int | timedelta | None = None,
        *,
        cron: str | None = None,
        send_window: SendWindow | str | ArgNotSet | None = NOTSET,
    ) -> None:
        if (every is None) == (cron is None):
            raise ValueError(
                f"every and cron: {'neither' if every is None else 'both'} given, expected exactly one of the two, such as "
                'every=30 (minutes) or cron="0 10 * * 1-5".'
            )
        self._window = _window(send_window)
        self._every = None if every is None else _interval(every, self._window)
        self._cron = None if cron is None else _expression(cron, self._window)

    @property
    def summary(self) -> str:
        """When runs start, in a few words for lists of Dags."""
        return f"{self._cron or f'every {self._every} min'} in {self._window}"

    @property
    def description(self) -> str:  # type: ignore[override]  # Airflow only reads it
        """When runs start, as a sentence."""
        slots = f'At "{self._cron}"' if self._cron else f"Every {self._every} minutes"
        return f"{slots}, within the send window {self._window} (Asia/Shanghai)"

    def serialize(self) -> dict[str, Any]:
        """Return the arguments as JSON has them, the configuration's window included."""
        return {"every": self._every, "cron": self._cron, "send_window": str(self._window)}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Self:
        """Make it again of what :meth:`serialize` returned."""
        return cls(**data)

    def infer_manual_data_interval(self, *, run_after: pendulum.DateTime) -> DataInterval:
        """Return the interval of a run that someone triggers, at any hour: the moment."""
        return DataInterval.exact(run_after)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the next slot; None: there is none."""
        bounds = [restriction.earliest]
        now = pendulum.now("UTC") - _DUE + _TICK
        if last_automated_data_interval is not None:
            bounds.append(last_automated_data_interval.end + _TICK)
        if not restriction.catchup:
            bounds.append(now)
        floor = max((bound for bound in bounds if bound is not None), default=None)
        if floor is None:
            return None
        slot = self._slot(floor)
        if restriction.latest is not None and slot > restriction.latest:
            return None
        return DagRunInfo.exact(slot)

    def _slot(self, floor: datetime) -> pendulum.DateTime:
        """Return the first slot that is not before a moment, in UTC as Airflow stores it."""
        moment = in_china(floor)
        slot = self._slot_of_interval(moment, self._every) if self._every else self._slot_of_cron(moment)
        return slot.in_timezone("UTC")

    def _slot_of_interval(self, moment: pendulum.DateTime, every: int) -> pendulum.DateTime:
        opens_next = self._window.next_opening(moment)
        if not self._window.contains(moment):
            return opens_next
        opened = opens_next.subtract(days=1)
        slots = math.ceil((moment - opened).total_seconds() / (60 * every))
        slot = opened.add(minutes=slots * every)
        return slot if slot < opens_next and self._window.contains(slot) else opens_next

    def _slot_of_cron(self, moment: pendulum.DateTime) -> pendulum.DateTime:
        # Airflow brings it; a timetable without cron does without.
        from croniter import croniter

        while True:
            # croniter counts from a moment that does not itself count, in whole seconds.
            whole = moment.replace(second=0, microsecond=0)
            start = (whole if whole == moment else whole + _MINUTE) - _SECOND
            naive: datetime = croniter(self._cron, start.naive()).get_next(datetime)
            slot = pendulum.instance(naive, tz=CHINA)
            if self._window.contains(slot):
                return slot
            moment = self._window.next_opening(slot)


def _window(given: SendWindow | str | ArgNotSet | None) -> SendWindow:
    if not isinstance(given, ArgNotSet | None):
        return SendWindow.parse(given)
    configured = (
        (get_option("send_window") or "").strip() if isinstance(given, ArgNotSet) else _CONFIGURED_OFF
    )
    if configured.lower() == _CONFIGURED_OFF:
        return ANY_TIME
    try:
        return SendWindow(configured)
    except ValueError as error:
        raise ValueError(f"[caixin] configuration: {error}") from None


def _interval(value: object, window: SendWindow) -> int:
    every = value / _MINUTE if isinstance(value, timedelta) else value
    opens = window.next_opening(datetime.now(CHINA))
    longest = (window.closes_at(opens) - opens).total_seconds() / 60
    if isinstance(every, bool) or not isinstance(every, int | float) or every % 1 or not 0 < every <= longest:
        raise ValueError(
            f"every {value!r} is not a number of minutes from 1 to the length of the send window {window}: give such a "
            "number, a timedelta of whole minutes, or cron."
        )
    return int(every)


def _expression(value: object, window: SendWindow) -> str:
    from croniter import CroniterError, croniter

    try:
        if not isinstance(value, str) or len(value.split()) != 5:
            raise CroniterError
        parsed = croniter(value)
        # Raises for a day that does not come, such as February 30.
        parsed.get_next()
    except CroniterError:
        raise ValueError(
            f'cron {value!r} is not a cron expression: expected five fields with times that come, such as "*/30 9-17 * * 1-5".'
        ) from None
    minutes, hours = (
        range(count) if field == ["*"] else map(int, field)
        for field, count in zip(parsed.expanded[:2], (60, 24), strict=True)
    )
    day = datetime(2000, 1, 1, tzinfo=CHINA)
    if not any(
        window.contains(day.replace(hour=hour, minute=minute)) for hour, minute in product(hours, minutes)
    ):
        raise ValueError(
            f"cron {value!r} has no time within the send window {window} (Asia/Shanghai): no run would ever start."
        )
    return " ".join(value.split())
