from __future__ import annotations

import time

import pytest

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import controls, unknowns
from airflow_provider_caixin.ledger.errors import CancelledForGood
from airflow_provider_caixin.ledger.views import unknowns as unknown_views
from airflow_provider_caixin.vocabulary import State
from tests.unit.ledger.conftest import Past

NUMBERS = [str(13_900_000_000 + index) for index in range(6)]

NOW = float(int(time.time()))


def test_a_cancelled_campaign_sends_to_nobody_again(past: Past, ledger: Ledger) -> None:
    """So its unknown outcomes stay, or count as sent; and who was rejected stays so."""
    key = past.campaign("campaign", *NUMBERS)
    past.sent(key, dict.fromkeys(NUMBERS[:2], State.UNKNOWN), NOW)
    controls.cancel_campaign(ledger, "campaign")
    with ledger.reading() as connection:
        ids = [one.id for one in unknown_views.unknowns(connection, key, NOW)]
    with pytest.raises(CancelledForGood, match="leave its unknown outcomes, or count them as sent"):
        unknowns.resolve(ledger, key, ids, "pending")
    with pytest.raises(CancelledForGood, match="a new campaign can send to them"):
        controls.retry_rejected(ledger, "campaign", 236306)
    assert past.counts(key)["unknown"] == 2
    assert unknowns.resolve(ledger, key, ids, "sent") == 2
