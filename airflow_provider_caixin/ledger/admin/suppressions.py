"""The suppression list: people who must never get a message, whatever the campaign."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.queue import history
from airflow_provider_caixin.ledger.schema import REASON_LENGTH

_BATCH = 5_000


class Suppression(NamedTuple):
    """One suppressed number, why, and since when (seconds since the epoch)."""

    number: str
    reason: str | None
    added_at: float


def suppress(ledger: Ledger, numbers: Iterable[str], reason: str | None = None) -> int:
    """
    Add numbers; one that is on the list keeps its reason and date.

    :param ledger: the ledger.
    :param numbers: normalised numbers.
    :param reason: why, for people.
    :return: how many are new on the list.
    """
    added = 0
    for batch in _batches(numbers):
        with ledger.writing() as connection:
            values = {"reason": reason and reason[:REASON_LENGTH], "added_at": ledger.now(connection)}
            known = history.find_suppressed(connection, batch)
            new = [{"number": one, **values} for one in batch if one not in known]
            if new:
                connection.execute(ledger.insert_if_absent(schema.suppression), new)
        added += len(new)
    return added


def count_new(ledger: Ledger, numbers: Iterable[str]) -> int:
    """
    Count numbers that are not on the list.

    :param ledger: the ledger, which is only read.
    :param numbers: normalised numbers, each once.
    """
    with ledger.reading() as connection:
        return sum(
            len(batch) - len(history.find_suppressed(connection, batch)) for batch in _batches(numbers)
        )


def release(ledger: Ledger, numbers: Iterable[str]) -> int:
    """
    Take numbers off the list.

    :param ledger: the ledger.
    :param numbers: normalised numbers.
    :return: how many were on it.
    """
    table, removed = schema.suppression, 0
    for batch in _batches(numbers):
        with ledger.writing() as connection:
            removed += connection.execute(sa.delete(table).where(table.c.number.in_(batch))).rowcount
    return removed


def suppressed(ledger: Ledger) -> Iterator[Suppression]:
    """
    Stream the list in the order of its numbers.

    :param ledger: the ledger.
    """
    table = schema.suppression
    rows = sa.select(table.c.number, table.c.reason, table.c.added_at).order_by(table.c.number)
    with ledger.reading() as connection:
        for row in connection.execute(rows.execution_options(yield_per=_BATCH)):
            yield Suppression(*row)


def find(connection: Connection, number: str) -> Suppression | None:
    """
    Look a number up on the list.

    :param connection: any transaction.
    :param number: a normalised number.
    """
    table = schema.suppression
    one = sa.select(table.c.number, table.c.reason, table.c.added_at).where(table.c.number == number)
    row = connection.execute(one).one_or_none()
    return Suppression(*row) if row else None


def _batches(numbers: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(numbers)
    while batch := list(itertools.islice(rest, _BATCH)):
        # In one order, so that two imports at once do not wait for each other.
        yield sorted(set(batch))
