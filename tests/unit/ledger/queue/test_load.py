from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.errors import LoadGivenUp
from airflow_provider_caixin.ledger.queue.load import load_audience
from airflow_provider_caixin.vocabulary import State
from tests.unit.ledger.loads import Rows, counts, crash_half_way, load, make, states

A, B, C = "13912345678", "13912345679", "13912345680"


def test_every_audience_row_is_a_ledger_row(ledger: Ledger) -> None:
    """A number's second occurrence is a duplicate, a row that is no number keeps its text."""
    campaign = make(ledger)
    assert load(ledger, campaign, "s", [(B, None), (A, None), (B, None), ("12", "invalid_number"), (B, None)])
    assert states(ledger, campaign) == {
        (B, "pending", None): 1,
        (B, "skipped", "duplicate"): 2,
        (A, "pending", None): 1,
        ("12", "skipped", "invalid_number"): 1,
    }
    assert counts(ledger, campaign)[State.PENDING] == 2
    assert counts(ledger, campaign)[State.SKIPPED] == 3


def test_the_same_audience_adds_nothing_and_another_who_is_new(ledger: Ledger) -> None:
    """In whatever order it comes; a source that is done is not even opened."""
    campaign = make(ledger)
    load(ledger, campaign, "s", [(A, None), (B, None), (A, None)])
    before = states(ledger, campaign)

    def refuse() -> Rows:
        raise AssertionError("the source was opened again")

    assert not load_audience(ledger, campaign, "s", refuse, lease=60)
    assert load(ledger, campaign, "t", [(A, None), (A, None), (B, None)])
    assert states(ledger, campaign) == before
    load(ledger, campaign, "u", [(C, None), (A, None), (A, None), (A, None)])
    assert states(ledger, campaign) - before == {(C, "pending", None): 1, (A, "skipped", "duplicate"): 1}
    assert counts(ledger, campaign)[State.PENDING] == 3


def test_a_source_that_breaks_leaves_nothing_and_can_be_loaded_again(ledger: Ledger) -> None:
    """The error passes through; the next attempt does not wait for a lease."""
    campaign = make(ledger)

    def broken() -> Rows:
        raise OSError("the share went away")

    with pytest.raises(OSError, match="share"):
        load_audience(ledger, campaign, "s", broken, lease=60)
    assert states(ledger, campaign) == {}
    assert load(ledger, campaign, "s", [(A, None)])
    assert states(ledger, campaign) == {(A, "pending", None): 1}


def test_waiting_for_another_loader_can_be_given_up(ledger: Ledger) -> None:
    """A task that is told to stop does not wait for a lease."""
    campaign = make(ledger)
    crash_half_way(ledger, campaign, "s", [(A, None)])
    with ledger.writing() as connection:
        connection.execute(sa.update(schema.load).values(lease=ledger.now(connection) + 50))
    with pytest.raises(LoadGivenUp):
        load_audience(ledger, campaign, "s", lambda: [(A, None)], lease=60, give_up=lambda: True)
    assert states(ledger, campaign) == {}


def test_a_load_can_be_given_up_half_way(ledger: Ledger) -> None:
    """It is handed back: the next attempt waits for no lease and loads everyone."""
    campaign = make(ledger)
    rows: Rows = [(str(13_900_000_000 + index), None) for index in range(25_000)]
    asked = iter([False, False, True])
    with pytest.raises(LoadGivenUp):
        load_audience(ledger, campaign, "s", lambda: rows, lease=60, give_up=lambda: next(asked))
    assert states(ledger, campaign) == {}
    assert load(ledger, campaign, "s", rows)
    assert counts(ledger, campaign)[State.PENDING] == 25_000


def test_different_sources_load_side_by_side(ledger: Ledger) -> None:
    """Two threads merge overlapping audiences into one campaign: everyone once, and the counts are right."""
    campaign = make(ledger)
    numbers = [str(13_900_000_000 + index) for index in range(3_000)]
    threads = [
        threading.Thread(target=load, args=(ledger, campaign, name, [(one, None) for one in part]))
        for name, part in (("s", numbers[:2000]), ("t", numbers[1000:][::-1]))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert states(ledger, campaign) == {(one, "pending", None): 1 for one in numbers}
    assert counts(ledger, campaign)[State.PENDING] == 3_000
