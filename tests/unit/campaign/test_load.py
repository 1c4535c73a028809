"""Loads of a campaign: named, stopped, refused.

What changes under a campaign is in tests/integration/test_campaign_load.py.
"""

from __future__ import annotations

import logging

import pytest

from airflow_provider_caixin.audience import audience_from
from airflow_provider_caixin.campaign import AudienceChanged, CampaignStopped
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.rows.load import complete_loads
from airflow_provider_caixin.vocabulary import State
from tests.unit.campaign.conftest import NUMBERS, Make


def test_a_source_is_loaded_once(make: Make, sqlite_ledger: Ledger) -> None:
    """Whom it skipped is this process's doing.

    The same content under the source's former name is the same load.
    """
    campaign = make()
    assert campaign.load(audience_from([*NUMBERS[:2], "x", NUMBERS[0]]), "new", formerly="old")
    assert campaign.outcomes == {(State.SKIPPED, "invalid_number"): 1, (State.SKIPPED, "duplicate"): 1}
    assert not campaign.load(audience_from([*NUMBERS[:2], "x", NUMBERS[0]]), "new")
    assert not make().load(audience_from([*NUMBERS[:2], "x", NUMBERS[0]]), "newer", formerly="new")
    with sqlite_ledger.reading() as connection:
        assert len(complete_loads(connection, campaign._key)) == 1


def test_a_load_that_is_told_to_stop(make: Make) -> None:
    """Nothing of it is seen, and it begins anew with the next attempt."""
    campaign = make()
    with pytest.raises(CampaignStopped):
        campaign.load(audience_from(NUMBERS), "source", lambda: True)
    assert campaign.counts().total == 0
    assert campaign.load(audience_from(NUMBERS), "source")


def test_a_source_that_changed(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """More numbers are added.

    Others are refused with a sentence that names the way, unless a person said which are meant.
    """
    make(campaign_id="it's").load(audience_from(NUMBERS[:2]), "source")
    with caplog.at_level(logging.WARNING):
        assert make(campaign_id="it's").load(audience_from(NUMBERS[:3]), "source")
    assert "1 are new. They are added." in caplog.text
    refused = r"2 are new and 1 are gone, 1 of whom would still get.*campaign cancel 'it'\"'\"'s'"
    with pytest.raises(AudienceChanged, match=refused):
        make(campaign_id="it's").load(audience_from(NUMBERS[1:5]), "source")
    assert not make(campaign_id="it's").load(audience_from(NUMBERS[1:5]), "source", audience_change="keep")
    added = make(campaign_id="it's")
    assert added.load(audience_from(NUMBERS[1:5]), "source", audience_change="add")
    assert added.counts().pending == 5
