"""A campaign's recipients as the report gives them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger.rows import lease as lease_rows
from airflow_provider_caixin.ledger.rows.load import visible
from airflow_provider_caixin.ledger.rows.recipient import BATCH_ROWS, recipients
from airflow_provider_caixin.vocabulary import State


class ReportRow(NamedTuple):
    """One recipient's line of the report."""

    mobile: str
    state: str
    reason: str | None
    error_code: int | None
    sid: str | None
    sent_at: float | None


def read_report(
    connection: Connection,
    campaign: int,
    now: float,
    *,
    state: State | None = None,
    reason: str | None = None,
) -> Iterator[ReportRow]:
    """
    Stream a campaign's recipients in the order of their audience.

    :param connection: a reading transaction.
    :param campaign: the campaign's key.
    :param now: the ledger's clock.
    :param state: only those in this state.
    :param reason: only those with this skip reason, or this text or code of the gateway.
    """
    text = lease_rows.reason_as_of(now)
    columns = (
        recipients.c.number,
        lease_rows.state_as_of(now),
        text,
        recipients.c.code,
        recipients.c.sid,
        recipients.c.sent_at,
    )
    statement = (
        sa.select(*columns)
        .where(recipients.c.campaign == campaign, visible(connection, campaign))
        .order_by(recipients.c.position)
        .execution_options(yield_per=BATCH_ROWS)
    )
    if state is not None:
        statement = statement.where(lease_rows.is_in(state, now))
    if reason is not None:
        said = text == reason
        is_code = reason.isascii() and reason.isdigit() and len(reason) < 10
        statement = statement.where(sa.or_(said, recipients.c.code == int(reason)) if is_code else said)
    for row in connection.execute(statement):
        yield ReportRow(*row)


def read_only_sid(connection: Connection, campaign: int) -> str | None:
    """
    Give the gateway's id of a campaign's only message, or None.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    """
    statement = sa.select(recipients.c.sid).where(
        recipients.c.campaign == campaign, recipients.c.state == State.SENT.value
    )
    return connection.execute(statement.limit(1)).scalar_one_or_none()
