"""What recipients had before: for the frequency cap, and for templates that they already got."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.rows import recipient as recipient_rows
from airflow_provider_caixin.ledger.rows.load import visible_ranges
from airflow_provider_caixin.ledger.rows.recipient import recipients
from airflow_provider_caixin.vocabulary import State

LOOK_SECONDS: Final = 5.0

# Was, may have been or may yet be.
BILLED_STATES: Final = (State.SENT.value, State.UNKNOWN.value, State.IN_FLIGHT.value)

_HISTORY: Final = (
    sa.select(
        recipients.c.id,
        recipients.c.number,
        recipients.c.state,
        recipients.c.sent_at,
        recipients.c.due,
        recipients.c.doubt_at,
    )
    .where(recipients.c.number.in_(sa.bindparam("numbers", expanding=True)))
    .where(recipients.c.sent_at >= sa.bindparam("since"))
    # No join, and a sum that no index has: SQLite, and MariaDB for many numbers, would begin with the campaigns and read all
    # that each of them has sent.
    .where(
        (recipients.c.campaign + 0).in_(
            sa.select(schema.campaign.c.id).where(schema.campaign.c.account == sa.bindparam("account"))
        )
    )
    .where(recipients.c.state.in_(BILLED_STATES))
)

_SUPPRESSED: Final = sa.select(schema.suppression.c.number).where(
    schema.suppression.c.number.in_(sa.bindparam("numbers", expanding=True))
)


class Attempt(NamedTuple):
    """A message to a person that was, may have been or may yet be billed."""

    id: int
    number: str
    state: str
    sent_at: float
    due: float
    doubt_at: float | None


def find_attempts(
    connection: Connection, account: int, numbers: Sequence[str], since: float
) -> dict[str, list[Attempt]]:
    """
    Find people's messages of an account, over all its campaigns.

    :param connection: any transaction.
    :param account: the account's key.
    :param numbers: the people.
    :param since: messages that left before this moment do not count.
    """
    found: dict[str, list[Attempt]] = {}
    values = {"numbers": list(numbers), "account": account, "since": since}
    for row in connection.execute(_HISTORY, values):
        found.setdefault(row.number, []).append(Attempt(*row))
    return found


def find_suppressed(connection: Connection, numbers: Sequence[str]) -> set[str]:
    """
    Find which of these numbers must never get a message.

    :param connection: any transaction.
    :param numbers: normalised numbers.
    """
    return set(connection.execute(_SUPPRESSED, {"numbers": list(numbers)}).scalars())


def count_had_template(
    connection: Connection, campaign: int, account: int, tpl_id: int, seconds: float = LOOK_SECONDS
) -> tuple[int, int]:
    """
    Count the pending recipients that already got this template, or may have, in another campaign of the account.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param account: the account's key.
    :param tpl_id: the template.
    :param seconds: after so long no more of them are looked at.
    :return: how many had it, and how many were looked at.
    """
    keys = campaigns_with_template(connection, campaign, account, tpl_id)
    had = looked_at = 0
    until = time.monotonic() + seconds
    for first, last in visible_ranges(connection, campaign) if keys else ():
        place, rows = first, recipient_rows.BATCH_ROWS
        while rows == recipient_rows.BATCH_ROWS and time.monotonic() < until:
            found, rows, place = _count_in_batch(connection, campaign, keys, place, last)
            had, looked_at = had + found, looked_at + rows
    return had, looked_at


def campaigns_with_template(
    connection: Connection, campaign: int | None, account: int, tpl_id: int
) -> list[int]:
    """
    Find the other campaigns of an account in which people got a template, or may have.

    :param connection: any transaction.
    :param campaign: the campaign's key; None: it is not in the ledger yet.
    :param account: the account's key.
    :param tpl_id: the template.
    """
    table = schema.campaign
    found = sa.select(table.c.id).where(
        table.c.account == account,
        table.c.tpl_id == tpl_id,
        table.c.sent + table.c.unknown + table.c.in_flight > 0,
    )
    return [key for key in connection.execute(found).scalars() if key != campaign]


def who_got_it(connection: Connection, campaigns: Sequence[int], numbers: Sequence[str]) -> set[str]:
    """
    Find which of these people got a message in one of these campaigns, or may have.

    :param connection: any transaction.
    :param campaigns: the campaigns' keys.
    :param numbers: normalised numbers.
    """
    billed = recipients.c.state.in_(BILLED_STATES)
    found = sa.select(recipients.c.number).where(
        recipients.c.number.in_(list(numbers)), recipients.c.campaign.in_(list(campaigns)), billed
    )
    return set(connection.execute(found).scalars())


def _count_in_batch(
    connection: Connection, campaign: int, others: list[int], first: int, last: int
) -> tuple[int, int, int]:
    """Look at a batch from a position on; return how many had the template, how many these are, and where to go on."""
    batch = (
        sa.select(recipients.c.number, recipients.c.position)
        .where(recipients.c.campaign == campaign, recipients.c.state == State.PENDING.value)
        .where(recipients.c.due == 0, recipients.c.position.between(first, last))
        .order_by(recipients.c.position)
        .limit(recipient_rows.BATCH_ROWS)
        .subquery()
    )
    other = recipients.alias()
    had = sa.exists().where(
        other.c.number == batch.c.number,
        other.c.campaign.in_(others),
        other.c.state.in_(BILLED_STATES),
    )
    columns = (sa.func.count(sa.case((had, 1))), sa.func.count(), sa.func.max(batch.c.position))
    found, rows, position = connection.execute(sa.select(*columns).select_from(batch)).one()
    return found, rows, (position or first) + 1
