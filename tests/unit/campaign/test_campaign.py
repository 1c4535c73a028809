"""What a campaign is besides its load and its run, which have tests of their own."""

from __future__ import annotations

import io

import pendulum
import pytest

from airflow_provider_caixin.campaign import CampaignCancelled, CampaignPaused
from airflow_provider_caixin.campaign.campaign import behind_closing
from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.juhe import RecipientRejected
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import controls
from airflow_provider_caixin.rules import SendWindow
from airflow_provider_caixin.vocabulary import SkipReason, State
from tests.unit.campaign.conftest import NUMBERS, Gateway, Make, plan

OFFICE = SendWindow("09:00-18:00")


@pytest.mark.parametrize(
    ("window", "time", "pending", "late"),
    [
        (OFFICE, "17:00:00", 100 * (3600 - 15), 0),
        (OFFICE, "17:00:00", 100 * 3600, 1_500),
        (OFFICE, "18:00:00", 50, 0),
        (SendWindow("00:00-24:00"), "23:59:59", 50, 0),
        (None, "23:59:59", 50, 0),
    ],
)
def test_what_falls_behind_todays_closing(
    window: SendWindow | None, time: str, pending: int, late: int
) -> None:
    """With the guard and the time-out before it; of a closed window, and of one that never closes, nobody."""
    now = pendulum.parse(f"2026-11-23 {time}", tz=CHINA).timestamp()  # type: ignore[union-attr]  # a moment
    assert behind_closing(plan(window=window, rate=100.0), pending, now)[0] == late


def test_a_lease_that_is_too_short_for_the_timeout(make: Make) -> None:
    """A request could be answered after its recipient counted as unknown."""
    with pytest.raises(ValueError, match=r"timeout 10 s: expected less than a third of the lease \(30 s\)"):
        make(lease=30.0)
    make(lease=30.1)


def test_a_campaign_of_a_single_number_has_its_sid(make: Make, gateway: Gateway) -> None:
    """One that was rejected has none, nor has one of several."""
    single = make(NUMBERS[:1])
    single.send()
    assert single.counts().sid == f"sid {NUMBERS[0]}"
    gateway.results[NUMBERS[0]] = RecipientRejected(236306, "no")
    rejected = make(NUMBERS[:1], campaign_id="rejected")
    rejected.send()
    assert rejected.counts().sid is None
    file = io.StringIO(newline="")
    rejected.write_report(file)
    assert file.getvalue().splitlines()[1].startswith(f"{NUMBERS[0]},rejected,no,236306,")


def test_what_a_person_stopped_does_not_begin(make: Make, gateway: Gateway, sqlite_ledger: Ledger) -> None:
    """Paused it stays pending; cancelled also what came after it is skipped."""
    campaign = make(NUMBERS[:2])
    controls.pause_campaign(sqlite_ledger, "campaign")
    with pytest.raises(CampaignPaused):
        campaign.send()
    controls.cancel_campaign(sqlite_ledger, "campaign")
    again = make(NUMBERS[:3])
    with pytest.raises(CampaignCancelled):
        again.send()
    assert again.counts().skipped == {"cancelled": 3}
    assert again.outcomes == {(State.SKIPPED, "cancelled"): 1}
    assert gateway.sent == []


def test_the_rest_can_be_skipped(make: Make) -> None:
    """For a reason, which may be given as text."""
    campaign = make(NUMBERS[:2])
    campaign.skip_rest("window_closed")
    assert campaign.outcomes == {(State.SKIPPED, SkipReason.WINDOW_CLOSED.value): 2}
    assert campaign.counts().skipped == {"window_closed": 2}
