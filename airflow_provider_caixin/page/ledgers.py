"""The ledgers that the page shows, opened once and kept open for a while."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import Depends, Query

from airflow_provider_caixin.ledger import Ledger, LedgerError
from airflow_provider_caixin.page.connections import ListedConnection, connections
from airflow_provider_caixin.page.problems import Problem
from airflow_provider_caixin.settings.ledgers import EMBEDDED_NAME, open_ledger
from airflow_provider_caixin.settings.options import default_ledger

# How long a ledger is kept open: a changed connection is seen after that.
KEPT_SECONDS: Final = 60.0
# How long nobody waits once more for a ledger that did not answer.
SILENT_SECONDS: Final = 3.0
STATEMENT_SECONDS: Final = 8


@dataclass(slots=True)
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    ledger: Ledger | None = None
    error: str = ""
    #: When it was opened, or was not.
    at: float = 0.0


_entries: dict[str | None, _Entry] = {}
_guard = threading.Lock()


def ledgers() -> dict[str, str]:
    """List the ledgers that connections send by, the default one first: id and label."""
    default = default_ledger()
    found = {"": default or EMBEDDED_NAME}
    for one in connections():
        conn_id = one.settings.ledger_conn_id if one.settings else None
        if conn_id is not None and conn_id != default:
            found[conn_id] = conn_id
    return found


def is_of(one: ListedConnection, ledger_id: str) -> bool:
    """Check whether a connection sends by a ledger, which has the id that the page gives it."""
    return one.settings is not None and one.settings.ledger_conn_id == (ledger_id or default_ledger())


def _named(ledger: Annotated[str, Query(max_length=250)] = "") -> NamedLedger:
    return NamedLedger(ledger)


class NamedLedger:
    """A ledger that a request names; opened when it is first needed, in the thread that needs it.

    :param id: the id that the page gives it; ``""``: the default one.
    """

    def __init__(self, id: str) -> None:  # noqa: A002  # as in the answers
        self.id = "" if id == default_ledger() else id

    def open(self) -> Ledger:
        """Open the ledger.

        :raises Problem: when no connection of the page names it: whoever asks chooses among ledgers, not
            among databases.
        :raises LedgerError: when it cannot be opened.
        """
        if self.id not in ledgers():
            raise Problem(404, "not_found", "No connection of type caixin names this ledger.")
        conn_id = self.id or default_ledger()
        with _guard:
            entry = _entries.setdefault(conn_id, _Entry())
        with entry.lock:
            now = time.monotonic()
            if entry.ledger is not None and now - entry.at < KEPT_SECONDS:
                return entry.ledger
            if entry.error and now - entry.at < SILENT_SECONDS:
                raise LedgerError(entry.error)
            if entry.ledger is not None:
                # What is being read from it goes on.
                entry.ledger.close()
            entry.ledger, entry.error = None, ""
            try:
                entry.ledger = _open(conn_id)
            except LedgerError as error:
                entry.error = str(error)
                raise
            finally:
                entry.at = time.monotonic()
            return entry.ledger


def close() -> None:
    """Close the ledgers; the next request opens them anew."""
    with _guard:
        for entry in _entries.values():
            if entry.ledger is not None:
                entry.ledger.close()
        _entries.clear()


NamedLedgerDep = Annotated[NamedLedger, Depends(_named)]


def _open(conn_id: str | None) -> Ledger:
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    try:
        return open_ledger(conn_id, statement=STATEMENT_SECONDS, make=False)
    except AirflowNotFoundException:
        raise LedgerError(
            f"The ledger's connection {conn_id!r} is not defined: add it (postgres or mysql), or correct ledger_conn_id."
        ) from None
