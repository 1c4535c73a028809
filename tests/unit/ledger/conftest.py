"""Campaigns that have been sent, made by the ledger's own transactions."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pytest

from airflow_provider_caixin.china_time import china_midnight
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import accounts
from airflow_provider_caixin.ledger.queue import claim as claims
from airflow_provider_caixin.ledger.queue import draw as drawing
from airflow_provider_caixin.ledger.queue import settle as settlements
from airflow_provider_caixin.ledger.queue.load import load_audience
from airflow_provider_caixin.ledger.queue.pacer import Pacer
from airflow_provider_caixin.ledger.queue.settle import Settlement
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.rows.account import AccountRow
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow, Origin
from airflow_provider_caixin.ledger.rows.load import visible_ranges
from airflow_provider_caixin.vocabulary import State

LEASE = 60.0


class Past:
    """Makes history in a ledger.

    :param ledger: where.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def campaign(
        self,
        name: str,
        *numbers: str,
        account: str = "account",
        tpl_id: int = 65535,
        dag: str | None = "dag",
        skipped: Mapping[str, str] = MappingProxyType({}),
    ) -> int:
        """Make a campaign whose audience is loaded, some of it skipped for a reason; return its key."""
        with self.ledger.writing() as connection:
            owner = account_names.find_account(self.ledger, connection, account)
            now = self.ledger.now(connection)
            key = campaign_rows.find_campaign(self.ledger, connection, name, owner, tpl_id, now)
            origin = Origin(dag, "run", "send", -1) if dag else None
            campaign_rows.note_run(connection, key, origin, 100.0, ["a rule", "another"])
        rows = [(one, None) for one in numbers] + list(skipped.items())
        load_audience(self.ledger, key, "source", lambda: rows, lease=LEASE)
        return key

    def sent(self, campaign: int, outcomes: Mapping[str, State], at: float, code: int = 236306) -> None:
        """Send to numbers of a campaign at a moment; what is ``in_flight`` gets no answer."""
        with self.ledger.writing() as connection:
            account = AccountRow.open(connection, CampaignRow.read(connection, campaign).account)
            row = CampaignRow.lock(connection, campaign)
            drawn = {
                one.number: one
                for one in drawing.draw_pending(
                    connection, campaign, at, 10_000, visible_ranges(connection, campaign)
                )
            }
            account.begin_day(china_midnight(at))
            claimed = [(drawn[number], at) for number in outcomes]
            claims.write_claims(connection, claimed, "claim", at + LEASE)
            row.move(State.PENDING, State.IN_FLIGHT, len(claimed))
            Pacer(account).take([at] * len(claimed), 1.0, 0.05)
            answers = [
                Settlement(
                    drawn[number].id,
                    "claim",
                    state,
                    code=code if state is State.REJECTED else None,
                    sid="sid",
                )
                for number, state in outcomes.items()
                if state is not State.IN_FLIGHT
            ]
            settlements.write_settlements(connection, account, row, answers)
            row.save(connection)
            account.save(connection)

    def counts(self, campaign: int) -> dict[str, int]:
        """Read a campaign's counts by state, without those that are 0."""
        with self.ledger.reading() as connection:
            counts = CampaignRow.read(connection, campaign).counts
        return {state.value: number for state, number in counts.items() if number}

    def day_count(self, account: str = "account") -> int:
        """Read how many messages an account's day has."""
        with self.ledger.reading() as connection:
            return {one.name: one.day_count for one in accounts.accounts(connection)}[account]


@pytest.fixture
def past(ledger: Ledger) -> Past:
    """Make history on each of the three databases in turn."""
    return Past(ledger)
