"""The suppression list: numbers that must never get a message, whatever the campaign."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.rows.suppression import find_suppressed
from airflow_provider_caixin.ledger.schema import REASON_LENGTH

_BATCH_ROWS: Final = 5_000


class Suppression(NamedTuple):
    """One suppressed number, why, and since when."""

    number: str
    reason: str | None
    added_at: float


_table: Final = schema.suppression
_LIST: Final = sa.select(*(_table.c[name] for name in Suppression._fields))


def suppress(ledger: Ledger, numbers: Iterable[str], reason: str | None = None) -> int:
    """Add numbers; one that is on the list keeps its reason and date.

    :param reason: why, to be shown.
    :return: how many are new on the list.
    """
    added = 0
    for batch in _batches(numbers):
        with ledger.writing() as connection:
            values = {"reason": reason and reason[:REASON_LENGTH], "added_at": ledger.now(connection)}
            known = find_suppressed(connection, batch)
            new = [{"number": one, **values} for one in batch if one not in known]
            if new:
                connection.execute(ledger.insert_if_absent(_table), new)
        added += len(new)
    return added


def count_new(ledger: Ledger, numbers: Iterable[str]) -> int:
    """Return how many of these numbers, each given once, are not on the list; the ledger is only read."""
    with ledger.reading() as connection:
        return sum(len(batch) - len(find_suppressed(connection, batch)) for batch in _batches(numbers))


def release(ledger: Ledger, numbers: Iterable[str]) -> int:
    """Take numbers off the list; return how many were on it."""
    removed = 0
    for batch in _batches(numbers):
        with ledger.writing() as connection:
            removed += connection.execute(sa.delete(_table).where(_table.c.number.in_(batch))).rowcount
    return removed


def suppressed(ledger: Ledger) -> Iterator[Suppression]:
    """Yield the list in the order of its numbers."""
    rows = _LIST.order_by(_table.c.number).execution_options(yield_per=_BATCH_ROWS)
    with ledger.reading() as connection:
        for row in connection.execute(rows):
            yield Suppression(*row)


def find(connection: Connection, number: str) -> Suppression | None:
    """Return what the list has of a number; None: it is not on it."""
    row = connection.execute(_LIST.where(_table.c.number == number)).one_or_none()
    return Suppression(*row) if row else None


def _batches(numbers: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(numbers)
    while batch := list(itertools.islice(rest, _BATCH_ROWS)):
        # In one order, so that two imports at once do not wait for each other.
        yield sorted(set(batch))
