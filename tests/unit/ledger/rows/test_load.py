from __future__ import annotations

import time

import pytest

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import retention
from airflow_provider_caixin.ledger.errors import CampaignPurged
from airflow_provider_caixin.ledger.queue import draw as drawing
from airflow_provider_caixin.ledger.rows import load as load_rows
from airflow_provider_caixin.ledger.rows.load import visible_ranges
from airflow_provider_caixin.vocabulary import State
from tests.unit.ledger.loads import counts, crash_half_way, load, make, states

A, B = "13912345678", "13912345679"


def test_rows_of_a_load_that_died_are_hidden_until_it_is_taken_over(ledger: Ledger) -> None:
    """Neither claims, counts nor the report see them; the same source makes them visible."""
    campaign = make(ledger)
    crash_half_way(ledger, campaign, "s", [(A, None), (B, None)])
    assert states(ledger, campaign) == {}
    with ledger.writing() as connection:
        ranges = visible_ranges(connection, campaign)
        assert drawing.draw_pending(connection, campaign, ledger.now(connection), 9, ranges) == []
    assert load(ledger, campaign, "s", [(A, None), (B, None)])
    assert states(ledger, campaign) == {(A, "pending", None): 1, (B, "pending", None): 1}
    assert counts(ledger, campaign)[State.PENDING] == 2


def test_who_is_not_in_the_source_any_more_is_not_sent_to(ledger: Ledger) -> None:
    """Somebody opted out after an attempt that died: the same query gives other recipients then."""
    campaign = make(ledger)
    crash_half_way(ledger, campaign, "query", [(A, None), (B, None)])
    assert load(ledger, campaign, "query", [(B, None)])
    assert states(ledger, campaign) == {(B, "pending", None): 1}
    assert counts(ledger, campaign)[State.PENDING] == 1
    assert not load(ledger, campaign, "query", [(A, None)])
    with ledger.reading() as connection:
        assert not load_rows.is_unfinished(connection, campaign)
    assert load(ledger, campaign, "another", [(A, None)])
    assert counts(ledger, campaign)[State.PENDING] == 2


def test_positions_of_complete_loads(ledger: Ledger) -> None:
    """All that were ever given and are yet to come, without those of loads that are not complete."""
    campaign = make(ledger)
    with ledger.reading() as connection:
        [(first, last)] = visible_ranges(connection, campaign)
    assert first == 0
    for source in ("s", "t", "u"):
        crash_half_way(ledger, campaign, source, [(A, None)])
    assert load(ledger, campaign, "t", [(A, None)])
    with ledger.reading() as connection:
        ranges = visible_ranges(connection, campaign)
        complete = load_rows.complete_loads(connection, campaign)
    assert list(complete.values()) == ["t"]
    for load_key in range(1, max(complete) + 2):
        inside = any(
            low <= position <= high for position in load_rows.positions_of(load_key) for low, high in ranges
        )
        assert inside == (load_key in complete or load_key > max(complete))
    assert ranges[-1][1] == last


def test_a_campaign_that_is_purged_right_after_a_load(ledger: Ledger) -> None:
    """Its loader, suspended meanwhile, is told so when it asks whom the load skipped."""
    campaign = make(ledger)
    assert load(ledger, campaign, "s", [("x", "invalid_number")])
    with ledger.reading() as connection:
        assert load_rows.skipped_by_load(connection, campaign, "s") == {"invalid_number": 1}
    assert len(list(retention.purge(ledger, time.time() + 60))) == 1
    with ledger.reading() as connection, pytest.raises(CampaignPurged, match="purged meanwhile"):
        load_rows.skipped_by_load(connection, campaign, "s")
