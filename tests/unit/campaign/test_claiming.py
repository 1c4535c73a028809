"""Whom a tick claims; what it draws and judges is also in the state machine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.audience import Classifier
from airflow_provider_caixin.campaign import Campaign
from airflow_provider_caixin.campaign.claiming import (
    RESEND_AFTER_SECONDS,
    RESEND_LOOK_SECONDS,
    Known,
    Locked,
    claim,
)
from airflow_provider_caixin.campaign.lookahead import Lookahead, reach_of
from airflow_provider_caixin.china_time import china_midnight
from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.rows.account import AccountRow
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.vocabulary import State
from tests.unit.campaign.conftest import NOW, NUMBERS, Make, VirtualTime

BEIJING = "13910000001"
MACHINE = VirtualTime().machine


@contextmanager
def locked(ledger: Ledger, campaign: Campaign) -> Iterator[Locked]:
    """Lock a campaign's rows, and save them at the end."""
    with ledger.writing() as connection:
        account = AccountRow.of(connection, campaign._key)
        account.begin_day(china_midnight(NOW))
        row = CampaignRow.lock(connection, campaign._key)
        yield Locked(connection, account, row, NOW, 100.0)
        row.save(connection)
        account.save(connection)


def test_slots_in_reach_and_no_more(make: Make, sqlite_ledger: Ledger) -> None:
    """The next tick goes on behind them; where none is in reach it is known when one will be."""
    campaign = make(NUMBERS, rate=20.0)
    with locked(sqlite_ledger, campaign) as these:
        first = claim(these, campaign.plan, Known(), MACHINE, mark="a", most=99, lease_seconds=60.0)
        assert [one.slot for one in first.jobs] == pytest.approx([100.0, 100.05])
        assert first.known.lookahead.next_slot == these.account.next_slot == pytest.approx(NOW + 0.1)
        second = claim(these, campaign.plan, first.known, MACHINE, mark="b", most=99, lease_seconds=60.0)
        assert second.jobs == ()
        assert second.slot_in == pytest.approx(0.1 - Lookahead().reach, abs=1e-5)
        assert second.known == first.known
        none = claim(these, campaign.plan, first.known, MACHINE, mark="c", most=-1, lease_seconds=60.0)
        assert (none.jobs, none.slot_in) == ((), math.inf)


def test_another_run_that_takes_all_slots_is_followed(make: Make, sqlite_ledger: Ledger) -> None:
    """Its ledger is far away: it reaches further ahead, and so does this run from now on."""
    campaign = make(NUMBERS, rate=20.0)
    with locked(sqlite_ledger, campaign) as these:
        these.account.next_slot, these.account.reach = NOW + 0.3, reach_of(0.2)
        found = claim(these, campaign.plan, Known(), MACHINE, mark="a", most=99, lease_seconds=60.0)
        assert found.jobs == ()
        assert found.known.lookahead.lead == pytest.approx(0.2)


def test_whom_a_rule_skips_takes_no_slot(make: Make, sqlite_ledger: Ledger) -> None:
    """It leaves the queue, and the next one gets the slot."""
    campaign = make([BEIJING, *NUMBERS[:2]], rate=300.0)
    campaign.plan = make(rate=300.0, classifier=Classifier(blocked_regions=["北京"])).plan
    with locked(sqlite_ledger, campaign) as these:
        found = claim(these, campaign.plan, Known(), MACHINE, mark="a", most=2, lease_seconds=60.0)
        assert [one.number for one in found.jobs] == NUMBERS[:2]
        assert found.skipped == {(State.SKIPPED, "blocked_region"): 1}
        assert these.row.counts[State.SKIPPED] == 1


def test_unknown_outcomes_are_looked_for_now_and_then(make: Make, sqlite_ledger: Ledger) -> None:
    """Those that are old enough come first; when none is left nobody looks again at once."""
    campaign = make(NUMBERS[:3], rate=300.0, on_unknown="resend")
    table = schema.recipient
    with locked(sqlite_ledger, campaign) as these:
        lost = sa.update(table).where(table.c.number == NUMBERS[2])
        sent_at = NOW - RESEND_AFTER_SECONDS - 1
        these.connection.execute(lost.values(state="unknown", sent_at=sent_at))
        these.row.move(State.PENDING, State.UNKNOWN)
        found = claim(these, campaign.plan, Known(), MACHINE, mark="a", most=2, lease_seconds=60.0)
        assert [one.number for one in found.jobs] == [NUMBERS[2], NUMBERS[0]]
        assert (found.known.may_resend, found.known.resend_at) == (True, 0.0)
        again = claim(these, campaign.plan, found.known, MACHINE, mark="b", most=1, lease_seconds=60.0)
        assert [one.number for one in again.jobs] == [NUMBERS[1]]
        assert (again.known.may_resend, again.known.resend_at) == (False, 100.0 + RESEND_LOOK_SECONDS)
