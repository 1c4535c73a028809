"""Metrics of campaigns, for whatever Airflow's ``[metrics]`` section sends them to.

::

    caixin.sent, caixin.unknown   counters: messages accepted; messages of which it is not known
    caixin.rejected.CODE          counter for each code of the gateway; codes outside its document are OTHER
    caixin.skipped.REASON         counter for each skip reason
    caixin.pending                gauge: recipients that the campaign has yet to send to
    caixin.rate                   gauge: messages a second lately
    caixin.lag                    gauge: messages a second that the sending falls behind its allowed rate
    caixin.load, caixin.send      timers: how long the audience was loaded, and messages were sent
    caixin.window.closed          counter: runs that found the window closed, or closing
    caixin.window.wait            timer: how long it then is until the opening

Each counter counts what its own process brought about: attempts of a task, and tasks that share a campaign,
add up. The one tag is ``conn_id``; a gauge of several campaigns on one connection is that of the last one
that sent it.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_caixin.juhe import CODES
from airflow_provider_caixin.vocabulary import State

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from airflow_provider_caixin.campaign import Campaign, Outcome, Progress


class CampaignMetrics:
    """Send the metrics of one run, during it and at its end; ``log`` gets one warning if that fails."""

    def __init__(self, campaign: Campaign, conn_id: str, log: logging.Logger | Logger) -> None:
        self._campaign = campaign
        self._tags = {"conn_id": conn_id}
        self._log = log
        self._sent: Counter[Outcome] = Counter()
        self._warned = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._count()

    def beside(self, tell: Callable[[Progress], None]) -> Callable[[Progress], None]:
        """Return a function that hands progress to another one and sends it as metrics."""

        def both(progress: Progress) -> None:
            tell(progress)
            self._count()
            left = progress.pending + progress.in_flight
            self._try("gauge", "caixin.pending", left)
            self._try("gauge", "caixin.rate", progress.rate)
            lag = max(0.0, self._campaign.plan.rate - progress.rate) if left else 0.0
            self._try("gauge", "caixin.lag", round(lag, 1))

        return both

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Send how long a part of the run takes, ``load`` or ``send``, however it ends."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._try("timing", f"caixin.{what}", timedelta(seconds=time.monotonic() - began))

    def window_closed(self, opens_at: datetime) -> None:
        """Send that messages wait for the window, and how long."""
        self._try("incr", "caixin.window.closed")
        self._try("timing", "caixin.window.wait", opens_at - datetime.now(UTC))

    def _count(self) -> None:
        """Send what came since the last time."""
        outcomes = self._campaign.outcomes.copy()
        for (state, detail), number in (outcomes - self._sent).items():
            self._try("incr", _name(state, detail), number)
        self._sent = outcomes

    def _try(self, how: str, name: str, *values: Any) -> None:
        """Send a metric; a campaign does not stop because that fails."""
        try:
            # The client is made when Stats is first asked for a method of it.
            getattr(Stats, how)(name, *values, tags=self._tags)
        except Exception as error:  # noqa: BLE001
            if not self._warned:
                self._warned = True
                self._log.warning("Metrics cannot be sent: %s", error)


def _name(state: State, detail: str) -> str:
    # In the name and not in a tag: plain StatsD has none.
    if state is State.REJECTED:
        detail = detail if detail.isdigit() and int(detail) in CODES else "OTHER"
    return f"caixin.{state.value}{f'.{detail}' if detail else ''}"
