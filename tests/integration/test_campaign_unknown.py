"""Unknown outcomes that are sent once more."""

from __future__ import annotations

import pytest

from airflow_provider_caixin.sandbox import SandboxServer, magic_mobile
from tests.integration.campaigns import OFFICE, ONE_A_DAY, Make, clock_at, numbers


def test_resend_asks_once_more_for_an_old_unknown_outcome(
    make: Make, gateway: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only with on_unknown="resend", only what is old enough, and only once."""
    lost, lost_again = magic_mobile(99004, tries=1), magic_mobile(99004)
    make([lost, lost_again, *numbers(2)]).send()
    assert make().counts().unknown == 2
    make(on_unknown="resend").send()
    assert gateway.state()["requests"] == 4
    monkeypatch.setattr("airflow_provider_caixin.campaign.claiming.RESEND_AFTER_SECONDS", 0.0)
    make(on_unknown="hold").send()
    assert gateway.state()["requests"] == 4
    for _ in range(2):
        campaign = make(on_unknown="resend", cap=ONE_A_DAY)
        campaign.send()
        assert campaign.counts().sent == 3
        assert campaign.counts().unknown == 1
        assert gateway.state()["requests"] == 6


def test_an_unknown_outcome_sent_once_more_stays_one_until_it_is_accepted(
    make: Make, gateway: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rejected or given back the second time, the first request may still have been billed.

    Budget and cap count it.
    """
    monkeypatch.setattr("airflow_provider_caixin.campaign.claiming.RESEND_AFTER_SECONDS", 0.0)
    given = numbers(3)
    gateway.configure(lose_answers=1.0)
    make(given, max_messages=3).send()
    gateway.configure(lose_answers=0, answer=236309)
    campaign = make([*given, *numbers(2, 50)], on_unknown="resend", max_messages=3)
    campaign.send()
    assert campaign.counts().unknown == 3
    assert campaign.counts().skipped == {"over_budget": 2}
    assert gateway.state()["requests"] == 6
    gateway.configure(answer=None)
    other = make(given, campaign_id="other", cap=ONE_A_DAY)
    other.send()
    assert other.counts().skipped == {"frequency_cap": 3}


def test_an_unknown_outcome_waits_for_the_window(
    make: Make, gateway: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent once more outside it, and the run ends with it."""
    make([magic_mobile(99004)]).send()
    monkeypatch.setattr("airflow_provider_caixin.campaign.claiming.RESEND_AFTER_SECONDS", 0.0)
    campaign = make(window=OFFICE, clock=clock_at("2026-11-23 20:00:00"), on_unknown="resend")
    campaign.send()
    assert campaign.counts().unknown == 1
    assert gateway.state()["requests"] == 1
