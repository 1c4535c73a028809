"""Connections to the three databases: drivers, their arguments, and how long anything may wait."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine

from airflow_provider_caixin.ledger import sessions
from airflow_provider_caixin.ledger.sessions import Limits

CONNECT_SECONDS: Final = 5


WRITER: Final = Limits()
# It holds nobody up, and may be waiting for the file that a report goes to.
READER: Final = Limits(idle=0, writes=False)
# A new index over ten million rows takes minutes, and whoever comes meanwhile waits for it.
MAKER: Final = Limits(lock=600, statement=0, idle=0)


def engine_for(
    url: URL,
    limits: Limits,
    arguments: Mapping[str, Any] = MappingProxyType({}),
    *,
    allow_unsafe: bool = False,
) -> Engine:
    """Return an engine whose errors show no parameters, as these are numbers; :mod:`.sessions` prepares it.

    Its isolation is READ COMMITTED: MySQL's default, REPEATABLE READ, shows a cap as it stood before the wait
    for the account's row.

    :param arguments: further arguments of psycopg or PyMySQL.
    :param allow_unsafe: take a server that forgets commits in a crash.
    :raises ValueError: when the database is none of the three.
    """
    backend = url.get_backend_name()
    if backend == "sqlite":
        engine = sa.create_engine(
            url,
            connect_args={"timeout": limits.lock, "check_same_thread": False, "isolation_level": None},
            hide_parameters=True,
        )
        sessions.prepare_sqlite(engine, limits)
        return engine
    if backend == "postgresql":
        url, defaults = url.set(drivername="postgresql+psycopg"), _POSTGRESQL
        prepare = sessions.prepare_postgresql
    elif backend in ("mysql", "mariadb"):
        url, defaults = url.set(drivername="mysql+pymysql"), _mysql(url, limits)
        prepare = sessions.prepare_mysql
    else:
        raise ValueError(f"ledger: {backend!r} is not supported; expected sqlite, postgresql or mysql.")
    engine = sa.create_engine(
        url,
        isolation_level="READ COMMITTED",
        connect_args={"connect_timeout": CONNECT_SECONDS, **defaults, **arguments},
        pool_pre_ping=True,
        hide_parameters=True,
    )
    prepare(engine, limits, allow_unsafe=allow_unsafe)
    return engine


_POSTGRESQL: Final[Mapping[str, Any]] = {
    # Whatever the database's own encoding is, so that another one can be read and refused.
    "client_encoding": "utf8",
    # A pooler in transaction mode gives the next transaction a session that knows nothing of them.
    "prepare_threshold": None,
    # A host that has vanished says nothing at all.
    "keepalives_idle": CONNECT_SECONDS,
    "keepalives_interval": CONNECT_SECONDS,
    "keepalives_count": 3,
    "tcp_user_timeout": 4_000 * CONNECT_SECONDS,
}


def _mysql(url: URL, limits: Limits) -> dict[str, Any]:
    given = {
        "charset": "utf8mb4",
        "read_timeout": limits.statement or None,
        "write_timeout": limits.statement or None,
    }
    # PyMySQL encodes a text in Latin-1, which has no Chinese and other bytes for an umlaut than the server.
    return given | ({"password": url.password.encode()} if url.password else {})
