"""What is asked before a load."""

from __future__ import annotations

from datetime import timedelta

import pendulum
import pytest

from airflow_provider_caixin.campaign import CampaignFatal, is_new, loaded, refuse_expired
from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.errors import CampaignMismatch
from airflow_provider_caixin.rules import SendWindow
from tests.unit.campaign.conftest import NUMBERS, Make, plan

NOON = pendulum.datetime(2026, 11, 23, 12, tz=CHINA).timestamp()


def test_what_a_campaign_has_of_its_audience(make: Make, sqlite_ledger: Ledger) -> None:
    """Asked without putting it there; a campaign of another template is refused."""
    assert is_new(sqlite_ledger, plan())
    assert loaded(sqlite_ledger, plan(), "test") == (None, False)
    assert is_new(sqlite_ledger, plan())
    make()
    assert not is_new(sqlite_ledger, plan())
    assert loaded(sqlite_ledger, plan(), "test") == (None, False)
    make(NUMBERS[:1])
    first_at, by_loader = loaded(sqlite_ledger, plan(), "test")
    assert first_at is not None
    assert by_loader
    assert loaded(sqlite_ledger, plan(), "other") == (first_at, False)
    with pytest.raises(CampaignMismatch):
        loaded(sqlite_ledger, plan(tpl_id=1), "test")


def test_an_audience_that_would_expire_at_once_is_refused() -> None:
    """By the moment, by the first load, or before the window opens; it says which."""
    refuse_expired(plan(), NOON)
    refuse_expired(plan(expires_at=timedelta(hours=1)), NOON)
    with pytest.raises(CampaignFatal, match="has passed, it is 2026-11-23 12:00:00"):
        refuse_expired(plan(expires_at=timedelta(hours=1)), NOON, NOON - 3600)
    midnight = plan(expires_at=pendulum.datetime(2026, 11, 23, tz=CHINA))
    with pytest.raises(CampaignFatal, match=r"expires_at 2026-11-22 \(the end of that day\)"):
        refuse_expired(midnight, NOON)
    evening = plan(window=SendWindow("20:00-21:00"), expires_at=pendulum.datetime(2026, 11, 23, 19, tz=CHINA))
    refuse_expired(evening, NOON)
    with pytest.raises(CampaignFatal, match="comes before the send window opens, 2026-11-23 20:00:00"):
        refuse_expired(evening, NOON, waits=True)
