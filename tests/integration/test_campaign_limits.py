"""What keeps a recipient out: budget, volume, frequency cap, suppression, region and carrier."""

from __future__ import annotations

import threading
import time

import pytest

from airflow_provider_caixin.audience import Classifier, audience_from
from airflow_provider_caixin.campaign import (
    DayVolumeUsedUp,
    dry_run,
)
from airflow_provider_caixin.china_time import china_midnight
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import restore, suppressions
from airflow_provider_caixin.sandbox import SandboxServer, magic_mobile
from tests.integration.campaigns import BEIJING, ONE_A_DAY, Make, numbers


def test_a_budget_holds_over_runs_and_can_be_raised(make: Make, gateway: SandboxServer) -> None:
    """At most so many billed or possibly billed; an unknown outcome spends it, too."""
    given = [magic_mobile(99004), *numbers(9)]
    for _ in range(2):
        campaign = make(given, max_messages=4)
        campaign.send()
        counts = campaign.counts()
        assert counts.sent + counts.unknown == 4
        assert counts.skipped == {"over_budget": 6}
    assert gateway.state()["billed"] == 4
    raised = make(max_messages=7)
    raised.send()
    assert raised.counts().skipped == {"over_budget": 3}
    make(max_messages=None).send()
    assert gateway.state()["billed"] == 10


def test_a_day_s_volume_of_the_account(make: Make, gateway: SandboxServer) -> None:
    """Counted over campaigns; what is left waits for the next day's opening."""
    make(numbers(3), campaign_id="first", max_per_day=5).send()
    with pytest.raises(DayVolumeUsedUp, match="max_per_day") as used_up:
        make(numbers(6, 100), campaign_id="second", max_per_day=5, window=None).send()
    assert used_up.value.opens_at.hour == 0
    assert gateway.state()["billed"] == 5
    make(campaign_id="second", max_per_day=50).send()
    assert gateway.state()["billed"] == 9


def test_a_cap_holds_over_campaigns(make: Make, gateway: SandboxServer) -> None:
    """Who had one today gets none from another campaign; another account has its own count."""
    make(numbers(5), cap=ONE_A_DAY, campaign_id="first").send()
    second = make(numbers(8), cap=ONE_A_DAY, campaign_id="second")
    second.send()
    assert second.counts().skipped == {"frequency_cap": 5}
    assert second.counts().sent == 3
    other = make(numbers(5), cap=ONE_A_DAY, campaign_id="third", account="other")
    other.send()
    assert other.counts().sent == 5
    again = make(campaign_id="second", cap=None)
    again.send()
    assert again.counts().sent == 8
    assert gateway.state()["billed"] == 5 + 8 + 5


def test_an_unknown_outcome_counts_for_the_cap(make: Make) -> None:
    """A message that may have been billed was perhaps received."""
    lost = magic_mobile(99004)
    make([lost], cap=ONE_A_DAY, campaign_id="first").send()
    second = make([lost], cap=ONE_A_DAY, campaign_id="second")
    second.send()
    assert second.counts().skipped == {"frequency_cap": 1}


@pytest.mark.usefixtures("one_china_day")
def test_two_campaigns_on_one_audience_at_once(make: Make, gateway: SandboxServer) -> None:
    """With one a day, both together send each recipient one message."""
    gateway.configure(latency_ms=[20, 60])
    given = numbers(200)
    both = [make(given, cap=ONE_A_DAY, campaign_id=name) for name in ("first", "second")]
    threads = [threading.Thread(target=campaign.send) for campaign in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    results = [campaign.counts() for campaign in both]
    assert sum(counts.sent for counts in results) == 200
    assert sum(counts.skipped["frequency_cap"] for counts in results) == 200
    state = gateway.state()
    assert state["billed"] == state["billed_numbers"] == 200
    assert state["overlapping"] == 0


def test_a_message_in_the_air_holds_the_next_one_back(make: Make, gateway: SandboxServer) -> None:
    """It decides nothing yet: when it is rejected, the other campaign's message goes out."""
    number = magic_mobile(236306, tries=1)
    gateway.configure(latency_ms=[1000, 1000])
    # A busy machine may add seconds to the latency: no answer is to be too late for that.
    patient = {"timeout": 10.0, "lease": 40.0}
    first = make([number], cap=ONE_A_DAY, campaign_id="first", **patient)
    thread = threading.Thread(target=first.send)
    thread.start()
    while not gateway.state()["in_air"]:
        time.sleep(0.02)
    second = make([number], cap=ONE_A_DAY, campaign_id="second", **patient)
    second.send()
    thread.join(30)
    assert first.counts().rejected == {"236306": 1}
    assert second.counts().sent == 1
    assert gateway.state()["overlapping"] == 0


def test_suppressed_numbers_get_nothing(make: Make, ledger: Ledger) -> None:
    """Also not when they were loaded before they opted out; released, the next run sends."""
    campaign = make(numbers(3))
    assert suppressions.suppress(ledger, numbers(3)[1:2], "退订") == 1
    campaign.send()
    assert campaign.counts().skipped == {"suppressed": 1}
    assert suppressions.release(ledger, numbers(3)) == 1
    make().send()
    assert campaign.counts().sent == 3


def test_regions_are_looked_at_again_at_each_run(make: Make, gateway: SandboxServer) -> None:
    """A region added after the load holds; one that is no longer blocked lets its recipients go."""
    blocked = Classifier(blocked_regions=["北京"])
    make([BEIJING, *numbers(2)])
    second = make(classifier=blocked)
    second.send()
    assert second.counts().skipped == {"blocked_region": 1}
    make(classifier=blocked).send()
    assert gateway.state()["billed"] == 2
    make(classifier=Classifier()).send()
    assert gateway.state()["billed"] == 3


def test_a_restored_ledger_keeps_out_whom_it_kept_out(
    make: Make, gateway: SandboxServer, ledger: Ledger
) -> None:
    """Looser rules may have let them pass between the backup and its return."""
    blocked, free = Classifier(blocked_regions=["北京"]), Classifier()
    make([BEIJING, *numbers(1)], classifier=blocked).send()
    restore.restored(ledger, china_midnight(time.time()))
    for rules, others in ((free, 1), (blocked, 0), (free, 0)):
        campaign = make([BEIJING, *numbers(2)], classifier=rules)
        dry = dry_run(campaign.plan, ledger, audience_from([]))
        assert (dry.would_send, dry.skipped["blocked_region"]) == (others, 1)
        campaign.send()
    assert gateway.state()["billed"] == 2


def test_other_carriers_are_skipped_unless_allowed(make: Make) -> None:
    """By prefix; a ported number can be let through."""
    given = ["13012345678", "17051234567", "not a number", *numbers(1)]
    campaign = make(given)
    campaign.send()
    assert campaign.counts().skipped == {"not_china_mobile": 1, "virtual_operator": 1, "invalid_number": 1}
    make(classifier=Classifier(allow_other_carriers=True, allow_virtual_operators=True)).send()
    assert campaign.counts().skipped == {"invalid_number": 1}
    assert campaign.counts().sent == 3
