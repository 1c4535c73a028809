"""Recipients counted by state, skip reason and code; the count of a campaign that rests is kept."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.errors import LedgerUnavailable
from airflow_provider_caixin.ledger.rows import lease as lease_rows
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.rows.load import visible
from airflow_provider_caixin.vocabulary import State

_recipient: Final = schema.recipient
_tally: Final = schema.tally


class Line(NamedTuple):
    """How many recipients are in a state, with this reason (of skipped ones) or code (of rejected ones)."""

    state: str
    reason: str | None
    code: int | None
    number: int


def tally(connection: Connection, campaign_key: int, now: float) -> list[Line]:
    """Return a campaign's count by state, skip reason and code: the one that was kept, or a new one."""
    kept = _kept(connection, CampaignRow.read(connection, campaign_key))
    return count(connection, campaign_key, now) if kept is None else kept


def outcomes(connection: Connection, campaign_key: int) -> tuple[dict[str, int], dict[int | None, int]]:
    """Return how many were skipped by reason, and rejected by code; other recipients are not read."""
    kept = _kept(connection, CampaignRow.read(connection, campaign_key))
    if kept is not None:
        skipped = {str(line.reason): line.number for line in kept if line.state == State.SKIPPED}
        return skipped, {line.code: line.number for line in kept if line.state == State.REJECTED}
    shown = visible(connection, campaign_key)

    def by(column: sa.ColumnElement[Any], state: State) -> sa.Select[Any]:
        counted = sa.select(column, sa.func.count()).where(
            _recipient.c.campaign == campaign_key, _recipient.c.state == state.value
        )
        return counted.where(shown).group_by(column)

    reasons = connection.execute(by(_recipient.c.reason, State.SKIPPED))
    codes = connection.execute(by(_recipient.c.code, State.REJECTED))
    return {str(row[0]): row[1] for row in reasons}, {row[0]: row[1] for row in codes}


def keep(ledger: Ledger, campaign_key: int) -> None:
    """Count a campaign that rests and keep that; not one that moves meanwhile, nor where the ledger is busy.

    Nor one with a recipient in flight, who turns unknown without anybody writing it.
    """
    with suppress(LedgerUnavailable):
        with ledger.reading() as connection:
            before = CampaignRow.read(connection, campaign_key)
            if before.counts[State.IN_FLIGHT]:
                return
            counted = count(connection, campaign_key, ledger.now(connection))
        with ledger.writing() as connection:
            row = CampaignRow.lock(connection, campaign_key)
            if row == before and row.purged_at is None:
                store(connection, row, counted, ledger.now(connection))


def store(connection: Connection, row: CampaignRow, lines: list[Line], now: float) -> None:
    """Write a count of the campaign whose row is locked."""
    values = [
        {
            "campaign": row.id,
            "state": line.state,
            "detail": line.reason or ("" if line.code is None else str(line.code)),
            "number": line.number,
        }
        for line in lines
    ]
    connection.execute(sa.delete(_tally).where(_tally.c.campaign == row.id))
    if values:
        connection.execute(sa.insert(_tally), values)
    mark = sa.update(schema.campaign).where(schema.campaign.c.id == row.id)
    connection.execute(mark.values(tallied=now))


def count(connection: Connection, campaign_key: int, now: float) -> list[Line]:
    """Return a new count of a campaign's recipients by state, skip reason and code."""
    # PostgreSQL takes an expression in GROUP BY for the selected one only when both hold no parameter.
    skipped, rejected = (
        sa.literal(state.value, literal_execute=True) for state in (State.SKIPPED, State.REJECTED)
    )
    state = lease_rows.state_as_of(now).label("state_now")
    reason = sa.case((_recipient.c.state == skipped, _recipient.c.reason)).label("skip_reason")
    code = sa.case((_recipient.c.state == rejected, _recipient.c.code)).label("reject_code")
    # By their names: MySQL in its default mode takes no expression for the same one.
    labels: list[sa.Label[Any]] = [state, reason, code]
    statement = (
        sa.select(*labels, sa.func.count())
        .where(_recipient.c.campaign == campaign_key, visible(connection, campaign_key))
        .group_by(*(sa.literal_column(label.name) for label in labels))
    )
    return [Line._make(row) for row in connection.execute(statement)]


def _kept(connection: Connection, row: CampaignRow) -> list[Line] | None:
    """Return the count that was kept, if it still holds: nothing was written since, and none is in flight."""
    if row.purged_at is None and (row.tallied is None or row.counts[State.IN_FLIGHT]):
        return None
    rows = sa.select(_tally.c.state, _tally.c.detail, _tally.c.number).where(_tally.c.campaign == row.id)
    return [
        Line(
            one.state,
            one.detail if one.state == State.SKIPPED else None,
            int(one.detail) if one.state == State.REJECTED and one.detail else None,
            one.number,
        )
        for one in connection.execute(rows)
    ]
