from __future__ import annotations

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.errors import LoadGivenUp
from airflow_provider_caixin.ledger.queue import claim as claims
from airflow_provider_caixin.ledger.queue import draw as drawing
from airflow_provider_caixin.ledger.queue import sorting
from airflow_provider_caixin.ledger.queue.load import load_audience
from airflow_provider_caixin.ledger.rows.load import visible_ranges
from airflow_provider_caixin.vocabulary import SkipReason, State
from tests.unit.ledger.conftest import Past
from tests.unit.ledger.loads import load, make

A, B, C = "13912345678", "13912345679", "13912345680"


def test_a_load_that_broke_off_is_known_to_nobody(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preview counts its rows as new, as the next load brings them; no run takes up whom it skipped."""
    monkeypatch.setattr(sorting, "BATCH_ROWS", 2)
    campaign = make(ledger)
    load(ledger, campaign, "s", [(A, None)])
    batches = iter((False, False, True))
    with pytest.raises(LoadGivenUp):
        load_audience(
            ledger,
            campaign,
            "t",
            lambda: [(B, None), (C, "not_china_mobile"), ("13999999999", None)],
            lease=60,
            give_up=lambda: next(batches),
        )
    with ledger.reading() as connection:
        everybody = sa.select(sa.func.count()).where(schema.recipient.c.campaign == campaign)
        assert connection.execute(everybody).scalar_one() == 3
        assert drawing.known_keys(connection, campaign, [A, B, C]) == {(A, 1)}
        assert list(drawing.skipped_batches(connection, campaign, [SkipReason.NOT_CHINA_MOBILE])) == []


def test_whose_waiting_is_over_comes_first(ledger: Ledger) -> None:
    """Then the others in the audience's order, without those that wait, unless a clock went back."""
    campaign = make(ledger)
    load(ledger, campaign, "s", [(C, None), (B, None), (A, None), ("13900000001", None)])
    table = schema.recipient
    dues = {A: 900.0, "13900000001": 1_010.0, C: 1_001.0 + schema.FAR_AHEAD_SECONDS}
    with ledger.writing() as connection:
        for number, due in dues.items():
            connection.execute(sa.update(table).where(table.c.number == number).values(due=due))
        ranges = visible_ranges(connection, campaign)
        drawn = drawing.draw_pending(connection, campaign, 1_000.0, 9, ranges)
        assert [one.number for one in drawn] == [A, C, B]
        assert [one.number for one in drawing.draw_pending(connection, campaign, 1_000.0, 1, ranges)] == [A]


def test_whose_outcome_is_unknown_can_be_put_off(past: Past, ledger: Ledger) -> None:
    """It is not drawn until then, and not at all once it was sent a second time."""
    campaign = past.campaign("campaign", A, B)
    past.sent(campaign, {A: State.UNKNOWN, B: State.UNKNOWN}, 1_000.0)
    with ledger.writing() as connection:
        first, second = drawing.draw_unknown(connection, campaign, 2_000.0, 2_000.0, 9)
        assert drawing.draw_unknown(connection, campaign, 2_000.0, 1_000.0, 9) == []
        drawing.put_off(connection, [first.id], 2_010.0)
        assert drawing.draw_unknown(connection, campaign, 2_000.0, 2_000.0, 9) == [second]
        claims.write_claims(connection, [(second, 2_000.0)], "again", 2_060.0)
        assert second.doubt_at == 1_000.0
        assert drawing.draw_unknown(connection, campaign, 2_010.0, 2_010.0, 9) == [first]


def test_who_was_skipped_is_reopened_once(past: Past, ledger: Ledger) -> None:
    """By the reasons that are asked for, and only while it still has one of them."""
    campaign = past.campaign("campaign", skipped={A: "suppressed", B: "blocked_region"})
    with ledger.writing() as connection:
        [batch] = drawing.skipped_batches(connection, campaign, [SkipReason.SUPPRESSED])
        assert [one.number for one in batch] == [A]
        ids = [batch[0].id]
        assert drawing.reopen_skipped(connection, ids, [SkipReason.BLOCKED_REGION]) == 0
        assert drawing.reopen_skipped(connection, ids, [SkipReason.SUPPRESSED]) == 1
        assert drawing.reopen_skipped(connection, ids, [SkipReason.SUPPRESSED]) == 0
        assert [[one.number for one in each] for each in drawing.pending_batches(connection, campaign)] == [
            [A]
        ]
