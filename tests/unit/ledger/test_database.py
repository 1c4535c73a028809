from __future__ import annotations

import threading
import time

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL

from airflow_provider_caixin.ledger import Ledger, LedgerError, LedgerUnavailable, schema
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows.account import AccountRow
from tests.databases import POSTGRESQL, SERVERS


def twice(ledger: Ledger, number: str) -> None:
    """Insert a row that is there already."""
    with ledger.writing() as connection:
        for _ in range(2):
            connection.execute(sa.insert(schema.suppression), {"number": number, "added_at": 0.0})


def too_long(ledger: Ledger, number: str) -> None:
    """Run into a time-out, on a server that logs parameters."""
    with ledger.writing() as connection:
        connection.exec_driver_sql("SET LOCAL log_parameter_max_length_on_error = -1")
        connection.exec_driver_sql("SET LOCAL statement_timeout = '50ms'")
        connection.execute(sa.text("SELECT pg_sleep(1), :number"), {"number": number})


def test_a_ledger_keeps_its_id(ledger: Ledger) -> None:
    """Opened again it is the same ledger."""
    again = Ledger(ledger.engine.url)
    assert again.uuid == ledger.uuid
    again.close()


@SERVERS
def test_a_process_that_is_suspended_with_the_account_s_lock(ledger: Ledger) -> None:
    """The database takes the lock from it within seconds, and what it had not committed is undone."""
    with ledger.writing() as connection:
        account = account_names.find_account(ledger, connection, "account")
    other = Ledger(ledger.engine.url)
    suspended = ledger.writing()
    connection = suspended.__enter__()
    row = AccountRow.open(connection, account)
    row.next_slot = 1.0
    row.save(connection)
    began = time.monotonic()
    while True:
        try:
            with other.writing() as waiting:
                assert AccountRow.open(waiting, account).next_slot == 0.0
            break
        except LedgerUnavailable:
            assert time.monotonic() - began < 20
    assert time.monotonic() - began > 1, "the lock held nobody up"
    with pytest.raises(LedgerUnavailable):
        suspended.__exit__(None, None, None)
    other.close()


@SERVERS
def test_a_reader_may_take_its_time(ledger: Ledger) -> None:
    """It holds nobody up, and a report may go to a slow place."""
    names = sa.select(schema.meta.c.name)
    with ledger.reading() as connection:
        assert connection.execute(names).all()
        # Longer than a writer may be idle.
        threading.Event().wait(6)
        assert connection.execute(names).all()


@SERVERS
def test_no_number_is_in_an_error(ledger: Ledger) -> None:
    """Whatever the server quotes of rows and parameters."""
    number = "13912345678"
    with pytest.raises(LedgerUnavailable) as caught:
        twice(ledger, number)
    assert "uplicate" in str(caught.value)
    assert number not in str(caught.value)
    if ledger.dialect == "postgresql":
        with pytest.raises(LedgerUnavailable) as caught:
            too_long(ledger, number)
        assert "statement timeout" in str(caught.value)
        assert number not in str(caught.value)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
@POSTGRESQL
def test_an_encoding_without_chinese_is_refused(ledger_url: URL, encoding: str) -> None:
    """Before there are tables."""
    name = f"{ledger_url.database}_encoded"
    server = sa.create_engine(ledger_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with server.connect() as connection:
        connection.exec_driver_sql(
            f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        )
    try:
        with pytest.raises(LedgerError, match=f"encoding {encoding}.*UTF8"):
            Ledger(ledger_url.set(database=name))
    finally:
        with server.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name}")


@POSTGRESQL
def test_a_user_without_rights(ledger_url: URL) -> None:
    """The sentence says which right is missing, and shows no statement."""
    role = f"{ledger_url.database}_reader"
    server = sa.create_engine(ledger_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN")
    try:
        with pytest.raises(
            LedgerUnavailable, match=r"right to create and alter.*permission denied"
        ) as caught:
            Ledger(ledger_url.set(username=role))
        assert "CREATE TABLE" not in str(caught.value)
    finally:
        with server.connect() as connection:
            connection.exec_driver_sql(f"DROP ROLE {role}")
