"""Recipients whose outcome is unknown, as people look them up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger.admin.unknowns import BATCH, _table
from airflow_provider_caixin.ledger.rows import lease as lease_rows
from airflow_provider_caixin.ledger.rows.load import visible
from airflow_provider_caixin.vocabulary import State


class Unknown(NamedTuple):
    """
    A recipient whose last request has no answer that says what became of it.

    :param id: the recipient's key.
    :param number: in full.
    :param sent_at: when that request left, in seconds since the epoch.
    :param doubt_at: when an earlier one left that was in doubt, too; None: there was none.
    :param code: the answer's ``error_code``, where it had one.
    :param reason: what is known.
    """

    id: int
    number: str
    sent_at: float
    doubt_at: float | None
    code: int | None
    reason: str | None

    @property
    def twice(self) -> bool:
        """Whether it was sent once more, so that it may be billed twice."""
        return self.doubt_at is not None and self.doubt_at != self.sent_at


def unknowns(
    connection: Connection,
    campaign: int,
    now: float,
    *,
    after: int = 0,
    before: float | None = None,
    most: int = BATCH,
) -> list[Unknown]:
    """
    Give recipients in doubt of a campaign, by their keys.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param now: the ledger's clock.
    :param after: the key of the last one that is known already.
    :param before: only those whose request left before this moment.
    :param most: how many at the most.
    """
    told = {"reason": lease_rows.reason_as_of(now)}
    statement = (
        sa.select(*(told.get(name, _table.c[name]) for name in Unknown._fields))
        .where(_table.c.campaign == campaign, lease_rows.is_in(State.UNKNOWN, now), _table.c.id > after)
        .where(visible(connection, campaign))
        .order_by(_table.c.id)
        .limit(most)
    )
    if before is not None:
        statement = statement.where(_table.c.sent_at < before)
    return [Unknown._make(row) for row in connection.execute(statement)]


def oldest(connection: Connection, campaign: int, now: float) -> float | None:
    """
    Say when the oldest request left that is in doubt; None: there is none.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param now: the ledger's clock.
    """
    moment = sa.select(sa.func.min(_table.c.sent_at))
    found = moment.where(_table.c.campaign == campaign, lease_rows.is_in(State.UNKNOWN, now))
    oldest_at: float | None = connection.execute(found.where(visible(connection, campaign))).scalar_one()
    return oldest_at


def find(connection: Connection, campaign: int, numbers: Iterable[str], now: float) -> Iterator[int]:
    """
    Stream the keys of those recipients in doubt whose numbers are given.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param numbers: normalised numbers.
    :param now: the ledger's clock.
    """
    rest = iter(numbers)
    while batch := list(islice(rest, BATCH)):
        statement = sa.select(_table.c.id).where(
            _table.c.campaign == campaign,
            _table.c.number.in_(batch),
            lease_rows.is_in(State.UNKNOWN, now),
            visible(connection, campaign),
        )
        yield from connection.execute(statement).scalars().all()
