"""Recipients counted by state, skip reason and code; kept for whoever looks at a campaign that rests."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.errors import LedgerUnavailable
from airflow_provider_caixin.ledger.rows import lease as lease_rows
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.rows.load import visible
from airflow_provider_caixin.vocabulary import State

_table = schema.recipient

Line = tuple[str, str | None, int | None, int]
"""State, reason (of skipped ones), code (of rejected ones), number."""


def tally(connection: Connection, campaign: int, now: float) -> list[Line]:
    """
    Count a campaign's recipients by state, skip reason and code, or give the count that was kept.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param now: the ledger's clock.
    """
    row = CampaignRow.read(connection, campaign)
    kept = _kept(connection, row)
    return count(connection, campaign, now) if kept is None else kept


def outcomes(connection: Connection, campaign: int) -> tuple[dict[str, int], dict[int | None, int]]:
    """
    Count who was skipped by reason and who was rejected by code; whoever has another state is not read.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :return: the numbers by skip reason, and by the gateway's code.
    """
    kept = _kept(connection, CampaignRow.read(connection, campaign))
    if kept is not None:
        skipped = {str(reason): number for state, reason, _, number in kept if state == State.SKIPPED}
        return skipped, {code: number for state, _, code, number in kept if state == State.REJECTED}
    shown = visible(connection, campaign)

    def by(column: sa.ColumnElement[Any], state: State) -> sa.Select[Any]:
        counted = sa.select(column, sa.func.count()).where(
            _table.c.campaign == campaign, _table.c.state == state.value
        )
        return counted.where(shown).group_by(column)

    reasons = connection.execute(by(_table.c.reason, State.SKIPPED))
    codes = connection.execute(by(_table.c.code, State.REJECTED))
    return {str(row[0]): row[1] for row in reasons}, {row[0]: row[1] for row in codes}


def keep(ledger: Ledger, campaign: int) -> None:
    """
    Count a campaign that rests and keep that; one that moves meanwhile is left as it is, and so is a ledger that is busy.

    Nor is one kept that has somebody in flight, who turns unknown without anybody writing it.

    :param ledger: the ledger.
    :param campaign: the campaign's key.
    """
    with suppress(LedgerUnavailable):
        with ledger.reading() as connection:
            before = CampaignRow.read(connection, campaign)
            if before.counts[State.IN_FLIGHT]:
                return
            counted = count(connection, campaign, ledger.now(connection))
        with ledger.writing() as connection:
            row = CampaignRow.lock(connection, campaign)
            if row == before and row.purged_at is None:
                store(connection, row, counted, ledger.now(connection))


def store(connection: Connection, row: CampaignRow, lines: list[Line], now: float) -> None:
    """
    Keep a count.

    :param connection: the transaction that locked the row.
    :param row: the campaign's.
    :param lines: the count.
    :param now: the ledger's clock.
    """
    table, values = schema.tally, []
    for state, reason, code, number in lines:
        detail = reason or ("" if code is None else str(code))
        values.append({"campaign": row.id, "state": state, "detail": detail, "number": number})
    connection.execute(sa.delete(table).where(table.c.campaign == row.id))
    if values:
        connection.execute(sa.insert(table), values)
    mark = sa.update(schema.campaign).where(schema.campaign.c.id == row.id)
    connection.execute(mark.values(tallied=now))


def count(connection: Connection, campaign: int, now: float) -> list[Line]:
    """
    Count a campaign's recipients by state, skip reason and code.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param now: the ledger's clock.
    """
    # PostgreSQL takes an expression in GROUP BY for the selected one only when both hold no parameter.
    skipped, rejected = (
        sa.literal(state.value, literal_execute=True) for state in (State.SKIPPED, State.REJECTED)
    )
    state = lease_rows.state_as_of(now).label("state_now")
    reason = sa.case((_table.c.state == skipped, _table.c.reason)).label("skip_reason")
    code = sa.case((_table.c.state == rejected, _table.c.code)).label("reject_code")
    # By their names: MySQL in its default mode takes no expression for the same one.
    labels: list[sa.Label[Any]] = [state, reason, code]
    statement = (
        sa.select(*labels, sa.func.count())
        .where(_table.c.campaign == campaign, visible(connection, campaign))
        .group_by(*(sa.literal_column(label.name) for label in labels))
    )
    return [tuple(row) for row in connection.execute(statement)]


def _kept(connection: Connection, row: CampaignRow) -> list[Line] | None:
    """Give the count that was kept, where nobody wrote the campaign's counts since and nobody turns unknown by himself."""
    if row.purged_at is None and (row.tallied is None or row.counts[State.IN_FLIGHT]):
        return None
    table = schema.tally
    rows = sa.select(table.c.state, table.c.detail, table.c.number).where(table.c.campaign == row.id)
    return [
        (
            one.state,
            one.detail if one.state == State.SKIPPED else None,
            int(one.detail) if one.state == State.REJECTED and one.detail else None,
            one.number,
        )
        for one in connection.execute(rows)
    ]
