"""What people do to a campaign from outside: pause, cancel, stop, merge accounts; and what it tells them."""

from __future__ import annotations

import threading
import time

import pytest

from airflow_provider_caixin.campaign import (
    CampaignCancelled,
    CampaignPaused,
    CampaignStopped,
    FailureRatioReached,
    Progress,
)
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import accounts, controls
from airflow_provider_caixin.ledger.errors import NoSuchCampaign
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.sandbox import SandboxServer, magic_mobile
from airflow_provider_caixin.vocabulary import State
from tests.databases import EMBEDDED
from tests.integration.campaigns import Make, numbers


@EMBEDDED
def test_an_open_campaign_whose_account_was_merged(
    make: Make, gateway: SandboxServer, ledger: Ledger
) -> None:
    """It heeds the account that it has by now.

    Also where the old one's place in the file was taken by another.
    """
    with ledger.writing() as connection:
        account_names.find_account(ledger, connection, "kept")
    campaign = make(numbers(20), account="merged")
    accounts.merge_accounts(ledger, "merged", "kept")
    accounts.pause_account(ledger, "kept")
    with ledger.writing() as connection:
        account_names.find_account(ledger, connection, "new")
    with pytest.raises(CampaignPaused):
        campaign.send()
    assert gateway.state()["requests"] == 0


def test_progress_is_told_to_the_end(make: Make) -> None:
    """The last progress is the result, however short the run."""
    told: list[Progress] = []
    campaign = make(numbers(20))
    campaign.send(on_progress=told.append, every=0.05)
    assert told[-1].as_dict() | {"rate": 0, "eta": 0} == {
        "total": 20, "pending": 0, "in_flight": 0, "sent": 20, "rejected": 0, "unknown": 0, "skipped": 0,
        "rate": 0, "eta": 0,
    }  # fmt: skip
    assert [one.sent for one in told] == sorted(one.sent for one in told)


def test_a_pilot_of_the_wrong_template(make: Make, ledger: Ledger, gateway: SandboxServer) -> None:
    """Nobody of it is left, and it can be stopped all the same: the rest is not sent."""
    make(numbers(3), max_messages=1).send()
    controls.cancel_campaign(ledger, "campaign")
    with pytest.raises(CampaignCancelled):
        make().send()
    assert gateway.state()["billed"] == 1


def test_a_cancelled_campaign_that_nobody_runs(make: Make, ledger: Ledger) -> None:
    """Who was pending is skipped at once: the report says so before the task comes back."""
    campaign = make(numbers(3))
    controls.cancel_campaign(ledger, "campaign")
    assert campaign.counts().skipped == {"cancelled": 3}


def test_pause_and_resume_from_outside(make: Make, gateway: SandboxServer, ledger: Ledger) -> None:
    """Seen within a tick, while it runs and before it starts."""
    campaign = make(numbers(200), rate=100)

    def pause() -> None:
        while gateway.state()["billed"] < 10:
            time.sleep(0.01)
        controls.pause_campaign(ledger, "campaign")

    thread = threading.Thread(target=pause)
    thread.start()
    with pytest.raises(CampaignPaused):
        campaign.send()
    thread.join(30)
    sent = campaign.counts().sent
    assert 10 <= sent < 200
    with pytest.raises(CampaignPaused):
        make().send()
    assert gateway.state()["billed"] == sent
    controls.pause_campaign(ledger, "campaign", paused=False)
    make().send()
    assert gateway.state()["billed"] == gateway.state()["billed_numbers"] == 200
    with pytest.raises(NoSuchCampaign, match="no such campaign"):
        controls.pause_campaign(ledger, "other")
    with pytest.raises(NoSuchCampaign):
        controls.retry_rejected(ledger, "other", 236306)


def test_an_account_is_paused_as_a_whole(make: Make, gateway: SandboxServer, ledger: Ledger) -> None:
    """Also campaigns that start while it is; another account goes on."""
    accounts.pause_account(ledger, "account")
    for name in ("first", "second"):
        with pytest.raises(CampaignPaused):
            make(numbers(3), campaign_id=name).send()
    make(numbers(3), campaign_id="third", account="other").send()
    assert gateway.state()["billed"] == 3
    accounts.pause_account(ledger, "account", paused=False)
    make(campaign_id="first").send()
    assert gateway.state()["billed"] == 6


def test_rejected_recipients_can_be_tried_again(make: Make, gateway: SandboxServer, ledger: Ledger) -> None:
    """By code, after the campaign has finished."""
    once, other = magic_mobile(236309, tries=1), magic_mobile(236306)
    make([once, other, *numbers(3)]).send()
    assert make().counts().rejected == {"236309": 1, "236306": 1}
    assert controls.retry_rejected(ledger, "campaign", 236309) == 1
    make().send()
    assert make().counts().rejected == {"236306": 1}
    assert gateway.state()["billed"] == 4


def test_cancel_from_outside(make: Make, gateway: SandboxServer, ledger: Ledger) -> None:
    """The rest is skipped for good, also what a later load brings."""
    campaign = make(numbers(200), rate=100)

    def cancel() -> None:
        while gateway.state()["billed"] < 10:
            time.sleep(0.01)
        controls.cancel_campaign(ledger, "campaign")

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(CampaignCancelled):
        campaign.send()
    thread.join(30)
    counts = campaign.counts()
    assert counts.sent + counts.skipped["cancelled"] == 200
    with pytest.raises(CampaignCancelled):
        make(numbers(5, 1000)).send()
    assert campaign.counts().skipped["cancelled"] == counts.skipped["cancelled"] + 5
    assert gateway.state()["billed"] == counts.sent


def test_a_run_that_is_told_to_stop_ends_within_four_seconds(
    make: Make, gateway: SandboxServer, ledger: Ledger
) -> None:
    """Answers are awaited 3 s.

    What is still out is an unknown outcome that blames nobody, the rest stays pending.
    """
    gateway.configure(answer=99001, stall_seconds=30)
    campaign = make(numbers(50), rate=10, timeout=10.0, lease=40.0)
    stop = threading.Event()

    def tell() -> None:
        while gateway.state()["requests"] < 3:
            time.sleep(0.01)
        stop.set()

    threading.Thread(target=tell).start()
    with pytest.raises(CampaignStopped):
        campaign.send(stop)
    counts = campaign.counts()
    assert counts.unknown == gateway.state()["requests"] > 0
    assert counts.pending == 50 - counts.unknown
    assert campaign.outcomes == {(State.UNKNOWN, ""): counts.unknown}
    with ledger.reading() as connection:
        assert [one.failures for one in accounts.accounts(connection)] == [0]


def test_a_campaign_of_which_half_failed(make: Make) -> None:
    """The ratio is reached at the half; a lone failed number fails."""
    half = make([magic_mobile(236306), *numbers(1)], max_failure_ratio=0.5)
    half.send()
    with pytest.raises(FailureRatioReached, match="236306: 1"):
        half.check_ratio()
    make(max_failure_ratio=0.51).check_ratio()
    make(max_failure_ratio=None).check_ratio()
    nobody = make(["x"], campaign_id="nobody")
    nobody.send()
    nobody.check_ratio()
