"""Why recipients were skipped and rejected, counted no more often than it is worth."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.rows import tally as tallies
from airflow_provider_caixin.ledger.views.campaigns import Summary
from airflow_provider_caixin.vocabulary import Status

#: A count is good for so many times as long as it took.
GOOD_FOR_TIMES: Final = 20
KEPT_SECONDS: Final = 2.0
MOST_KEPT: Final = 500


@dataclass(slots=True)
class Tally:
    """A campaign's skipped recipients by reason, and its rejected ones by code.

    :param as_of: when they were counted, in seconds since the epoch.
    """

    skipped: dict[str, int] = field(default_factory=dict)
    rejected: dict[int | None, int] = field(default_factory=dict)
    as_of: float = 0.0


@dataclass(slots=True)
class _Kept:
    lock: threading.Lock = field(default_factory=threading.Lock)
    tally: Tally | None = None
    #: What the campaign's row said then; a campaign that has ended and says the same is not counted again.
    stamp: object = None
    until: float = 0.0


_kept: OrderedDict[tuple[str, int], _Kept] = OrderedDict()
_guard = threading.Lock()


def tally(ledger: Ledger, campaign: Summary, status: Status) -> Tally:
    """Count, or return the last count while it is good enough."""
    if not campaign.skipped and not campaign.rejected:
        return Tally(as_of=time.time())
    # Only a run changes outcomes without changing their number, and it leaves its last tick in active_at.
    stamp = (campaign.skipped, campaign.rejected, campaign.active_at, campaign.loaded_at, campaign.purged_at)
    with _guard:
        place = ledger.uuid, campaign.key
        kept = _kept.setdefault(place, _Kept())
        _kept.move_to_end(place)
        while len(_kept) > MOST_KEPT:
            _kept.popitem(last=False)
    # Whoever comes while another one counts takes the last count.
    if not kept.lock.acquire(blocking=kept.tally is None) and kept.tally is not None:
        return kept.tally
    try:
        moving = status in (Status.RUNNING, Status.LOADING)
        good = time.monotonic() < kept.until if moving else kept.stamp == stamp
        if kept.tally is None or not good:
            began = time.monotonic()
            with ledger.reading() as connection:
                skipped, rejected = tallies.outcomes(connection, campaign.key)
            kept.tally, kept.stamp = Tally(skipped, rejected, time.time()), stamp
            ended = time.monotonic()
            kept.until = ended + max(KEPT_SECONDS, GOOD_FOR_TIMES * (ended - began))
        return kept.tally
    finally:
        kept.lock.release()


def forget() -> None:
    """Count anew at the next look."""
    with _guard:
        _kept.clear()
