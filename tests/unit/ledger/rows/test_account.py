from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_caixin.china_time import DAY_SECONDS
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.queue.pacer import Pacer
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows.account import AccountRow
from tests.unit.ledger.account_rows import MIDNIGHT, NOW, account, pacer


def test_a_day_counts_what_was_or_may_be_billed() -> None:
    """What turned out not to be billed leaves the count of its own day only."""
    row = pacer()
    row.account.begin_day(NOW - 100)
    row.take([NOW, NOW + 1], 1.0, 0.05)
    row.account.uncount(NOW)
    row.account.uncount(NOW - 101)
    row.account.uncount(None)
    assert row.account.day_count == 1
    row.account.begin_day(NOW + 1000)
    assert row.account.day_count == 0
    row.account.begin_day(NOW)
    assert row.account.day == NOW + 1000


def test_a_clock_that_was_far_ahead_holds_no_day_back() -> None:
    """Its day would be counted for as long as it was ahead; what was counted is counted to today."""
    row = pacer()
    row.account.begin_day(NOW + 400 * DAY_SECONDS)
    row.take([NOW + 400 * DAY_SECONDS], 1.0, 0.05)
    row.account.begin_day(NOW)
    assert (row.account.day, row.account.day_count) == (NOW, 1)
    row.account.begin_day(NOW + DAY_SECONDS)
    assert row.account.day_count == 0


def test_an_account_is_written_back(ledger: Ledger) -> None:
    """What one transaction saves the next one opens."""
    with ledger.writing() as connection:
        key = account_names.find_account(ledger, connection, "账户")
        assert account_names.find_account(ledger, connection, "账户") == key
        assert account_names.find_account(ledger, connection, "another") != key
        row = AccountRow.open(connection, key)
        row.begin_day(MIDNIGHT)
        paced = Pacer(row)
        paced.take(paced.slots(NOW, 294.0, 0.0, 0.05, 9), 294.0, 0.05)
        paced.slow_down(NOW)
        paced.got_through(NOW)
        row.save(connection)
    with ledger.writing() as connection:
        assert AccountRow.open(connection, key) == row


def test_of_two_accounts_the_stricter_one_holds() -> None:
    """What one of them has is not lost where the other has nothing."""
    one = account(
        next_slot=NOW + 1, reach=0.1, pace=0.5, paced_at=NOW, slowest_since=NOW - 9, failures=3, day_count=5
    )
    other = account(next_slot=NOW, last_sent_at=NOW - 1, day_count=7, paused=True, max_per_day=100)
    for kept, gone in ((one, other), (other, one)):
        both = replace(kept)
        both.absorb(gone)
        assert (both.next_slot, both.reach, both.pace, both.paced_at) == (NOW + 1, 0.1, 0.5, NOW)
        assert (both.slowest_since, both.failures, both.last_sent_at) == (NOW - 9, 3, NOW - 1)
        assert (both.day_count, both.paused, both.max_per_day) == (12, True, 100)


@given(st.sampled_from([0, 1, 2]), st.sampled_from([0, 1, 2]))
def test_of_two_days_the_later_one_counts(one: int, other: int) -> None:
    """The earlier one is over."""
    row = account(day=MIDNIGHT + one * DAY_SECONDS, day_count=5)
    row.absorb(account(day=MIDNIGHT + other * DAY_SECONDS, day_count=7))
    assert row.day == MIDNIGHT + max(one, other) * DAY_SECONDS
    assert row.day_count == (12 if one == other else 5 if one > other else 7)
