"""What a session must have holds whatever stands in between, and one without it is not used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection

from airflow_provider_caixin.ledger import (
    Ledger,
    LedgerError,
    LedgerUnavailable,
    sessions,
)
from airflow_provider_caixin.ledger.rows import account_names
from tests.between import Between
from tests.databases import MYSQL, POSTGRESQL, SERVERS

OF_WRITERS = {
    "lock_timeout": "5s",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "5s",
    "synchronous_commit": "on",
    "transaction_isolation": "read committed",
}

SESSION = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}


@pytest.fixture
def administrator(ledger_url: URL) -> Iterator[Connection]:
    """Yield a connection of its own to the ledger's server."""
    server = sa.create_engine(ledger_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with server.connect() as connection:
        yield connection


def settings(ledger: Ledger) -> dict[str, str]:
    """Read the settings of a writing transaction."""
    with ledger.writing() as connection:
        return {name: str(connection.exec_driver_sql(f"SHOW {name}").scalar_one()) for name in OF_WRITERS}


def session(ledger: Ledger) -> int:
    """Return the server's session that the next writing transaction has."""
    with ledger.writing() as connection:
        return int(connection.exec_driver_sql(SESSION[ledger.dialect]).scalar_one())


@contextmanager
def in_pool(ledger: Ledger) -> Iterator[Any]:
    """Yield the driver's connection that waits in the pool."""
    raw = ledger.engine.raw_connection()
    try:
        yield raw.driver_connection
    finally:
        raw.close()


def test_a_reader_may_wait_for_a_file(ledger: Ledger) -> None:
    """PostgreSQL ends idle transactions of writers after seconds, but not a report that is being written."""
    if ledger.dialect == "postgresql":
        show = sa.text("SHOW idle_in_transaction_session_timeout")
        with ledger.reading() as connection:
            assert connection.execute(show).scalar_one() == "0"
        with ledger.writing() as connection:
            assert connection.execute(show).scalar_one() == "5s"


@POSTGRESQL
def test_a_pooler_that_drops_options(ledger_url: URL) -> None:
    """As PgBouncer with ignore_startup_parameters: a suspended sender held everybody up for minutes."""
    with Between(ledger_url.port or 0, "postgresql") as pooler:
        ledger = Ledger(ledger_url.set(host="127.0.0.1", port=pooler.port))
        assert settings(ledger) == OF_WRITERS
        ledger.close()


@POSTGRESQL
def test_a_pooler_that_gives_each_transaction_another_session(ledger: Ledger) -> None:
    """Whatever the session had is gone, and what psycopg would have prepared with it."""
    for _ in range(10):
        assert settings(ledger) == OF_WRITERS
        with ledger.writing() as connection:
            account_names.find_account(ledger, connection, "account")
        with in_pool(ledger) as waiting:
            waiting.autocommit = True
            waiting.cursor().execute("DISCARD ALL")
            waiting.autocommit = False


@POSTGRESQL
def test_commits_are_durable(ledger_url: URL, administrator: Connection) -> None:
    """A commit that the server may forget is raised to one that it may not; a stronger one is left alone."""
    held = {
        "off": "on",
        "local": "on",
        "on": "on",
        "remote_write": "remote_write",
        "remote_apply": "remote_apply",
    }
    for given, raised in held.items():
        administrator.exec_driver_sql(
            f"ALTER DATABASE {ledger_url.database} SET synchronous_commit = {given}"
        )
        ledger = Ledger(ledger_url)
        assert settings(ledger)["synchronous_commit"] == raised
        ledger.close()


@MYSQL
def test_a_proxy_that_drops_what_was_set(ledger_url: URL) -> None:
    """It is told by name, before there are tables."""
    with Between(ledger_url.port or 0, "mysql") as proxy:
        with pytest.raises(
            LedgerError, match=r"innodb_lock_wait_timeout = 50 where 5 was set.*pooler"
        ) as caught:
            Ledger(ledger_url.set(host="127.0.0.1", port=proxy.port))
        assert not isinstance(caught.value, LedgerUnavailable)


@MYSQL
def test_a_server_s_own_limit_of_statements_is_not_the_ledger_s(ledger_url: URL) -> None:
    """Longer ones than it allows are broken off in the middle."""
    ledger = Ledger(ledger_url, arguments={"init_command": "SET max_statement_time = 0.01"})
    for opened in (ledger.writing, ledger.reading):
        with opened() as connection:
            assert connection.exec_driver_sql("SELECT sleep(0.05)").scalar_one() == 0
    ledger.close()


@MYSQL
def test_a_session_that_lost_a_setting(ledger: Ledger) -> None:
    """It is not used, and the next transaction gets another."""
    for statement in (
        "SET SESSION innodb_lock_wait_timeout = 50",
        "SET SESSION wait_timeout = 28800",
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "SET SESSION time_zone = 'SYSTEM'",
        "SET SESSION autocommit = 1",
        "SET SESSION max_statement_time = 1",
    ):
        before = session(ledger)
        with in_pool(ledger) as waiting:
            waiting.cursor().execute(statement)
        with pytest.raises(LedgerUnavailable, match="does not keep a session's settings"):
            session(ledger)
        assert session(ledger) != before


@POSTGRESQL
def test_a_server_that_only_reads(ledger_url: URL, ledger: Ledger, administrator: Connection) -> None:
    """It is a disconnect: no session is used, of before or new, until the server takes writes again."""
    before = session(ledger)
    name = ledger_url.database
    administrator.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with in_pool(ledger) as waiting:
        waiting.cursor().execute("COMMIT; SET default_transaction_read_only = on; COMMIT")
    for _ in range(2):
        with pytest.raises(LedgerUnavailable, match=r"takes no writes.*demoted"):
            session(ledger)
    with pytest.raises(LedgerUnavailable, match="takes no writes"):
        Ledger(ledger_url)
    administrator.exec_driver_sql(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    assert session(ledger) != before


@SERVERS
def test_a_server_that_becomes_read_only_within_a_transaction(ledger: Ledger) -> None:
    """The server's own error ends the session: the next transaction may find another server."""
    if ledger.dialect == "postgresql":
        refusals = ["SET TRANSACTION READ ONLY; CREATE TABLE t (i int)"]
    else:
        refusals = [
            f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {code}, MESSAGE_TEXT = 'read only'"
            for code in (1290, 1836)
        ]
    for statement in refusals:
        before = session(ledger)
        with pytest.raises(LedgerUnavailable, match="did not answer"), ledger.writing() as connection:
            connection.exec_driver_sql(statement)
        assert session(ledger) != before


@SERVERS
def test_other_errors_are_no_disconnect(ledger: Ledger) -> None:
    """The session goes on."""
    before = session(ledger)
    with pytest.raises(LedgerUnavailable), ledger.writing() as connection:
        connection.exec_driver_sql("SELECT * FROM nothing")
    assert session(ledger) == before


def test_a_file_without_a_write_ahead_log(tmp_path: Path) -> None:
    """Some file systems have no shared memory for it."""
    file = tmp_path / "ledger.db"
    with pytest.raises(LedgerError, match=r"ledger\.db.*journal_mode is 'delete'.*local disk") as caught:
        Ledger(f"sqlite:///file:{file}?vfs=unix-dotfile&uri=true")
    assert not isinstance(caught.value, LedgerUnavailable)


@POSTGRESQL
def test_times_are_written_as_postgresql_shows_them(administrator: Connection) -> None:
    """Or a limit that holds would be refused."""
    shown = sa.text("SELECT set_config('lock_timeout', :value, true)")
    for seconds in (0, 5, 30, 59, 60, 90, 600, 3_600, 86_400, 90_000):
        found = administrator.execute(shown, {"value": str(1000 * seconds)}).scalar_one()
        assert sessions._shown(seconds) == found
