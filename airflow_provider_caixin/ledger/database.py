"""One database, three dialects: everything that SQLite, PostgreSQL and MySQL/MariaDB do differently."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine

from airflow_provider_caixin.ledger import files, migrations
from airflow_provider_caixin.ledger.engines import MAKER, READER, WRITER, engine_for
from airflow_provider_caixin.ledger.errors import LedgerError, LedgerUnavailable
from airflow_provider_caixin.ledger.sessions import Limits, ReadOnlyServer, UnfitSession
from airflow_provider_caixin.machine import MACHINE, Machine

log = logging.getLogger(__name__)

_NUMBERS: Final = re.compile(r"\d{7,}")

_CLOCKS: Final = {
    "postgresql": sa.text("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"),
    "mysql": sa.text("SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) AS DOUBLE)"),
}

# Two sessions that make tables at once trip over each other on these two; SQLite's write lock is enough.
# MySQL's named locks are the server's and end with the session.
_MAKER_LOCKS: Final = {
    "postgresql": "SELECT pg_advisory_xact_lock(236300) IS NOT NULL",
    "mysql": f"SELECT GET_LOCK(CONCAT('caixin_ledger_', MD5(DATABASE())), {MAKER.lock})",
}


class Ledger:
    """The database of campaigns and of what happened to each recipient: engine, transactions and clock.

    :param url: an SQLAlchemy URL of SQLite, PostgreSQL (psycopg 3) or MySQL/MariaDB (PyMySQL).
    :param machine: where this process runs; SQLite's slots and leases go by its clock, the other two use
        their own.
    :param statement: how many seconds one statement may take.
    :param arguments: further arguments of psycopg or PyMySQL.
    :param allow_unsafe: take a server that forgets commits in a crash, whereupon messages are billed twice.
    :raises LedgerUnavailable: when the database cannot be opened, or takes no writes now.
    :raises LedgerError: when its tables are of a version that this one cannot use, its sessions do not keep
        what the ledger needs, or this process may not write to its file.
    """

    def __init__(
        self,
        url: URL | str,
        machine: Machine = MACHINE,
        *,
        statement: int = WRITER.statement,
        arguments: Mapping[str, Any] = MappingProxyType({}),
        allow_unsafe: bool = False,
    ) -> None:
        self.machine = machine
        self._url = sa.make_url(url)
        self._arguments = arguments
        self._allow_unsafe = allow_unsafe
        # Once the ledger has been opened, what does not hold any more may come back.
        self._error_of_unfit: type[LedgerError] = LedgerError
        try:
            self.engine, self._readers = (
                self._engine(replace(limits, statement=statement)) for limits in (WRITER, READER)
            )
        except ValueError as error:
            raise LedgerError(str(error)) from None
        self.dialect = "mysql" if self.engine.dialect.name == "mariadb" else self.engine.dialect.name
        try:
            self.uuid = self._prepare()
        except BaseException:
            self.close()
            raise
        self._error_of_unfit = LedgerUnavailable

    @classmethod
    def sqlite(cls, path: str | PathLike[str], machine: Machine = MACHINE) -> Ledger:
        """Open the embedded ledger, a file on a local disk that is made when it is not there."""
        return cls(URL.create("sqlite", database=fspath(path)), machine)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that may write; on SQLite it holds the write lock from the start.

        :raises LedgerUnavailable: when it cannot be begun, run or committed.
        """
        with self._ledger_errors(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that only reads, and on SQLite waits for no writer.

        :raises LedgerUnavailable: when the database does not answer.
        """
        with self._ledger_errors(), self._readers.connect() as connection:
            yield connection

    def now(self, connection: Connection) -> float:
        """Read the clock that slots and leases go by.

        PostgreSQL's ``now()`` and MySQL's ``NOW()`` are the start of the transaction or statement, before any
        wait for a lock; these are not.
        """
        statement = _CLOCKS.get(self.dialect)
        return (
            self.machine.clock() if statement is None else float(connection.execute(statement).scalar_one())
        )

    def insert_if_absent(self, table: sa.Table) -> Any:
        """Return an insert that leaves a row alone that is already there."""
        if self.dialect == "mysql":
            key = next(iter(table.primary_key))
            return mysql.insert(table).on_duplicate_key_update({key.name: key})
        return self._insert(table).on_conflict_do_nothing()

    def insert_or_adopt(
        self, table: sa.Table, key: list[str], column: str, adoptable: sa.ColumnElement[bool]
    ) -> Any:
        """Return an insert that, for a row that is already there, sets one column where a condition holds.

        :param key: the columns of the unique key.
        :param adoptable: the condition on the row that is there.
        """
        if self.dialect == "mysql":
            insert = mysql.insert(table)
            kept = sa.func.if_(adoptable, insert.inserted[column], table.c[column])
            return insert.on_duplicate_key_update({column: kept})
        insert = self._insert(table)
        return insert.on_conflict_do_update(
            index_elements=key, set_={column: insert.excluded[column]}, where=adoptable
        )

    def close(self) -> None:
        """Close the connections that are not in use."""
        self.engine.dispose()
        self._readers.dispose()

    def _engine(self, limits: Limits) -> Engine:
        return engine_for(self._url, limits, self._arguments, allow_unsafe=self._allow_unsafe)

    @contextmanager
    def _ledger_errors(self) -> Iterator[None]:
        """Raise whatever goes wrong with the database as an error of the ledger."""
        try:
            yield
        except ReadOnlyServer as error:
            raise LedgerUnavailable(str(error)) from None
        except UnfitSession as error:
            raise self._error_of_unfit(str(error)) from None
        except (exc.DBAPIError, exc.TimeoutError) as error:
            file = self._url.database if self._url.get_backend_name() == "sqlite" else None
            if file and (why := files.refusal(Path(file))):
                raise self._error_of_unfit(
                    f"The ledger's file {file} cannot be used: {why}. Run all of Airflow's processes as one user, or give "
                    "this one the right to write there."
                ) from None
            raise LedgerUnavailable(f"The ledger did not answer: {_words_of(error)}") from None

    def _insert(self, table: sa.Table) -> Any:
        return sqlite.insert(table) if self.dialect == "sqlite" else postgresql.insert(table)

    def _prepare(self) -> str:
        """Make the tables if need be and return the ledger's own id."""
        with self.reading() as connection:
            if self.dialect == "postgresql":
                encoding = connection.execute(sa.text("SHOW server_encoding")).scalar_one()
                if encoding != "UTF8":
                    raise LedgerError(
                        f"The ledger's database has the encoding {encoding}, which cannot hold the gateway's Chinese texts: "
                        "give it a database with the encoding UTF8."
                    )
            meta = migrations.read_meta(connection)
        return (meta if migrations.is_current(meta) else self._make_or_upgrade())["uuid"]

    def _make_or_upgrade(self) -> dict[str, str]:
        """Make the tables, or bring those of an older version to this one, while no other process does."""
        engine = self._engine(MAKER)
        try:
            with self._ledger_errors(), engine.begin() as connection:
                lock = _MAKER_LOCKS.get(self.dialect)
                if lock is not None and not connection.execute(sa.text(lock)).scalar_one():
                    raise LedgerUnavailable(
                        "The ledger's tables are being made by another process; it takes too long."
                    )
                return migrations.make_or_upgrade(connection)
        except LedgerUnavailable as error:
            raise LedgerUnavailable(
                "The ledger's tables could not be made or upgraded, for which its user needs the right to create and alter "
                f"tables. {error}"
            ) from None
        finally:
            engine.dispose()


def _words_of(error: exc.DBAPIError | exc.TimeoutError) -> str:
    """Return the database's own words without statement, parameters, and the numbers that they quote."""
    cause = getattr(error, "orig", None) or error
    words = getattr(getattr(cause, "diag", None), "message_primary", None) or str(cause).partition("\n")[0]
    return f"{type(cause).__name__}: {_NUMBERS.sub('***', words)}"
