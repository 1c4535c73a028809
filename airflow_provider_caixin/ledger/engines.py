"""Connections to the three databases: drivers, isolation, and how long anything may wait for anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine

CONNECT_SECONDS: Final = 5
_FOREVER: Final = 365 * 86_400


@dataclass(frozen=True, slots=True)
class Limits:
    """
    How long a transaction may wait, in whole seconds; 0: without end.

    :param lock: for another one's lock.
    :param statement: for one statement.
    :param idle: for its own process: while that is suspended, everybody else waits for its locks.
    :param writes: False: it takes no locks that others wait for; on SQLite it then waits for no writer.
    """

    lock: int = 5
    statement: int = 30
    idle: int = 5
    writes: bool = True


WRITER: Final = Limits()
# It holds nobody up, and may be waiting for the file that a report goes to.
READER: Final = Limits(idle=0, writes=False)
# A new index over ten million rows takes minutes, and whoever comes meanwhile waits for it.
MAKER: Final = Limits(lock=600, statement=0, idle=0)


def engine_for(url: URL, limits: Limits) -> Engine:
    """
    Make an engine whose errors show no parameters, which are numbers.

    Its isolation is READ COMMITTED: MySQL's default, REPEATABLE READ, shows a cap as it stood before the wait for the gate.

    :param url: an SQLAlchemy URL.
    :param limits: how long its transactions may wait.
    :raises ValueError: when the database is none of the three.
    """
    backend = url.get_backend_name()
    if backend == "sqlite":
        return _sqlite(url, limits)
    if backend == "postgresql":
        url, arguments = url.set(drivername="postgresql+psycopg"), _postgresql(limits)
    elif backend in ("mysql", "mariadb"):
        url, arguments = url.set(drivername="mysql+pymysql"), _mysql(limits)
    else:
        raise ValueError(f"ledger: {backend!r} is not supported; expected sqlite, postgresql or mysql.")
    return sa.create_engine(
        url,
        isolation_level="READ COMMITTED",
        connect_args={"connect_timeout": CONNECT_SECONDS, **arguments},
        pool_pre_ping=True,
        hide_parameters=True,
    )


def _postgresql(limits: Limits) -> dict[str, Any]:
    values = {
        "lock_timeout": limits.lock,
        "statement_timeout": limits.statement,
        "idle_in_transaction_session_timeout": limits.idle,
    }
    return {
        # Whatever the database's own encoding is, so that another one can be told and refused.
        "client_encoding": "utf8",
        "options": " ".join(f"-c {name}={value}s" for name, value in values.items()),
        # A host that has vanished says nothing at all.
        "keepalives_idle": CONNECT_SECONDS,
        "keepalives_interval": CONNECT_SECONDS,
        "keepalives_count": 3,
        "tcp_user_timeout": 4_000 * CONNECT_SECONDS,
    }


def _mysql(limits: Limits) -> dict[str, Any]:
    # A connection that waits in the pool for longer is closed, too; the pool makes another.
    idle = limits.idle or _FOREVER
    values = {
        "innodb_lock_wait_timeout": limits.lock,
        "lock_wait_timeout": limits.lock,
        "wait_timeout": idle,
        "net_write_timeout": max(idle, 60),
        # Otherwise the clock is an hour off while a summer time ends.
        "time_zone": "'+00:00'",
    }
    return {
        "charset": "utf8mb4",
        "read_timeout": limits.statement or None,
        "write_timeout": limits.statement or None,
        "init_command": "SET " + ", ".join(f"{name} = {value}" for name, value in values.items()),
    }


def _sqlite(url: URL, limits: Limits) -> Engine:
    engine = sa.create_engine(
        url,
        connect_args={"timeout": limits.lock, "check_same_thread": False, "isolation_level": None},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if limits.writes else "BEGIN")

    return engine
