"""An audience in the order of the ledger's key, sorted in a private file."""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

from airflow_provider_caixin.ledger.errors import LedgerUnavailable
from airflow_provider_caixin.ledger.files import temporary_folder
from airflow_provider_caixin.vocabulary import SkipReason, State

BATCH_ROWS: Final = 10_000

Row = tuple[str, str | None]


def sorted_audience(
    rows: Iterable[Row], renew: Callable[[], None] = lambda: None
) -> Generator[dict[str, Any], None, None]:
    """
    Stream an audience in the order of its numbers, each row with its place and occurrence and its state.

    :param rows: (number or raw text, skip reason or None) in the audience's order.
    :param renew: called about once a second while the source is read.
    """
    # An empty name makes a temporary file that is unlinked as soon as it is open: numbers outlive no crash.
    with closing(sqlite3.connect("", isolation_level=None)) as scratch:
        with _on_disk():
            scratch.execute("PRAGMA journal_mode=OFF")
            scratch.execute("PRAGMA temp_store=FILE")
            scratch.execute("CREATE TABLE audience (place INTEGER PRIMARY KEY, number TEXT, reason TEXT)")
        numbered = ((place, number, reason) for place, (number, reason) in enumerate(rows))
        renewed = time.monotonic()
        scratch.execute("BEGIN")
        while batch := list(itertools.islice(numbered, BATCH_ROWS)):
            with _on_disk():
                scratch.executemany("INSERT INTO audience VALUES (?, ?, ?)", batch)
            if time.monotonic() - renewed > 1:
                renew()
                renewed = time.monotonic()
        with _on_disk():
            scratch.execute("COMMIT")
        renew()
        with _on_disk():
            cursor = scratch.execute(
                "SELECT number, place, reason, row_number() OVER (PARTITION BY number ORDER BY place) "
                "FROM audience ORDER BY number, place"
            )
        while fetched := _fetched(cursor):
            for number, place, found, occurrence in fetched:
                reason = found or (SkipReason.DUPLICATE if occurrence > 1 else None)
                yield {
                    "number": number,
                    "occurrence": occurrence,
                    "position": place,
                    "state": State.SKIPPED if reason else State.PENDING,
                    "reason": reason,
                }


@contextmanager
def _on_disk() -> Iterator[None]:
    """
    Say where an audience that is being sorted lies.

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


def _fetched(cursor: sqlite3.Cursor) -> list[tuple[str, int, str | None, int]]:
    with _on_disk():
        return cursor.fetchmany(BATCH_ROWS)
