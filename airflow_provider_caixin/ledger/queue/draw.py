"""Take up recipients: those whose waiting is over, those in their order, those whose outcome is unknown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger.rows.load import visible
from airflow_provider_caixin.ledger.rows.recipient import BATCH_ROWS, recipients
from airflow_provider_caixin.ledger.schema import FAR_AHEAD
from airflow_provider_caixin.vocabulary import SkipReason, State

_DRAW_DELAYED: Final = (
    sa.select(recipients.c.id, recipients.c.number, recipients.c.busy)
    .where(recipients.c.campaign == sa.bindparam("campaign"), recipients.c.state == State.PENDING.value)
    .where(recipients.c.due > 0)
    .where(sa.or_(recipients.c.due <= sa.bindparam("now"), recipients.c.due > sa.bindparam("far")))
    .order_by(recipients.c.due)
    .limit(sa.bindparam("most"))
)

_DRAW_FRESH: Final = (
    sa.select(recipients.c.id, recipients.c.number, recipients.c.busy)
    .where(recipients.c.campaign == sa.bindparam("campaign"), recipients.c.state == State.PENDING.value)
    .where(recipients.c.due == 0, recipients.c.position.between(sa.bindparam("first"), sa.bindparam("last")))
    .order_by(recipients.c.position)
    .limit(sa.bindparam("most"))
)

_DRAW_UNKNOWN: Final = (
    sa.select(recipients.c.id, recipients.c.number, recipients.c.busy, recipients.c.sent_at)
    .where(recipients.c.campaign == sa.bindparam("campaign"), recipients.c.state == State.UNKNOWN.value)
    .where(recipients.c.doubt_at.is_(None), recipients.c.sent_at < sa.bindparam("before"))
    .where(recipients.c.due <= sa.bindparam("now"))
    .order_by(recipients.c.due, recipients.c.position)
    .limit(sa.bindparam("most"))
)


class Recipient(NamedTuple):
    """
    A recipient taken up for judging.

    :param doubt_at: when the earlier request left of one that is in doubt; None: there was none.
    """

    id: int
    number: str
    busy: int
    doubt_at: float | None = None


def draw_pending(
    connection: Connection, campaign: int, now: float, most: int, ranges: list[tuple[int, int]]
) -> list[Recipient]:
    """
    Take up pending recipients: those whose waiting is over first, then in the audience's order.

    :param connection: a transaction that holds the campaign's lock.
    :param campaign: the campaign's key.
    :param now: the ledger's clock.
    :param most: how many at the most.
    :param ranges: the positions of complete loads, from :func:`~.loads.visible_ranges`.
    """
    values: dict[str, Any] = {"campaign": campaign, "now": now, "far": now + FAR_AHEAD, "most": most}
    rows = [Recipient(*row) for row in connection.execute(_DRAW_DELAYED, values)]
    for first, last in ranges:
        if len(rows) >= most:
            break
        values = {"campaign": campaign, "first": first, "last": last, "most": most - len(rows)}
        rows += [Recipient(*row) for row in connection.execute(_DRAW_FRESH, values)]
    return rows


def draw_unknown(
    connection: Connection, campaign: int, now: float, before: float, most: int
) -> list[Recipient]:
    """
    Take up recipients in doubt that were not sent a second time yet.

    :param connection: a transaction that holds the campaign's lock.
    :param campaign: the campaign's key.
    :param now: the ledger's clock.
    :param before: only those whose request left before this moment.
    :param most: how many at the most.
    """
    values = {"campaign": campaign, "now": now, "before": before, "most": most}
    # A restored ledger also has doubts of loads that are not complete.
    statement = _DRAW_UNKNOWN.where(visible(connection, campaign))
    return [Recipient(*row) for row in connection.execute(statement, values)]


def skipped_batches(
    connection: Connection, campaign: int, reasons: Sequence[SkipReason]
) -> Iterator[list[Recipient]]:
    """
    Stream the recipients that rules had skipped, in batches; those of a load that is not complete are not among them.

    :param connection: a reading transaction.
    :param campaign: the campaign's key.
    :param reasons: the skip reasons to look for.
    """
    among = recipients.c.reason.in_([reason.value for reason in reasons])
    shown = visible(connection, campaign)
    return _batches(connection, campaign, recipients.c.state == State.SKIPPED.value, among, shown)


def _batches(
    connection: Connection, campaign: int, *where: sa.ColumnElement[bool]
) -> Iterator[list[Recipient]]:
    last = 0
    while True:
        statement = (
            sa.select(recipients.c.id, recipients.c.number, recipients.c.busy)
            .where(recipients.c.campaign == campaign, recipients.c.id > last, *where)
            .order_by(recipients.c.id)
            .limit(BATCH_ROWS)
        )
        batch = [Recipient(*row) for row in connection.execute(statement)]
        if not batch:
            return
        yield batch
        last = batch[-1].id


def known_keys(connection: Connection, campaign: int, numbers: Sequence[str]) -> set[tuple[str, int]]:
    """
    Find which audience rows a campaign has already; what a load that is not complete left behind is still to come.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param numbers: normalised numbers or raw texts.
    :return: pairs of number and occurrence.
    """
    statement = sa.select(recipients.c.number, recipients.c.occurrence).where(
        recipients.c.campaign == campaign, recipients.c.number.in_(numbers), visible(connection, campaign)
    )
    return {(number, occurrence) for number, occurrence in connection.execute(statement)}


def pending_batches(connection: Connection, campaign: int) -> Iterator[list[Recipient]]:
    """
    Stream the recipients that wait to be sent, in batches.

    :param connection: a reading transaction.
    :param campaign: the campaign's key.
    """
    return _batches(
        connection, campaign, recipients.c.state == State.PENDING.value, visible(connection, campaign)
    )
