"""One database, three dialects: everything that SQLite, PostgreSQL and MySQL/MariaDB do differently."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine

from airflow_provider_caixin.ledger import schema

LOCK_TIMEOUT: Final = 5.0

_CLOCKS: Final = {
    "postgresql": sa.text("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"),
    "mysql": sa.text("SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) AS DOUBLE)"),
}

# Two sessions that make tables at once trip over each other on these two; SQLite's write lock is enough.
_MAKING: Final = {
    "postgresql": ("SELECT pg_advisory_xact_lock(236300)", None),
    "mysql": ("SELECT GET_LOCK('caixin_ledger', 30)", "SELECT RELEASE_LOCK('caixin_ledger')"),
}


class LedgerError(Exception):
    """Something about the ledger that a person has to mend."""


class LedgerUnavailable(LedgerError):
    """The ledger did not take a transaction: locked for over 5 s, gone, or out of space. It may come back."""


class Ledger:
    """
    The database of campaigns and of what happened to each recipient: engine, transactions and clock.

    :param url: an SQLAlchemy URL of SQLite, PostgreSQL (psycopg 3) or MySQL/MariaDB (PyMySQL).
    :param clock: the host's clock, seconds since the epoch; SQLite's slots and leases go by it, the other
        two use their own.
    :raises LedgerUnavailable: when the database cannot be opened.
    :raises LedgerError: when it holds tables of a newer version than this one.
    """

    def __init__(self, url: URL | str, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.engine = _engine(sa.make_url(url))
        self.dialect = "mysql" if self.engine.dialect.name == "mariadb" else self.engine.dialect.name
        try:
            self.uuid = self._prepare()
        except BaseException:
            self.close()
            raise

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
        with _translated(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """
        Open a transaction that only reads, and on SQLite waits for no writer.

        :raises LedgerUnavailable: when the database does not answer.
        """
        with _translated(), self.engine.connect() as connection:
            reader = connection.execution_options(caixin_reads=True)
            if self.dialect == "postgresql":
                # A reader holds nobody up, and may be waiting for a file.
                reader.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            yield reader

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

    def _insert(self, table: sa.Table) -> Any:
        return sqlite.insert(table) if self.dialect == "sqlite" else postgresql.insert(table)

    def _prepare(self) -> str:
        """Make the tables if need be and return the ledger's own id."""
        stored = self._read_meta() or self._make()
        version = int(stored["schema_version"])
        if version > schema.SCHEMA_VERSION:
            raise LedgerError(
                f"The ledger has schema version {version}, this airflow-provider-caixin knows up to "
                f"{schema.SCHEMA_VERSION}: upgrade airflow-provider-caixin on this host."
            )
        return stored["uuid"]

    def _read_meta(self) -> dict[str, str]:
        with self.reading() as connection:
            if not sa.inspect(connection).has_table(schema.meta.name):
                return {}
            rows = connection.execute(sa.select(schema.meta.c.name, schema.meta.c.value))
            return {row.name: row.value for row in rows}

    def _make(self) -> dict[str, str]:
        lock, unlock = _MAKING.get(self.dialect, (None, None))
        with self.writing() as connection:
            if lock is not None:
                connection.execute(sa.text(lock))
            try:
                schema.metadata.create_all(connection)
                values = [
                    {"name": "schema_version", "value": str(schema.SCHEMA_VERSION)},
                    {"name": "uuid", "value": str(uuid.uuid4())},
                ]
                connection.execute(self.insert_if_absent(schema.meta), values)
            finally:
                if unlock is not None:
                    connection.execute(sa.text(unlock))
        return self._read_meta()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (exc.OperationalError, exc.InternalError, exc.InterfaceError, exc.TimeoutError) as error:
        # The driver's own words: SQLAlchemy's text repeats the statement and its parameters, which are numbers.
        cause = getattr(error, "orig", None) or error
        raise LedgerUnavailable(f"The ledger did not answer: {type(cause).__name__}: {cause}") from None


def _engine(url: URL) -> Engine:
    backend = url.get_backend_name()
    if backend == "sqlite":
        engine = sa.create_engine(
            url,
            connect_args={"timeout": LOCK_TIMEOUT, "check_same_thread": False, "isolation_level": None},
            hide_parameters=True,
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    seconds = int(LOCK_TIMEOUT)
    if backend == "postgresql":
        timeouts = ("lock_timeout", "idle_in_transaction_session_timeout")
        options = (
            " ".join(f"-c {name}={seconds}s" for name in timeouts) + f" -c statement_timeout={6 * seconds}s"
        )
        return sa.create_engine(
            url.set(drivername="postgresql+psycopg"),
            isolation_level="READ COMMITTED",
            connect_args={"options": options, "connect_timeout": seconds},
            pool_pre_ping=True,
            hide_parameters=True,
        )
    if backend in ("mysql", "mariadb"):
        return sa.create_engine(
            url.set(drivername="mysql+pymysql"),
            # REPEATABLE READ, the default, shows a cap as it stood before the wait for the gate.
            isolation_level="READ COMMITTED",
            connect_args={
                "charset": "utf8mb4",
                "connect_timeout": seconds,
                "read_timeout": 6 * seconds,
                "write_timeout": 6 * seconds,
                "init_command": f"SET SESSION innodb_lock_wait_timeout={seconds}",
            },
            pool_pre_ping=True,
            hide_parameters=True,
        )
    raise LedgerError(f"ledger: {backend!r} is not supported; expected sqlite, postgresql or mysql.")


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get("caixin_reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
