"""How far ahead a run takes its slots, and how long it rests between ticks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

TICK_SECONDS: Final = 0.04
# A tick is so much longer or shorter by chance: in step with another run, one of the two would find few slots
# for long.
JITTER_SECONDS: Final = 0.01
# A run with nothing to do looks so often.
IDLE_SECONDS: Final = 0.25
# Between ticks that take long: SQLite does not queue for its lock, and whoever always has it lets nobody else
# in.
REST_SECONDS: Final = 0.02
AHEAD_SECONDS: Final = 0.06
MOST_LEAD_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Lookahead:
    """What a run has learned about how far ahead it takes its slots.

    :param lead: how far ahead a tick's first slot lies at the least, in seconds: what a commit takes. 0:
        nothing is known yet.
    :param next_slot: the account's next slot as this run left it; where it is another one, another run took
        some.
    """

    lead: float = 0.0
    next_slot: float = 0.0

    @property
    def reach(self) -> float:
        """How far ahead a tick may take its last slot, in seconds."""
        return reach_of(self.lead)

    def after_commit(self, took: float) -> Lookahead:
        """Return what is known after a commit, so that one commit in twenty is late or so.

        Up quickly and down slowly: a slot that a late commit misses is lost, and one taken earlier than
        needed is not.

        :param took: seconds.
        """
        weight = 0.01 if took < self.lead else 0.2 if self.lead else 1.0
        return replace(self, lead=min(MOST_LEAD_SECONDS, self.lead + weight * (took - self.lead)))

    def after_none_free(self, next_slot: float, reach: float | None) -> Lookahead:
        """Return what is known after a tick that found no slot free.

        A run whose ledger is far away takes slots further ahead: without its reach another one finds none.

        :param next_slot: the account's.
        :param reach: how far ahead the last slots were taken, by whichever run; None: nobody took any.
        """
        if reach is None or next_slot == self.next_slot:
            return self
        return replace(self, lead=max(self.lead, lead_of(reach)))


def reach_of(lead: float) -> float:
    """Return how far ahead a tick may take its last slot.

    Slots before the commit would be late, so each tick's first one is a commit away. Its last one is as far
    behind as the next tick is, and a little more: what neither of them takes is lost to the rate.
    """
    return lead + max(TICK_SECONDS, lead + REST_SECONDS) + AHEAD_SECONDS - TICK_SECONDS


def lead_of(reach: float) -> float:
    """Return which lead has a reach: the inverse of :func:`reach_of`."""
    ticks = reach - (AHEAD_SECONDS - TICK_SECONDS)
    lead = ticks - TICK_SECONDS if ticks < 2 * TICK_SECONDS - REST_SECONDS else (ticks - REST_SECONDS) / 2
    return min(MOST_LEAD_SECONDS, max(0.0, lead))


def tick_seconds(*, busy: bool, slot_in: float, jitter: float) -> float:
    """Return how long after the beginning of a tick the next one is due.

    :param busy: something was claimed or settled, or is out.
    :param slot_in: in how many seconds the next slot comes into reach.
    :param jitter: of chance, between ``-JITTER_SECONDS`` and ``JITTER_SECONDS``.
    """
    return TICK_SECONDS + jitter if busy else max(TICK_SECONDS, min(IDLE_SECONDS, slot_in))
