"""How far a campaign is, told in the task's log and its state store."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from airflow_provider_caixin.campaign import Progress

_OFTEN_FOR: Final = 10.0
_OFTEN: Final = 1.0
_SELDOM: Final = 10.0
# Updates come about once a second; one that is a little early must not wait for the next.
_EARLY: Final = 0.2

STATE_KEY: Final = "progress"


class ProgressLog:
    """
    Logs progress every second at first and every 10 s later; keeps the counts in Airflow's task state store.

    Called in the main thread, because a write to the store takes some 13 ms and uses the task's only channel to Airflow.

    :param log: the task's log.
    :param store: the task state store (Airflow 3.3 and later), or None.
    :param clock: seconds of a clock that never goes back.
    """

    def __init__(
        self, log: logging.Logger | Logger, store: Any = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._store = store
        self._clock = clock
        self._started = clock()
        self._log_due = self._store_due = self._started
        self._warned = False

    def __call__(self, progress: Progress) -> None:
        """
        Take note of the counts as they are now.

        :param progress: the campaign's counts, rate and time to go.
        """
        now = self._clock() + _EARLY
        if now >= self._log_due:
            self._log_due = now + (_OFTEN if now - self._started < _OFTEN_FOR else _SELDOM) - _EARLY
            self._log.info("%s", sentence(progress))
        if self._store is not None and now >= self._store_due:
            self._store_due = now + _SELDOM - _EARLY
            self._keep(progress)

    def _keep(self, progress: Progress) -> None:
        try:
            self._store.set(STATE_KEY, progress.as_dict())
        except Exception as error:  # noqa: BLE001  # a campaign does not stop because nobody can watch it
            if not self._warned:
                self._warned = True
                self._log.warning("Progress cannot be kept in the task state store: %s", error)


def sentence(progress: Progress) -> str:
    """
    Say in a line how far a campaign is.

    :param progress: the campaign's counts.
    """
    left = progress.pending + progress.in_flight
    eta = "" if progress.eta is None or not left else f", about {duration(progress.eta)} to go"
    return (
        f"{progress.total - left:,} of {progress.total:,} done: {progress.sent:,} sent, {progress.rejected:,} rejected, "
        f"{progress.unknown:,} unknown, {progress.skipped:,} skipped; {left:,} left at {progress.rate:.1f}/s{eta}"
    )


def duration(seconds: float) -> str:
    """
    Write a length of time for people: ``45 s``, ``4 min 58 s``, ``2 h 05 min``.

    :param seconds: the length.
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"
