"""Empty ledgers on each of the three databases, dropped when they were measured."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

SERVERS = {
    "PostgreSQL": make_url("postgresql+psycopg://root@127.0.0.1:5432/test"),
    "MariaDB": make_url("mysql+pymysql://root@127.0.0.1:3306/test"),
}
DATABASES = ("SQLite", *SERVERS)


@contextmanager
def empty_ledger(database: str) -> Iterator[URL]:
    """Yield the address of an empty ledger, which is gone when the block ends, however it ends.

    :param database: one of ``DATABASES``.
    """
    if database == "SQLite":
        with tempfile.TemporaryDirectory() as folder:
            yield URL.create("sqlite", database=str(Path(folder) / "ledger.db"))
        return
    name = f"caixin_benchmark_{uuid.uuid4().hex}"
    _run(database, f"CREATE DATABASE {name}")
    try:
        yield SERVERS[database].set(database=name)
    finally:
        _run(database, f"DROP DATABASE {name}{' WITH (FORCE)' if database == 'PostgreSQL' else ''}")


def running(database: str) -> bool:
    """Return whether a database can be measured here, and print it when it cannot.

    :param database: one of ``DATABASES``.
    """
    try:
        if database in SERVERS:
            _run(database, "SELECT 1")
    except sa.exc.OperationalError as error:
        print(f"{database}: left out, {error.orig}")
        return False
    return True


def _run(database: str, statement: str) -> None:
    engine = sa.create_engine(SERVERS[database], isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
