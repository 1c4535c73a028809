from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_caixin.china_time import DAY_SECONDS
from airflow_provider_caixin.ledger.queue.pacer import SLOWEST_PACE
from tests.unit.ledger.account_rows import NOW, pacer


def test_slots_are_one_gap_apart_and_one_tick_ahead_at_most() -> None:
    """At 100/s a tick of 50 ms has slots at 0, 10, ... 50 ms."""
    slots = pacer().slots(NOW, 100.0, 0.0, 0.05, 99)
    assert slots == pytest.approx([NOW + 0.01 * index for index in range(6)])
    assert pacer().slots(NOW, 100.0, 0.0, 0.05, 2) == slots[:2]
    assert pacer().slots(NOW, 100.0, 0.0, 0.05, 0) == []


def test_what_is_not_used_is_not_taken() -> None:
    """Only used slots move the account's next one."""
    row = pacer()
    slots = row.slots(NOW, 100.0, 0.0, 0.05, 99)
    row.take(slots[:2], 100.0, 0.05)
    assert row.account.next_slot == pytest.approx(slots[2])
    assert row.account.day_count == 2
    row.take([], 100.0, 0.05)
    assert row.account.next_slot == pytest.approx(slots[2])


@given(st.lists(st.tuples(st.floats(0, 0.2), st.integers(0, 20)), min_size=5, max_size=80), st.floats(1, 300))
def test_no_sliding_second_has_more_slots_than_the_rate(ticks: list[tuple[float, int]], rate: float) -> None:
    """Whoever ticks whenever, the slots that are taken keep the rate."""
    row, now, taken = pacer(), NOW, []
    for pause, wanted in ticks:
        now += pause
        slots = row.slots(now, rate, 0.0, 0.05, wanted)
        assert all(now <= slot <= now + 0.05 for slot in slots)
        row.take(slots, rate, 0.05)
        taken += slots
    assert all(later - earlier >= 1 / rate - 1e-6 for earlier, later in itertools.pairwise(taken))


def test_a_clock_that_went_back_does_not_stop_the_pacer() -> None:
    """A next slot an hour ahead is a clock's fault; one second ahead is a slow rate's."""
    row = pacer(next_slot=NOW + 3600)
    assert row.slots(NOW, 100.0, 0.0, 0.05, 1) == [NOW]
    slow = pacer(next_slot=NOW + 5)
    assert slow.slots(NOW, 0.2, 0.0, 0.05, 1) == []
    assert slow.account.next_slot == NOW + 5


def test_ten_failures_halve_the_rate_until_one_gets_through() -> None:
    """The tenth failure in a row halves it, the first success restores it."""
    row = pacer()
    for _ in range(9):
        row.channel_failed()
    assert row.rate(294.0) == 294.0
    row.channel_failed()
    assert row.rate(294.0) == 147.0
    row.got_through(NOW)
    assert row.rate(294.0) == 294.0
    assert row.account.last_sent_at == NOW


def test_10011_halves_the_pace_once_a_second_and_it_comes_back() -> None:
    """A storm of 10011 counts once; five quiet seconds bring a quarter back."""
    row = pacer()
    for _ in range(20):
        row.slow_down(NOW)
    assert row.rate(294.0) == 147.0
    row.slow_down(NOW + 1)
    assert row.rate(294.0) == 73.5
    row.speed_up(NOW + 5)
    assert row.account.pace == 0.25
    row.speed_up(NOW + 6)
    assert row.account.pace == 0.3125
    for second in range(11, 80, 5):
        row.speed_up(NOW + second)
    assert row.account.pace == 1.0


def test_the_lowest_pace_is_remembered_since_when() -> None:
    """Five minutes at it end a run; speeding up forgets it."""
    row = pacer()
    for second in range(10):
        row.slow_down(NOW + second)
    assert row.account.pace == SLOWEST_PACE
    assert row.account.slowest_since == NOW + 5
    row.speed_up(NOW + 20)
    assert row.account.slowest_since is None


def test_no_slot_lies_behind_the_day_that_is_counted() -> None:
    """It would be a message of a day that has not begun; the next tick is in that day."""
    row = pacer()
    row.account.begin_day(NOW)
    late = NOW + DAY_SECONDS - 0.02
    slots = row.slots(late, 100.0, 0.0, 0.05, 99)
    assert slots == pytest.approx([late, late + 0.01])
    row.take(slots, 100.0, 0.05)
    assert row.slots(late, 100.0, 0.0, 0.05, 99) == []
    # A slow commit takes them further ahead.
    assert row.slots(late + 0.3, 100.0, 0.0, 0.05, 99) == []
    row.account.begin_day(NOW + DAY_SECONDS)
    assert row.slots(NOW + DAY_SECONDS, 100.0, 0.0, 0.05, 99)[0] == NOW + DAY_SECONDS
