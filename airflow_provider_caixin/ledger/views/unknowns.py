"""Recipients whose outcome is unknown, as they are looked up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger.rows import lease as lease_rows
from airflow_provider_caixin.ledger.rows.load import visible
from airflow_provider_caixin.ledger.schema import recipient as _table
from airflow_provider_caixin.vocabulary import State

_BATCH_ROWS: Final = 1_000


class Unknown(NamedTuple):
    """A recipient whose last request has no answer that says what became of it.

    :param number: in full.
    :param sent_at: when that request left.
    :param doubt_at: when an earlier one left whose outcome was unknown, too; None: there was none.
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
    campaign_key: int,
    now: float,
    *,
    after: int = 0,
    before: float | None = None,
    most: int = _BATCH_ROWS,
) -> list[Unknown]:
    """Return a campaign's recipients whose outcome is unknown, in the order of their keys.

    :param after: the key of the last one that is known already.
    :param before: only those whose request left before this moment.
    """
    as_of = {"reason": lease_rows.reason_as_of(now)}
    statement = (
        sa.select(*(as_of.get(name, _table.c[name]) for name in Unknown._fields))
        .where(_table.c.campaign == campaign_key, lease_rows.is_in(State.UNKNOWN, now), _table.c.id > after)
        .where(visible(connection, campaign_key))
        .order_by(_table.c.id)
        .limit(most)
    )
    if before is not None:
        statement = statement.where(_table.c.sent_at < before)
    return [Unknown._make(row) for row in connection.execute(statement)]


def oldest(connection: Connection, campaign_key: int, now: float) -> float | None:
    """Return when the oldest request left whose outcome is unknown; None: there is none."""
    moment = sa.select(sa.func.min(_table.c.sent_at))
    found = moment.where(_table.c.campaign == campaign_key, lease_rows.is_in(State.UNKNOWN, now))
    oldest_at: float | None = connection.execute(found.where(visible(connection, campaign_key))).scalar_one()
    return oldest_at


def find(connection: Connection, campaign_key: int, numbers: Iterable[str], now: float) -> Iterator[int]:
    """Yield the keys of the recipients with these numbers whose outcome is unknown."""
    rest = iter(numbers)
    while batch := list(islice(rest, _BATCH_ROWS)):
        statement = sa.select(_table.c.id).where(
            _table.c.campaign == campaign_key,
            _table.c.number.in_(batch),
            lease_rows.is_in(State.UNKNOWN, now),
            visible(connection, campaign_key),
        )
        yield from connection.execute(statement).scalars().all()
