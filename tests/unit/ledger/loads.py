"""Audiences that are loaded into campaigns, and loads that died half-way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import sqlalchemy as sa

from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.queue.load import load_audience
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.views import reports
from airflow_provider_caixin.vocabulary import State

Rows = list[tuple[str, str | None]]


def make(ledger: Ledger, name: str = "campaign") -> int:
    """Make a campaign."""
    with ledger.writing() as connection:
        account = account_names.find_account(ledger, connection, "account")
        return campaign_rows.find_campaign(ledger, connection, name, account, 65535, 1_795_400_000.0)


def load(ledger: Ledger, campaign: int, source: str, rows: Iterable[tuple[str, str | None]]) -> bool:
    """Load rows with a lease that nothing here outlasts."""
    return load_audience(ledger, campaign, source, lambda: rows, lease=60)


def states(ledger: Ledger, campaign: int) -> Counter[tuple[str, str, str | None]]:
    """Count what a campaign's runs can see: number, state, reason."""
    with ledger.reading() as connection:
        return Counter(
            (row.mobile, row.state, row.reason) for row in reports.read_report(connection, campaign, 0.0)
        )


def counts(ledger: Ledger, campaign: int) -> dict[State, int]:
    """Read the campaign's own counts."""
    with ledger.reading() as connection:
        return CampaignRow.read(connection, campaign).counts


def crash_half_way(ledger: Ledger, campaign: int, source: str, rows: Rows) -> None:
    """Leave what a process leaves that is killed while it merges: rows, and a load that is not done."""
    load(ledger, campaign, source, rows)
    table = schema.load
    with ledger.writing() as connection:
        died = sa.update(table).where(table.c.hash == schema.digest(source))
        connection.execute(died.values(done=False, owner="dead", lease=ledger.now(connection) - 1))
        row = CampaignRow.lock(connection, campaign)
        row.counts = dict.fromkeys(State, 0)
        row.save(connection)
