"""How far a campaign is, and how it ended, in the task's log and its state store."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from airflow_provider_caixin.campaign import Counts, Progress

_OFTEN_FOR_SECONDS: Final = 10.0
_OFTEN_SECONDS: Final = 1.0
_SELDOM_SECONDS: Final = 10.0
# Updates come about once a second; one that is a little early must not wait for the next.
_EARLY_SECONDS: Final = 0.2

STATE_KEY: Final = "progress"


class ProgressLog:
    """Logs progress every second at first, then every 10 s; keeps the counts in Airflow's task state store.

    Called in the main thread, because a write to the store takes some 13 ms and uses the task's only channel
    to Airflow.

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
        """Log and keep the counts as they are now, as often as is due."""
        now = self._clock() + _EARLY_SECONDS
        if now >= self._log_due:
            self._log_due = (
                now
                + (_OFTEN_SECONDS if now - self._started < _OFTEN_FOR_SECONDS else _SELDOM_SECONDS)
                - _EARLY_SECONDS
            )
            self._log.info("%s", sentence(progress))
        if self._store is not None and now >= self._store_due:
            self._store_due = now + _SELDOM_SECONDS - _EARLY_SECONDS
            self._keep(progress)

    def _keep(self, progress: Progress) -> None:
        try:
            self._store.set(STATE_KEY, progress.as_dict())
        except Exception as error:  # noqa: BLE001  # a campaign does not stop because it cannot be watched
            if not self._warned:
                self._warned = True
                self._log.warning("Progress cannot be kept in the task state store: %s", error)


def sentence(progress: Progress) -> str:
    """Return in a line how far a campaign is."""
    left = progress.pending + progress.in_flight
    eta = "" if progress.eta is None or not left else f", about {duration(progress.eta)} to go"
    return (
        f"{progress.total - left:,} of {progress.total:,} done: {progress.sent:,} sent, {progress.rejected:,} rejected, "
        f"{progress.unknown:,} unknown, {progress.skipped:,} skipped; {left:,} left at {progress.rate:.1f}/s{eta}"
    )


def duration(seconds: float) -> str:
    """Return a length of time as it is written: ``45 s``, ``4 min 58 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"


def log_counts(log: logging.Logger | Logger, counts: Counts) -> None:
    """Log in a line how a run ended, and what about it should be looked at."""
    log.info(
        "Campaign %s, %d recipients: %d sent, %s rejected, %d unknown, %s skipped, %d pending.",
        counts.campaign_id,
        counts.total,
        counts.sent,
        _by_reason(counts.rejected),
        counts.unknown,
        _by_reason(counts.skipped),
        counts.pending,
    )
    if counts.mostly_invalid:
        log.warning("%s", counts.mostly_invalid)
    if counts.would_send is not None:
        log.info("Dry run: nothing was sent; %d recipients would get the message.", counts.would_send)
    elif not counts.sent and counts.total != 1:
        log.warning("None of the %d recipients got the message.", counts.total)


def _by_reason(counts: Counter[str]) -> str:
    details = ", ".join(f"{reason}: {number}" for reason, number in counts.most_common())
    return f"{counts.total()} ({details})" if details else "0"
