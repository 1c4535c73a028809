"""Draw recipients to be judged: pending ones, those with an unknown outcome, those that were skipped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger.rows.load import visible
from airflow_provider_caixin.ledger.rows.recipient import BATCH_ROWS
from airflow_provider_caixin.ledger.schema import FAR_AHEAD_SECONDS, recipient
from airflow_provider_caixin.vocabulary import SkipReason, State

_DRAW: Final = sa.select(recipient.c.id, recipient.c.number, recipient.c.busy)
_PENDING: Final = _DRAW.where(
    recipient.c.campaign == sa.bindparam("campaign"), recipient.c.state == State.PENDING.value
)

_DRAW_DELAYED: Final = (
    _PENDING.where(recipient.c.due > 0)
    .where(sa.or_(recipient.c.due <= sa.bindparam("now"), recipient.c.due > sa.bindparam("far")))
    .order_by(recipient.c.due)
    .limit(sa.bindparam("most"))
)

_DRAW_FRESH: Final = (
    _PENDING.where(recipient.c.due == 0)
    .where(recipient.c.position.between(sa.bindparam("first"), sa.bindparam("last")))
    .order_by(recipient.c.position)
    .limit(sa.bindparam("most"))
)

_DRAW_UNKNOWN: Final = (
    _DRAW.add_columns(recipient.c.sent_at)
    .where(recipient.c.campaign == sa.bindparam("campaign"), recipient.c.state == State.UNKNOWN.value)
    .where(recipient.c.doubt_at.is_(None), recipient.c.sent_at < sa.bindparam("before"))
    .where(recipient.c.due <= sa.bindparam("now"))
    .order_by(recipient.c.due, recipient.c.position)
    .limit(sa.bindparam("most"))
)


class Recipient(NamedTuple):
    """A recipient on its way from the ledger to a sender.

    :param busy: how often in a row the channel was busy for it.
    :param doubt_at: when the earlier request left, where that one's outcome is unknown; None: there was none.
    """

    id: int
    number: str
    busy: int
    doubt_at: float | None = None


def draw_pending(
    connection: Connection, campaign_key: int, now: float, most: int, ranges: list[tuple[int, int]]
) -> list[Recipient]:
    """Return pending recipients: those whose waiting is over first, then in the audience's order.

    :param ranges: the positions of complete loads, from :func:`~.rows.load.visible_ranges`.
    """
    values: dict[str, Any] = {
        "campaign": campaign_key,
        "now": now,
        "far": now + FAR_AHEAD_SECONDS,
        "most": most,
    }
    drawn = [Recipient(*row) for row in connection.execute(_DRAW_DELAYED, values)]
    for first, last in ranges:
        if len(drawn) >= most:
            break
        values = {"campaign": campaign_key, "first": first, "last": last, "most": most - len(drawn)}
        drawn += [Recipient(*row) for row in connection.execute(_DRAW_FRESH, values)]
    return drawn


def draw_unknown(
    connection: Connection, campaign_key: int, now: float, before: float, most: int
) -> list[Recipient]:
    """Return recipients whose outcome is unknown and that were not sent a second time yet.

    :param before: only those whose request left before this moment.
    """
    values = {"campaign": campaign_key, "now": now, "before": before, "most": most}
    # A restored ledger also has unknown outcomes in loads that are not complete.
    statement = _DRAW_UNKNOWN.where(visible(connection, campaign_key))
    return [Recipient(*row) for row in connection.execute(statement, values)]


def put_off(connection: Connection, ids: Sequence[int], until: float) -> None:
    """Leave recipients whose outcome is unknown alone until a moment."""
    if ids:
        connection.execute(sa.update(recipient).where(recipient.c.id.in_(list(ids))).values(due=until))


def pending_batches(connection: Connection, campaign_key: int) -> Iterator[list[Recipient]]:
    """Yield the recipients that wait to be sent, in batches."""
    return _batches(connection, campaign_key, recipient.c.state == State.PENDING.value)


def skipped_batches(
    connection: Connection, campaign_key: int, reasons: Sequence[SkipReason]
) -> Iterator[list[Recipient]]:
    """Yield the recipients that were skipped for one of these reasons, in batches."""
    return _batches(connection, campaign_key, recipient.c.state == State.SKIPPED.value, _is_among(reasons))


def _batches(
    connection: Connection, campaign_key: int, *where: sa.ColumnElement[bool]
) -> Iterator[list[Recipient]]:
    statement = (
        _DRAW.where(recipient.c.campaign == campaign_key, *where, visible(connection, campaign_key))
        .order_by(recipient.c.id)
        .limit(BATCH_ROWS)
    )
    last = 0
    while batch := [Recipient(*row) for row in connection.execute(statement.where(recipient.c.id > last))]:
        yield batch
        last = batch[-1].id


def reopen_skipped(connection: Connection, ids: Sequence[int], reasons: Sequence[SkipReason]) -> int:
    """Make skipped recipients pending again, unless another run has done so or skipped them for good.

    :param reasons: the skip reasons that they had.
    :return: how many were still skipped so.
    """
    still = (recipient.c.state == State.SKIPPED.value, _is_among(reasons))
    again = sa.update(recipient).where(recipient.c.id.in_(list(ids)), *still)
    return connection.execute(again.values(state=State.PENDING.value, reason=None, due=0.0)).rowcount


def _is_among(reasons: Sequence[SkipReason]) -> sa.ColumnElement[bool]:
    return recipient.c.reason.in_([reason.value for reason in reasons])


def known_keys(connection: Connection, campaign_key: int, numbers: Sequence[str]) -> set[tuple[str, int]]:
    """Return which audience rows a campaign has already, as pairs of number and occurrence.

    What a load that is not complete left behind is still to come.
    """
    statement = sa.select(recipient.c.number, recipient.c.occurrence).where(
        recipient.c.campaign == campaign_key,
        recipient.c.number.in_(numbers),
        visible(connection, campaign_key),
    )
    return {(number, occurrence) for number, occurrence in connection.execute(statement)}
