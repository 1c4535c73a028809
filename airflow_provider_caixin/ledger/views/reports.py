"""A campaign's recipients as the report gives them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger.rows import lease as lease_rows
from airflow_provider_caixin.ledger.rows.load import visible
from airflow_provider_caixin.ledger.rows.recipient import BATCH_ROWS
from airflow_provider_caixin.ledger.schema import recipient
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
    campaign_key: int,
    now: float,
    *,
    state: State | None = None,
    reason: str | None = None,
) -> Iterator[ReportRow]:
    """Yield a campaign's recipients in the order of their audience.

    :param state: only those in this state.
    :param reason: only those with this skip reason, or this text or code of the gateway.
    """
    text = lease_rows.reason_as_of(now)
    columns = (
        recipient.c.number,
        lease_rows.state_as_of(now),
        text,
        recipient.c.code,
        recipient.c.sid,
        recipient.c.sent_at,
    )
    statement = (
        sa.select(*columns)
        .where(recipient.c.campaign == campaign_key, visible(connection, campaign_key))
        .order_by(recipient.c.position)
        .execution_options(yield_per=BATCH_ROWS)
    )
    if state is not None:
        statement = statement.where(lease_rows.is_in(state, now))
    if reason is not None:
        same = text == reason
        is_code = reason.isascii() and reason.isdigit() and len(reason) < 10
        statement = statement.where(sa.or_(same, recipient.c.code == int(reason)) if is_code else same)
    for row in connection.execute(statement):
        yield ReportRow(*row)


def read_only_sid(connection: Connection, campaign_key: int) -> str | None:
    """Return the gateway's id of a campaign's only message; None: it has sent none."""
    statement = sa.select(recipient.c.sid).where(
        recipient.c.campaign == campaign_key, recipient.c.state == State.SENT.value
    )
    return connection.execute(statement.limit(1)).scalar_one_or_none()
