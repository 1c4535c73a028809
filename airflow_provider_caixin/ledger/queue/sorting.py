"""An audience in the order of the ledger's key, sorted in a private file."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

from airflow_provider_caixin.ledger.errors import LedgerUnavailable
from airflow_provider_caixin.ledger.files import temporary_folder
from airflow_provider_caixin.machine import MACHINE, Machine
from airflow_provider_caixin.vocabulary import SkipReason, State

BATCH_ROWS: Final = 10_000

AudienceRow = tuple[str, str | None]
"""A number, or the text of a row that is none; and its skip reason."""


def sorted_audience(
    rows: Iterable[AudienceRow], renew: Callable[[], None] = lambda: None, machine: Machine = MACHINE
) -> Generator[dict[str, Any], None, None]:
    """Yield an audience's rows in the order of their numbers, each with position, occurrence and state.

    :param renew: called about once a second while the source is read.
    """
    with private_file() as scratch:
        with on_disk():
            scratch.execute("PRAGMA temp_store=FILE")
            scratch.execute("CREATE TABLE audience (position INTEGER PRIMARY KEY, number TEXT, reason TEXT)")
        numbered = ((position, number, reason) for position, (number, reason) in enumerate(rows))
        renew_if_due = machine.once_a_second(renew)
        scratch.execute("BEGIN")
        while batch := list(itertools.islice(numbered, BATCH_ROWS)):
            with on_disk():
                scratch.executemany("INSERT INTO audience VALUES (?, ?, ?)", batch)
            renew_if_due()
        with on_disk():
            scratch.execute("COMMIT")
        renew()
        with on_disk():
            cursor = scratch.execute(
                "SELECT number, position, reason, row_number() OVER (PARTITION BY number ORDER BY position) "
                "FROM audience ORDER BY number, position"
            )
        while fetched := _fetch(cursor):
            for number, position, found, occurrence in fetched:
                reason = found or (SkipReason.DUPLICATE if occurrence > 1 else None)
                yield {
                    "number": number,
                    "occurrence": occurrence,
                    "position": position,
                    "state": State.SKIPPED if reason else State.PENDING,
                    "reason": reason,
                }


@contextmanager
def private_file() -> Iterator[sqlite3.Connection]:
    """Open a temporary file that has no name (as SQLite does without one): numbers outlive no crash."""
    with closing(sqlite3.connect("", isolation_level=None)) as scratch:
        with on_disk():
            scratch.execute("PRAGMA journal_mode=OFF")
        yield scratch


@contextmanager
def on_disk() -> Iterator[None]:
    """Name the temporary folder in errors of an audience that is kept there.

    :raises LedgerUnavailable: when there is no room for it.
    """
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        folder = temporary_folder()
        where = f"in the temporary folder {folder}" if folder else "as no temporary folder may be written to"
        raise LedgerUnavailable(
            f"The audience could not be sorted {where} ({error}), which takes about as much room as the audience itself; nothing "
            "was loaded. Make room there, or name a larger folder in the environment of the tasks (SQLITE_TMPDIR or TMPDIR)."
        ) from None


def _fetch(cursor: sqlite3.Cursor) -> list[tuple[str, int, str | None, int]]:
    with on_disk():
        return cursor.fetchmany(BATCH_ROWS)
