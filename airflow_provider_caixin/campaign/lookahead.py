"""How far ahead a tick takes its slots."""

from __future__ import annotations

from typing import Final

TICK_SECONDS: Final = 0.04

AHEAD_SECONDS: Final = 0.06

# Between ticks that take long: SQLite does not queue for its lock, and whoever always has it lets nobody else in.
REST_SECONDS: Final = 0.02

MOST_LEAD_SECONDS: Final = 0.5


def reach_of(lead: float) -> float:
    """
    Say how far ahead a tick may take its last slot.

    Slots before the commit would be late, so each tick's first one is a commit away. Its last one is as far behind as the
    next tick is, and a little more: what neither of them takes is lost to the rate.

    :param lead: the time that a commit takes, where it takes long.
    """
    return lead + max(TICK_SECONDS, lead + REST_SECONDS) + AHEAD_SECONDS - TICK_SECONDS


def lead_of(reach: float) -> float:
    """
    Say which lead has a reach: the inverse of :func:`reach_of`.

    :param reach: how far ahead a tick took its last slot.
    """
    ticks = reach - (AHEAD_SECONDS - TICK_SECONDS)
    lead = ticks - TICK_SECONDS if ticks < 2 * TICK_SECONDS - REST_SECONDS else (ticks - REST_SECONDS) / 2
    return min(MOST_LEAD_SECONDS, max(0.0, lead))


def learned(lead: float, took: float) -> float:
    """
    Learn from a commit how far ahead slots are to be taken, so that one commit in twenty is late or so.

    Up quickly and down slowly: a slot that a late commit misses is lost, and one taken earlier than needed is not.

    :param lead: what was reckoned with; 0: nothing yet.
    :param took: what the commit took.
    """
    weight = 0.01 if took < lead else 0.2 if lead else 1.0
    return min(MOST_LEAD_SECONDS, lead + weight * (took - lead))
