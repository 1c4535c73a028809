"""One database, three dialects: everything that SQLite, PostgreSQL and MySQL/MariaDB do differently."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
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

from airflow_provider_caixin.ledger import files, schema
from airflow_provider_caixin.ledger.engines import MAKER, READER, WRITER, Limits, engine_for
from airflow_provider_caixin.ledger.errors import LedgerError, LedgerUnavailable
from airflow_provider_caixin.ledger.migrations import STEPS
from airflow_provider_caixin.ledger.sessions import ReadOnly, Unfit

log = logging.getLogger(__name__)

_NUMBERS: Final = re.compile(r"\d{7,}")
_VERSION: Final = "schema_version"

_CLOCKS: Final = {
    "postgresql": sa.text("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"),
    "mysql": sa.text("SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) AS DOUBLE)"),
}

# Two sessions that make tables at once trip over each other on these two; SQLite's write lock is enough. MySQL's
# named locks are the server's and end with the session.
_MAKING: Final = {
    "postgresql": "SELECT pg_advisory_xact_lock(236300) IS NOT NULL",
    "mysql": f"SELECT GET_LOCK(CONCAT('caixin_ledger_', MD5(DATABASE())), {MAKER.lock})",
}


class Ledger:
    """
    The database of campaigns and of what happened to each recipient: engine, transactions and clock.

    :param url: an SQLAlchemy URL of SQLite, PostgreSQL (psycopg 3) or MySQL/MariaDB (PyMySQL).
    :param clock: the host's clock, seconds since the epoch; SQLite's slots and leases go by it, the other
        two use their own.
    :param statement: seconds that one statement may take.
    :param arguments: further arguments of psycopg or PyMySQL.
    :param allow_unsafe: take a server that forgets commits in a crash, whereupon people are billed twice.
    :raises LedgerUnavailable: when the database cannot be opened, or takes no writes now.
    :raises LedgerError: when it holds tables of a newer version than this one, its sessions do not keep what the
        ledger needs, or its file may not be written by this process.
    """

    def __init__(
        self,
        url: URL | str,
        clock: Callable[[], float] = time.time,
        *,
        statement: int = WRITER.statement,
        arguments: Mapping[str, Any] = MappingProxyType({}),
        allow_unsafe: bool = False,
    ) -> None:
        self._clock = clock
        self._url = sa.make_url(url)
        self._arguments = arguments
        self._allow_unsafe = allow_unsafe
        # Once it has been opened, what does not hold any more may come back.
        self._unfit: type[LedgerError] = LedgerError
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
        self._unfit = LedgerUnavailable

    @classmethod
    def sqlite(cls, path: str | PathLike[str], clock: Callable[[], float] = time.time) -> Ledger:
        """
        Open the embedded ledger, a file that is made when it is not there.

        :param path: the file, on a local disk.
        :param clock: the host's clock, seconds since the epoch.
        """
        return cls(URL.create("sqlite", database=fspath(path)), clock)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """
        Open a transaction that may write; on SQLite it holds the write lock from the start.

        :raises LedgerUnavailable: when it cannot be begun, run or committed.
        """
        with self._translated(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """
        Open a transaction that only reads, and on SQLite waits for no writer.

        :raises LedgerUnavailable: when the database does not answer.
        """
        with self._translated(), self._readers.connect() as connection:
            yield connection

    def now(self, connection: Connection) -> float:
        """
        Read the clock that slots and leases go by.

        PostgreSQL's ``now()`` and MySQL's ``NOW()`` are the start of the transaction or statement, before any
        wait for a lock; these are not.

        :param connection: a transaction of this database.
        """
        statement = _CLOCKS.get(self.dialect)
        return self._clock() if statement is None else float(connection.execute(statement).scalar_one())

    def insert_if_absent(self, table: sa.Table) -> Any:
        """
        Build an insert that leaves a row alone that is already there.

        :param table: where to insert.
        """
        if self.dialect == "mysql":
            key = next(iter(table.primary_key))
            return mysql.insert(table).on_duplicate_key_update({key.name: key})
        return self._insert(table).on_conflict_do_nothing()

    def insert_or_adopt(
        self, table: sa.Table, key: list[str], column: str, adoptable: sa.ColumnElement[bool]
    ) -> Any:
        """
        Build an insert that, for a row that is already there, sets one column where a condition holds.

        :param table: where to insert.
        :param key: the columns of the unique key.
        :param column: the column to set.
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
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except ReadOnly as error:
            raise LedgerUnavailable(str(error)) from None
        except Unfit as error:
            raise self._unfit(str(error)) from None
        except (exc.DBAPIError, exc.TimeoutError) as error:
            file = self._url.database if self._url.get_backend_name() == "sqlite" else None
            if file and (why := files.refusal(Path(file))):
                raise self._unfit(
                    f"The ledger's file {file} cannot be used: {why}. Run all of Airflow's processes as one user, or give "
                    "this one the right to write there."
                ) from None
            raise LedgerUnavailable(f"The ledger did not answer: {_said(error)}") from None

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
            stored = _read_meta(connection)
        if int(stored.get(_VERSION, 0)) < schema.SCHEMA_VERSION:
            stored = self._make()
        if int(stored[_VERSION]) > schema.SCHEMA_VERSION:
            raise LedgerError(
                f"The ledger has schema version {stored[_VERSION]}, this airflow-provider-caixin knows up to "
                f"{schema.SCHEMA_VERSION}: upgrade airflow-provider-caixin on this host."
            )
        return stored["uuid"]

    def _make(self) -> dict[str, str]:
        """Make the tables, or bring those of an older version to this one, while no other process does."""
        engine = self._engine(MAKER)
        try:
            with self._translated(), engine.begin() as connection:
                lock = _MAKING.get(self.dialect)
                if lock is not None and not connection.execute(sa.text(lock)).scalar_one():
                    raise LedgerUnavailable(
                        "The ledger's tables are being made by another process; it takes too long."
                    )
                stored = _read_meta(connection)
                if not stored:
                    schema.metadata.create_all(connection)
                    stored = {_VERSION: str(schema.SCHEMA_VERSION), "uuid": str(uuid.uuid4())}
                    values = [{"name": name, "value": value} for name, value in stored.items()]
                    connection.execute(sa.insert(schema.meta), values)
                for version in range(int(stored[_VERSION]) + 1, schema.SCHEMA_VERSION + 1):
                    log.warning(
                        "Upgrading the ledger to schema version %d; with millions of recipients this takes minutes.",
                        version,
                    )
                    STEPS[version](connection)
                    stored[_VERSION] = str(version)
                    change = sa.update(schema.meta).where(schema.meta.c.name == _VERSION)
                    connection.execute(change.values(value=stored[_VERSION]))
        except LedgerUnavailable as error:
            raise LedgerUnavailable(
                f"The ledger's tables could not be made or upgraded, for which its user needs the right to create and alter "
                f"tables. {error}"
            ) from None
        finally:
            engine.dispose()
        return stored


def _read_meta(connection: Connection) -> dict[str, str]:
    if not sa.inspect(connection).has_table(schema.meta.name):
        return {}
    rows = connection.execute(sa.select(schema.meta.c.name, schema.meta.c.value))
    return {row.name: row.value for row in rows}


def _said(error: exc.DBAPIError | exc.TimeoutError) -> str:
    """Give the database's own words without the statement, its parameters and what they quote of the rows: numbers."""
    cause = getattr(error, "orig", None) or error
    words = getattr(getattr(cause, "diag", None), "message_primary", None) or str(cause).partition("\n")[0]
    return f"{type(cause).__name__}: {_NUMBERS.sub('***', words)}"
