"""What the ledger needs of a session: set, read back, and refused where it does not hold."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

if TYPE_CHECKING:
    from sqlalchemy.engine import ExceptionContext

log = logging.getLogger(__name__)

_FOREVER_SECONDS: Final = 365 * 86_400
# read_only_sql_transaction of PostgreSQL; MySQL's and MariaDB's own numbers: an option that prevents writes
# (also super_read_only), a transaction or a server that only reads, InnoDB in read-only mode.
_READ_ONLY_STATE: Final = "25006"
_READ_ONLY_CODES: Final = ((1290,), (1792,), (1836,), (1874,))
# As the databases show that something is off.
_OFF: Final = (0, "0", "off", "OFF")


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a transaction may wait, in whole seconds; 0: without end.

    :param lock: for another one's lock.
    :param statement: for one statement.
    :param idle: for its own process: while that is suspended, everybody else waits for its locks.
    :param writes: False: it takes no locks that others wait for; on SQLite it then waits for no writer.
    """

    lock: int = 5
    statement: int = 30
    idle: int = 5
    writes: bool = True


class UnfitSession(Exception):
    """A session that the ledger must not use; the sentence says why and what to do."""


class ReadOnlyServer(UnfitSession):
    """A server that takes no writes: a standby, or a demoted primary. Another one may answer next time."""


def prepare_postgresql(engine: Engine, limits: Limits, *, allow_unsafe: bool) -> None:
    """Set limits and durability of each PostgreSQL transaction, and check in the same round trip what holds.

    Each transaction and not each session: a pooler in transaction mode gives the next one another session.

    :param allow_unsafe: take a server that forgets commits in a crash.
    """
    times = {
        "lock_timeout": _shown(limits.lock),
        "statement_timeout": _shown(limits.statement),
        "idle_in_transaction_session_timeout": _shown(limits.idle),
    }
    # Raised and never lowered: remote_apply waits for the standbys, too.
    synchronous = "current_setting('synchronous_commit')"
    raised = f"CASE WHEN {synchronous} IN ('off', 'local') THEN 'on' ELSE {synchronous} END"
    values = {**{name: f"'{time}'" for name, time in times.items()}, "synchronous_commit": raised}
    asked = [
        *(f"set_config('{name}', {value}, true) AS {name}" for name, value in values.items()),
        *(
            f"current_setting('{name}') AS {name}"
            for name in ("transaction_isolation", "transaction_read_only", "fsync")
        ),
    ]
    statement = "SELECT " + ", ".join(asked)
    wanted = {
        **{name: (time,) for name, time in times.items()},
        "synchronous_commit": ("on", "remote_write", "remote_apply"),
        "transaction_isolation": ("read committed",),
    }

    def read_settings(connection: Connection) -> Mapping[str, Any]:
        return connection.exec_driver_sql(statement).one()._asdict()

    _check_each_transaction(
        engine,
        limits,
        read_settings,
        wanted,
        ("transaction_read_only",),
        ("fsync", "on"),
        allow_unsafe=allow_unsafe,
    )


def prepare_mysql(engine: Engine, limits: Limits, *, allow_unsafe: bool) -> None:
    """Set the limits of each MySQL or MariaDB session, and check in each transaction that it still has them.

    :param allow_unsafe: take a server that forgets commits in a crash.
    """
    # A connection that waits in the pool for longer is closed, too; the pool makes another.
    idle = limits.idle or _FOREVER_SECONDS
    values: dict[str, object] = {
        "innodb_lock_wait_timeout": limits.lock,
        "lock_wait_timeout": limits.lock,
        "wait_timeout": idle,
        "net_write_timeout": max(idle, 60),
        # Otherwise the clock is an hour off while a summer time ends.
        "time_zone": "+00:00",
    }
    wanted = {name: (value,) for name, value in values.items()}
    wanted |= {"autocommit": (0,), "isolation": ("READ-COMMITTED",)}
    # Not a reader's: what it reads goes to a file meanwhile, and the server counts that time, too.
    longest = limits.statement if limits.writes else 0
    wanted["statement_limit"] = (longest,)
    asked = [
        *(f"@@session.{name} AS {name}" for name in (*values, "autocommit")),
        "@@global.read_only AS read_only",
        "@@global.innodb_read_only AS innodb_read_only",
        "@@global.innodb_flush_log_at_trx_commit AS innodb_flush_log_at_trx_commit",
    ]
    statement = "SELECT " + ", ".join(asked)

    def is_mariadb() -> bool:
        return bool(getattr(engine.dialect, "is_mariadb", False))

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # MariaDB has it in seconds, and MySQL in milliseconds and for what only reads.
        limit = (
            f"max_statement_time = {longest}" if is_mariadb() else f"max_execution_time = {1000 * longest}"
        )
        with connection.cursor() as cursor:
            cursor.execute(
                "SET " + ", ".join([*(f"{name} = {value!r}" for name, value in values.items()), limit])
            )

    def read_settings(connection: Connection) -> Mapping[str, Any]:
        names = "@@session.transaction_isolation AS isolation, @@session.max_execution_time / 1000"
        if is_mariadb():
            names = "@@session.tx_isolation AS isolation, @@session.max_statement_time"
        return connection.exec_driver_sql(f"{statement}, {names} AS statement_limit").one()._asdict()

    durable = ("innodb_flush_log_at_trx_commit", 1)
    _check_each_transaction(
        engine,
        limits,
        read_settings,
        wanted,
        ("read_only", "innodb_read_only"),
        durable,
        allow_unsafe=allow_unsafe,
    )


def prepare_sqlite(engine: Engine, limits: Limits) -> None:
    """Set a write-ahead log that is written at each commit; a writer takes its lock from the start."""

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        for pragma, value, held in (("journal_mode", "WAL", "wal"), ("synchronous", "FULL", 2)):
            connection.execute(f"PRAGMA {pragma}={value}").fetchall()
            (found,) = connection.execute(f"PRAGMA {pragma}").fetchone()
            if found != held:
                connection.close()
                raise UnfitSession(
                    f"The ledger's file {engine.url.database} has no write-ahead log ({pragma} is {found!r}, not {held!r}), "
                    "which its file system may not allow: it has to be on a local disk."
                )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if limits.writes else "BEGIN")


def _check_each_transaction(
    engine: Engine,
    limits: Limits,
    read_settings: Callable[[Connection], Mapping[str, Any]],
    wanted: Mapping[str, tuple[object, ...]],
    read_only: tuple[str, ...],
    durable: tuple[str, object],
    *,
    allow_unsafe: bool,
) -> None:
    """Read back the settings of each transaction as it begins, and refuse the session where they do not hold.

    :param wanted: the values that each setting may have, the one that was set first.
    :param read_only: settings that are off where the server takes writes.
    :param durable: a setting, and its value where no commit is lost in a crash.
    """
    warned = False

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        nonlocal warned
        found = read_settings(connection)
        try:
            _check(found, wanted, read_only)
            name, value = durable
            if found[name] != value:
                unsafe = (
                    f"The ledger's database server runs with {name} = {found[name]}: when it or its machine crashes it forgets "
                    f"messages that it had recorded, and they are sent and billed twice. Set {name} = {value} there"
                )
                if not allow_unsafe:
                    raise UnfitSession(
                        f"{unsafe}, or, where that may happen, [caixin] allow_unsafe_ledger "
                        "(AIRFLOW__CAIXIN__ALLOW_UNSAFE_LEDGER) to True."
                    )
                # Whoever opens a ledger reads first.
                if not (warned or limits.writes):
                    log.warning("%s; [caixin] allow_unsafe_ledger lets it be.", unsafe)
                warned = True
        except UnfitSession as error:
            connection.invalidate(error)
            raise

    @event.listens_for(engine, "handle_error")
    def note_read_only_server(context: ExceptionContext) -> None:
        error = context.original_exception
        # Behind the same address there may be another server by now.
        if getattr(error, "sqlstate", None) == _READ_ONLY_STATE or error.args[:1] in _READ_ONLY_CODES:
            context.is_disconnect = True


def _check(
    found: Mapping[str, Any], wanted: Mapping[str, tuple[object, ...]], read_only: tuple[str, ...]
) -> None:
    for name in read_only:
        if found[name] not in _OFF:
            raise ReadOnlyServer(
                f"The ledger's database server takes no writes ({name} is {found[name]}): it is a standby, or a primary that was "
                "demoted. The ledger's connection has to lead to the primary."
            )
    for name, values in wanted.items():
        if found[name] not in values:
            raise UnfitSession(
                f"The ledger's session has {name} = {found[name]} where {values[0]} was set: whatever stands between here and the "
                "database (a pooler, a proxy) does not keep a session's settings. Lead the ledger's connection past it, or have "
                "it give each client a session of its own."
            )


def _shown(seconds: int) -> str:
    """Return a time as PostgreSQL shows it: in the largest unit that leaves no rest."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s" if seconds else "0"
