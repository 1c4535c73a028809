"""How far ahead a run takes slots."""

from __future__ import annotations

from itertools import cycle

import pytest

from airflow_provider_caixin.campaign.dispatcher import SPREAD
from airflow_provider_caixin.campaign.lookahead import (
    MOST_LEAD_SECONDS,
    REST_SECONDS,
    TICK_SECONDS,
    lead_of,
    learned,
    reach_of,
)
from airflow_provider_caixin.campaign.senders import LATE
from tests.unit.ledger.queue.test_pacer import NOW, pacer

RATE = 294.0


def in_time(*commits: float) -> float:
    """Let commits take so long in turn for 10 s; return which part of the rate's messages can leave when they are to."""
    row, now, lead, left = pacer(), NOW, 0.0, 0
    for commit in cycle(commits):
        if now >= NOW + 10:
            return left / (RATE * 10)
        slots = row.slots(now, RATE, lead, reach_of(lead), 1000)
        row.take(slots, RATE, reach_of(lead))
        left += sum(slot + LATE >= now + commit for slot in slots)
        lead = learned(lead, commit)
        now += max(TICK_SECONDS + SPREAD, commit + REST_SECONDS) + 0.003
    raise AssertionError


@pytest.mark.parametrize("commit", [0.0, 0.010, 0.020, 0.030, 0.045, 0.060, 0.100, 0.300])
def test_no_slot_is_lost_between_ticks(commit: float) -> None:
    """However long a commit takes, one tick's slots end where the next one's begin, also when that is a little late."""
    assert in_time(commit) >= 0.99 - commit / 10


@pytest.mark.parametrize("usual", [0.007, 0.020, 0.060])
def test_few_slots_are_lost_to_commits_that_take_longer(usual: float) -> None:
    """Each twentieth takes 30 ms more than usual."""
    assert in_time(*[usual] * 19, usual + 0.03) >= 0.98


def test_one_slow_commit_is_forgotten() -> None:
    """It does not keep slots far ahead for minutes, and none is as far as a lease."""
    lead = learned(0.010, 5.0)
    assert lead == MOST_LEAD_SECONDS
    for _ in range(500):
        lead = learned(lead, 0.010)
    assert lead < 0.015


@pytest.mark.parametrize("lead", [0.0, 0.010, TICK_SECONDS, 0.045, 0.100, MOST_LEAD_SECONDS])
def test_a_run_reaches_as_far_as_another_one_and_no_further(lead: float) -> None:
    """Reaching further would make the other one do so, too, and so on."""
    assert lead_of(reach_of(lead)) == pytest.approx(lead)
