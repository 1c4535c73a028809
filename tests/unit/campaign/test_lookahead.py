"""How far ahead a run takes slots."""

from __future__ import annotations

import math
from itertools import cycle

import pytest

from airflow_provider_caixin.campaign.lookahead import (
    IDLE_SECONDS,
    JITTER_SECONDS,
    MOST_LEAD_SECONDS,
    REST_SECONDS,
    TICK_SECONDS,
    Lookahead,
    lead_of,
    reach_of,
    tick_seconds,
)
from airflow_provider_caixin.campaign.senders import LATE_SECONDS
from airflow_provider_caixin.ledger.queue.pacer import Pacer
from tests.unit.campaign.conftest import NOW, account

RATE = 294.0


def in_time(*commits: float) -> float:
    """Let commits take so long in turn for 10 s.

    Return which part of the rate's messages can leave when they are to.
    """
    pacer, now, lookahead, left = Pacer(account()), NOW, Lookahead(), 0
    for commit in cycle(commits):
        if now >= NOW + 10:
            return left / (RATE * 10)
        slots = pacer.slots(now, RATE, lookahead.lead, lookahead.reach, 1000)
        pacer.take(slots, RATE, lookahead.reach)
        left += sum(slot + LATE_SECONDS >= now + commit for slot in slots)
        lookahead = lookahead.after_commit(commit)
        now += max(TICK_SECONDS + JITTER_SECONDS, commit + REST_SECONDS) + 0.003
    raise AssertionError


@pytest.mark.parametrize("commit", [0.0, 0.010, 0.020, 0.030, 0.045, 0.060, 0.100, 0.300])
def test_no_slot_is_lost_between_ticks(commit: float) -> None:
    """However long a commit takes, one tick's slots end where the next one's begin.

    Also when that is a little late.
    """
    assert in_time(commit) >= 0.99 - commit / 10


@pytest.mark.parametrize("usual", [0.007, 0.020, 0.060])
def test_few_slots_are_lost_to_commits_that_take_longer(usual: float) -> None:
    """Each twentieth takes 30 ms more than usual."""
    assert in_time(*[usual] * 19, usual + 0.03) >= 0.98


def test_one_slow_commit_is_forgotten() -> None:
    """It does not keep slots far ahead for minutes, and none is as far as a lease."""
    lookahead = Lookahead(0.010).after_commit(5.0)
    assert lookahead.lead == MOST_LEAD_SECONDS
    for _ in range(500):
        lookahead = lookahead.after_commit(0.010)
    assert lookahead.lead < 0.015


@pytest.mark.parametrize("lead", [0.0, 0.010, TICK_SECONDS, 0.045, 0.100, MOST_LEAD_SECONDS])
def test_a_run_reaches_as_far_as_another_one_and_no_further(lead: float) -> None:
    """Reaching further would make the other one do so, too, and so on."""
    assert lead_of(reach_of(lead)) == pytest.approx(lead)


def test_slots_that_another_run_took_are_reached_for() -> None:
    """What this run left itself teaches nothing, nor what nobody has taken; a lead never shrinks by it."""
    mine = Lookahead(0.020, next_slot=NOW)
    far = reach_of(0.200)
    assert mine.after_none_free(NOW, far) is mine
    assert mine.after_none_free(NOW + 1, None) is mine
    assert mine.after_none_free(NOW + 1, far).lead == pytest.approx(0.200)
    assert Lookahead(0.300).after_none_free(NOW, far).lead == 0.300


@pytest.mark.parametrize(
    ("busy", "slot_in", "seconds"),
    [
        (True, math.inf, TICK_SECONDS + 0.004),
        (True, 0.1, TICK_SECONDS + 0.004),
        (False, math.inf, IDLE_SECONDS),
        (False, 0.1, 0.1),
        (False, 0.001, TICK_SECONDS),
        (False, -1.0, TICK_SECONDS),
    ],
)
def test_a_run_that_has_nothing_to_do_rests_until_the_next_slot(
    busy: bool, slot_in: float, seconds: float
) -> None:
    """And no longer than an idle one; a busy one ticks on, a little out of step with others."""
    assert tick_seconds(busy=busy, slot_in=slot_in, jitter=0.004) == pytest.approx(seconds)
