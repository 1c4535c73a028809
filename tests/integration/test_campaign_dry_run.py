"""A dry run counts what the run that follows it does."""

from __future__ import annotations

import time
from datetime import timedelta

import pendulum
import sqlalchemy as sa

from airflow_provider_caixin.audience import Classifier, audience_from
from airflow_provider_caixin.campaign import (
    Plan,
    dry_run,
)
from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.admin import controls
from airflow_provider_caixin.machine import Machine
from airflow_provider_caixin.sandbox import SandboxServer
from tests.integration.campaigns import BEIJING, ONE_A_DAY, Make, numbers


def test_a_dry_run_counts_what_a_run_would_do(make: Make, gateway: SandboxServer, ledger: Ledger) -> None:
    """The same counts as the real run that follows it; nothing is sent and nothing kept."""
    make(numbers(3), campaign_id="earlier", cap=ONE_A_DAY).send()
    rows = [*numbers(6), numbers(1)[0], BEIJING, "13012345678", "x", "x", numbers(6)[5]]
    rules = {"cap": ONE_A_DAY, "classifier": Classifier(blocked_regions=["北京"]), "max_messages": 2}
    plan = Plan(campaign_id="campaign", tpl_id=65535, account="account", **rules)  # type: ignore[arg-type]  # of many types
    dry = dry_run(plan, ledger, audience_from(rows)).as_result()
    with ledger.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.campaign)).scalar_one() == 1
    real = make(rows, **rules)
    real.send()
    expected = real.counts().as_result()
    assert dry.pop("would_send") == expected.pop("sent") == 2
    assert dry.pop("sent") == 0
    # Whom the cap holds back would get nothing, and is not asked about.
    assert (dry.pop("had_template"), dry.pop("had_template_among")) == (0, 3)
    assert dry == expected
    assert gateway.state()["billed"] == 5
    after = dry_run(plan, ledger, audience_from(rows)).as_result()
    assert after["would_send"] == 0
    assert after["total"] == expected["total"]


def test_a_dry_run_of_a_campaign_that_is_over(make: Make, ledger: Ledger) -> None:
    """Cancelled or expired: nobody would be sent anything."""
    campaign = make(numbers(3), campaign_id="cancelled")
    expiring = make(numbers(3), campaign_id="expired", expires_at=timedelta(hours=1))
    controls.cancel_campaign(ledger, "cancelled")
    later = time.time() + 3_700
    ledger.machine = Machine(lambda: later)
    for one, reason in ((campaign, "cancelled"), (expiring, "expired")):
        counts = dry_run(one.plan, ledger, audience_from(numbers(5)))
        assert (counts.would_send, counts.skipped) == (0, {reason: 5, "duplicate": 0})


def test_a_dry_run_that_knows_nothing_of_the_campaign_yet(make: Make, ledger: Ledger) -> None:
    """Who had a message today is capped, whichever keys there are.

    What has expired already is sent to nobody.
    """
    make(numbers(3, start=1), campaign_id="earlier", cap=ONE_A_DAY).send()
    plan = Plan(campaign_id="campaign", tpl_id=65535, account="account", cap=ONE_A_DAY)
    counts = dry_run(plan, ledger, audience_from(numbers(4)))
    assert (counts.would_send, counts.skipped) == (1, {"frequency_cap": 3})
    over = Plan(
        campaign_id="campaign",
        tpl_id=65535,
        account="account",
        expires_at=pendulum.now(CHINA).subtract(hours=1),
    )
    assert dry_run(over, ledger, audience_from(numbers(4))).skipped == {"expired": 4}


def test_a_dry_run_judges_what_a_budget_left_over(make: Make, ledger: Ledger) -> None:
    """As the run does that takes it up."""
    make(numbers(3), campaign_id="first", max_messages=1, cap=ONE_A_DAY).send()
    make(numbers(3), campaign_id="second", cap=ONE_A_DAY).send()
    campaign = make(campaign_id="first", cap=ONE_A_DAY)
    counts = dry_run(campaign.plan, ledger, audience_from([]))
    assert counts.would_send == 0
    campaign.send()
    assert campaign.counts().skipped == {"frequency_cap": 2}
    assert counts.skipped["frequency_cap"] == 2


def test_a_dry_run_while_messages_are_in_the_air(make: Make, ledger: Ledger) -> None:
    """They count as those that were sent: not once more, and out of the same budget."""
    campaign = make(numbers(3), max_messages=2)
    table = schema.recipient
    with ledger.writing() as connection:
        in_the_air = sa.update(table).where(table.c.number == numbers(1)[0])
        connection.execute(in_the_air.values(state="in_flight", due=ledger.now(connection) + 60))
        connection.execute(sa.update(schema.campaign).values(pending=2, in_flight=1))
    counts = dry_run(campaign.plan, ledger, audience_from(numbers(3)))
    assert (counts.would_send, counts.total) == (1, 3)
    assert counts.skipped == {"duplicate": 1, "over_budget": 1}
    with ledger.writing() as connection:
        connection.execute(in_the_air.values(due=ledger.now(connection) - 1))
    counts = dry_run(campaign.plan, ledger, audience_from(numbers(3)))
    assert (counts.would_send, counts.unknown, counts.total) == (1, 1, 3), "its sender died"
    assert counts.skipped == {"duplicate": 0, "over_budget": 1}
