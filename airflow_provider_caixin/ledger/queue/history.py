"""What recipients had before: for the frequency cap, and for templates that they already got."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.rows import recipient as recipient_rows
from airflow_provider_caixin.ledger.rows.load import visible_ranges
from airflow_provider_caixin.ledger.schema import recipient
from airflow_provider_caixin.machine import Machine
from airflow_provider_caixin.vocabulary import State

LOOK_SECONDS: Final = 5.0

# Was, may have been or may yet be.
BILLED_STATES: Final = (State.SENT.value, State.UNKNOWN.value, State.IN_FLIGHT.value)


class Attempt(NamedTuple):
    """A message to a recipient that was, may have been or may yet be billed."""

    id: int
    number: str
    state: str
    sent_at: float
    due: float
    doubt_at: float | None


_HISTORY: Final = (
    sa.select(*(recipient.c[name] for name in Attempt._fields))
    .where(recipient.c.number.in_(sa.bindparam("numbers", expanding=True)))
    .where(recipient.c.sent_at >= sa.bindparam("since"))
    # No join, and a sum that no index has: SQLite, and MariaDB for many numbers, would begin with the
    # campaigns and read all that each of them has sent.
    .where(
        (recipient.c.campaign + 0).in_(
            sa.select(schema.campaign.c.id).where(schema.campaign.c.account == sa.bindparam("account"))
        )
    )
    .where(recipient.c.state.in_(BILLED_STATES))
)


def find_attempts(
    connection: Connection, account_key: int, numbers: Sequence[str], since: float
) -> dict[str, list[Attempt]]:
    """Return the messages to these numbers that left since a moment, over all campaigns of an account."""
    found: dict[str, list[Attempt]] = {}
    values = {"numbers": list(numbers), "account": account_key, "since": since}
    for row in connection.execute(_HISTORY, values):
        found.setdefault(row.number, []).append(Attempt(*row))
    return found


def count_had_template(
    machine: Machine,
    connection: Connection,
    campaign_key: int,
    account_key: int,
    tpl_id: int,
    seconds: float = LOOK_SECONDS,
) -> tuple[int, int]:
    """Count pending recipients that got this template, or may have, in another campaign of the account.

    :param seconds: after so long no more of them are looked at.
    :return: how many had it, and how many were looked at.
    """
    others = campaigns_with_template(connection, campaign_key, account_key, tpl_id)
    had = looked_at = 0
    until = machine.monotonic() + seconds
    for first, last in visible_ranges(connection, campaign_key) if others else ():
        position, rows = first, recipient_rows.BATCH_ROWS
        while rows == recipient_rows.BATCH_ROWS and machine.monotonic() < until:
            found, rows, position = _count_in_batch(connection, campaign_key, others, position, last)
            had, looked_at = had + found, looked_at + rows
    return had, looked_at


def campaigns_with_template(
    connection: Connection, campaign_key: int | None, account_key: int, tpl_id: int
) -> list[int]:
    """Return the keys of the other campaigns of an account in which recipients got a template, or may have.

    :param campaign_key: None: the campaign is not in the ledger yet.
    """
    table = schema.campaign
    found = sa.select(table.c.id).where(
        table.c.account == account_key,
        table.c.tpl_id == tpl_id,
        table.c.sent + table.c.unknown + table.c.in_flight > 0,
    )
    return [key for key in connection.execute(found).scalars() if key != campaign_key]


def who_got_it(connection: Connection, campaign_keys: Sequence[int], numbers: Sequence[str]) -> set[str]:
    """Return which of these numbers got a message in one of these campaigns, or may have."""
    found = sa.select(recipient.c.number).where(
        recipient.c.number.in_(list(numbers)),
        recipient.c.campaign.in_(list(campaign_keys)),
        recipient.c.state.in_(BILLED_STATES),
    )
    return set(connection.execute(found).scalars())


def _count_in_batch(
    connection: Connection, campaign_key: int, others: list[int], first: int, last: int
) -> tuple[int, int, int]:
    """Return, of a batch from a position on, how many had the template, its length, and where to go on."""
    batch = (
        sa.select(recipient.c.number, recipient.c.position)
        .where(recipient.c.campaign == campaign_key, recipient.c.state == State.PENDING.value)
        .where(recipient.c.due == 0, recipient.c.position.between(first, last))
        .order_by(recipient.c.position)
        .limit(recipient_rows.BATCH_ROWS)
        .subquery()
    )
    other = recipient.alias()
    had = sa.exists().where(
        other.c.number == batch.c.number, other.c.campaign.in_(others), other.c.state.in_(BILLED_STATES)
    )
    columns = (sa.func.count(sa.case((had, 1))), sa.func.count(), sa.func.max(batch.c.position))
    found, rows, position = connection.execute(sa.select(*columns).select_from(batch)).one()
    return found, rows, (position or first) + 1
