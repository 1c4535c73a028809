from __future__ import annotations

import pytest

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.rows import recipient as recipient_rows
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.views import checks
from airflow_provider_caixin.vocabulary import SkipReason, State
from tests.unit.ledger.conftest import Past

NUMBERS = [str(13_900_000_000 + index) for index in range(8)]


def test_what_is_pending_is_skipped_in_batches(
    past: Past, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that is not full is the last; others keep their state; it ends before when its time is over."""
    monkeypatch.setattr(recipient_rows, "BATCH_ROWS", 3)
    key = past.campaign("campaign", *NUMBERS)
    past.sent(key, {NUMBERS[0]: State.SENT}, 1_000.0)
    assert recipient_rows.skip_pending(ledger, key, SkipReason.EXPIRED, seconds=0) == 0
    assert recipient_rows.skip_batch(ledger, key, SkipReason.EXPIRED) == 3
    assert recipient_rows.skip_pending(ledger, key, SkipReason.EXPIRED) == 4
    assert past.counts(key) == {"sent": 1, "skipped": 7}
    assert list(checks.disagreements(ledger)) == []


def test_a_lease_that_ran_out_is_written_once(past: Past, ledger: Ledger) -> None:
    """Counts and minutes follow; one that has not run out stays in flight."""
    key = past.campaign("campaign", *NUMBERS)
    past.sent(key, {NUMBERS[0]: State.IN_FLIGHT}, 1_000.0)
    past.sent(key, {NUMBERS[1]: State.IN_FLIGHT}, 1_050.0)
    for expired in (1, 0):
        with ledger.writing() as connection:
            row = CampaignRow.lock(connection, key)
            assert recipient_rows.expire_leases(connection, row, 1_061.0) == expired
            row.save(connection)
    assert past.counts(key) == {"unknown": 1, "in_flight": 1, "pending": 6}
