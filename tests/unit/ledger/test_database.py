from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL

from airflow_provider_caixin.ledger import Ledger, LedgerError, LedgerUnavailable, migrations, schema
from airflow_provider_caixin.ledger.queue import history
from airflow_provider_caixin.ledger.queue.load import load_audience
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.rows import recipient as recipient_rows
from airflow_provider_caixin.ledger.rows import tally as tallies
from airflow_provider_caixin.ledger.rows.account import AccountRow
from airflow_provider_caixin.vocabulary import SkipReason, State

SERVERS = pytest.mark.parametrize(
    "ledger_url",
    [pytest.param(name, marks=pytest.mark.service) for name in ("postgresql", "mysql")],
    indirect=True,
)


def version_of(ledger: Ledger) -> str:
    """Read the stored schema version."""
    with ledger.reading() as connection:
        stored = sa.select(schema.meta.c.value).where(schema.meta.c.name == "schema_version")
        return str(connection.execute(stored).scalar_one())


def set_version(ledger: Ledger, version: int) -> None:
    """Store another schema version."""
    with ledger.writing() as connection:
        stored = sa.update(schema.meta).where(schema.meta.c.name == "schema_version")
        connection.execute(stored.values(value=str(version)))


def structure(ledger: Ledger) -> dict[str, tuple[set[str], set[str]]]:
    """Name each table's columns and indexes."""
    look = sa.inspect(ledger.engine)
    return {
        table: (
            {column["name"] for column in look.get_columns(table)},
            {str(index["name"]) for index in look.get_indexes(table)},
        )
        for table in look.get_table_names()
    }


def make_old(ledger: Ledger) -> None:
    """Make a ledger what version 1 made of it."""
    schema.messages_of_people.drop(ledger.engine)
    schema.tally.drop(ledger.engine)
    schema.traffic.drop(ledger.engine)
    schema.account_key.drop(ledger.engine)
    schema.account_connection.drop(ledger.engine)
    added = ("active_at", "dag_id", "run_id", "task_id", "map_index", "rate", "loosened", "purged_at")
    with ledger.writing() as connection:
        for name in ("max_per_day", "reach"):
            connection.exec_driver_sql(f"ALTER TABLE caixin_account DROP COLUMN {name}")
        for name in added:
            connection.exec_driver_sql(f"ALTER TABLE caixin_campaign DROP COLUMN {name}")
    set_version(ledger, 1)


def test_every_version_has_a_step() -> None:
    """Whoever changes the tables says how older ones become the new ones."""
    assert sorted(migrations.STEPS) == list(range(2, schema.SCHEMA_VERSION + 1))


def test_an_older_ledger_is_upgraded(ledger: Ledger) -> None:
    """It has the tables of a new one, its own id, and what was in it; opened again it is as it is."""
    new = structure(ledger)
    with ledger.writing() as connection:
        account = account_names.find_account(ledger, connection, "account")
    make_old(ledger)
    assert structure(ledger) != new
    for _ in range(2):
        again = Ledger(ledger.engine.url)
        assert again.uuid == ledger.uuid
        assert version_of(again) == str(schema.SCHEMA_VERSION)
        assert structure(again) == new
        with again.writing() as connection:
            assert account_names.find_account(again, connection, "account") == account
        again.close()


def test_an_upgrade_that_was_interrupted_is_done_again(ledger: Ledger) -> None:
    """MySQL keeps the half of it: the index is there, and the version is still the old one."""
    new = structure(ledger)
    set_version(ledger, 1)
    again = Ledger(ledger.engine.url)
    assert version_of(again) == str(schema.SCHEMA_VERSION)
    assert structure(again) == new
    again.close()


def test_a_newer_ledger_is_refused(ledger: Ledger) -> None:
    """The sentence says which version is known and what to do."""
    set_version(ledger, schema.SCHEMA_VERSION + 1)
    with pytest.raises(LedgerError, match="upgrade airflow-provider-caixin"):
        Ledger(ledger.engine.url)


def test_another_database_is_refused() -> None:
    """By name, with those that would do."""
    with pytest.raises(LedgerError, match="'oracle' is not supported; expected sqlite, postgresql or mysql"):
        Ledger("oracle://127.0.0.1/ledger")


@pytest.mark.parametrize("old", [False, True])
def test_many_may_open_a_ledger_at_once(ledger_url: URL, old: bool) -> None:
    """Whoever comes first makes or upgrades it, and all have one and the same."""
    if old:
        first = Ledger(ledger_url)
        make_old(first)
        first.close()
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(Ledger, [ledger_url] * 8))
    assert len({one.uuid for one in opened}) == 1
    assert {version_of(one) for one in opened} == {str(schema.SCHEMA_VERSION)}
    for one in opened:
        one.close()


def test_a_ledger_keeps_its_id(ledger: Ledger) -> None:
    """Opened again it is the same ledger."""
    again = Ledger(ledger.engine.url)
    assert again.uuid == ledger.uuid
    again.close()


@SERVERS
def test_a_process_that_is_suspended_with_the_gate_s_lock(ledger: Ledger) -> None:
    """The database takes the lock from it within seconds, and what it had not committed is undone."""
    with ledger.writing() as connection:
        account = account_names.find_account(ledger, connection, "account")
    other = Ledger(ledger.engine.url)
    suspended = ledger.writing()
    connection = suspended.__enter__()
    gate = AccountRow.open(connection, account)
    gate.next_slot = 1.0
    gate.save(connection)
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
    person = "13912345678"
    with pytest.raises(LedgerUnavailable) as caught:
        twice(ledger, person)
    assert "uplicate" in str(caught.value)
    assert person not in str(caught.value)
    if ledger.dialect == "postgresql":
        with pytest.raises(LedgerUnavailable) as caught:
            too_long(ledger, person)
        assert "statement timeout" in str(caught.value)
        assert person not in str(caught.value)


def twice(ledger: Ledger, person: str) -> None:
    """Insert a row that is there already."""
    with ledger.writing() as connection:
        for _ in range(2):
            connection.execute(sa.insert(schema.suppression), {"number": person, "added_at": 0.0})


def too_long(ledger: Ledger, person: str) -> None:
    """Run into a time-out, on a server that logs parameters."""
    with ledger.writing() as connection:
        connection.exec_driver_sql("SET LOCAL log_parameter_max_length_on_error = -1")
        connection.exec_driver_sql("SET LOCAL statement_timeout = '50ms'")
        connection.execute(sa.text("SELECT pg_sleep(1), :person"), {"person": person})


@SERVERS
def test_strict_servers(ledger: Ledger) -> None:
    """Counting by state, reason and code needs no mode of the server's."""
    with ledger.writing() as connection:
        if ledger.dialect == "mysql":
            connection.exec_driver_sql("SET sql_mode = 'ONLY_FULL_GROUP_BY,STRICT_ALL_TABLES'")
        account = account_names.find_account(ledger, connection, "account")
        campaign = campaign_rows.find_campaign(ledger, connection, "campaign", account, 65535, 0.0)
        row = {"campaign": campaign, "occurrence": 1, "state": State.SKIPPED, "reason": SkipReason.DUPLICATE}
        values = [{**row, "number": str(13_900_000_000 + place), "position": place} for place in range(3)]
        connection.execute(sa.insert(schema.recipient), values)
        assert tallies.tally(connection, campaign, 0.0) == [("skipped", "duplicate", None, 3)]


@pytest.mark.parametrize("ledger_url", [pytest.param("mysql", marks=pytest.mark.service)], indirect=True)
def test_mysql_s_defaults_do_not_matter(ledger_url: URL) -> None:
    """A database for Latin letters without a difference of case, and a server whose clock keeps summer time."""
    server = sa.create_engine(ledger_url, poolclass=sa.NullPool)
    with server.connect() as connection:
        connection.exec_driver_sql(
            f"ALTER DATABASE {ledger_url.database} CHARACTER SET latin1 COLLATE latin1_swedish_ci"
        )
    ledger = Ledger(ledger_url)
    with ledger.writing() as connection:
        suppress = sa.insert(schema.suppression)
        connection.execute(suppress, {"number": "13912345678", "reason": "退订 😀", "added_at": 0.0})
        assert connection.execute(sa.select(schema.suppression.c.reason)).scalar_one() == "退订 😀"
        assert connection.exec_driver_sql("SELECT @@time_zone").scalar_one() == "+00:00"
        assert abs(ledger.now(connection) - time.time()) < 5
    tables = sa.text(
        "SELECT table_name, engine, table_collation FROM information_schema.tables WHERE table_schema = :it"
    )
    with server.connect() as connection:
        kinds = {row[1:] for row in connection.execute(tables, {"it": ledger_url.database})}
    assert kinds == {("InnoDB", "utf8mb4_bin")}
    ledger.close()


@pytest.mark.service
@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
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


@pytest.mark.service
@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
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


def test_who_had_the_template(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in batches of those who wait to be sent, as long as there is time."""
    monkeypatch.setattr(recipient_rows, "BATCH_ROWS", 4)
    people = [str(13_900_000_000 + place) for place in range(10)]
    with ledger.writing() as connection:
        account = account_names.find_account(ledger, connection, "account")
        keys = [
            campaign_rows.find_campaign(ledger, connection, name, account, 65535, 0.0)
            for name in ("first", "second")
        ]
    for key in keys:
        load_audience(ledger, key, "source", lambda: [(one, None) for one in people], lease=60)
    with ledger.writing() as connection:
        table = schema.recipient
        sent = sa.update(table).where(table.c.campaign == keys[0], table.c.number.in_(people[3:]))
        connection.execute(sent.values(state=State.SENT))
        row = campaign_rows.CampaignRow.lock(connection, keys[0])
        row.move(State.PENDING, State.SENT, 7)
        row.save(connection)
        assert history.count_had_template(connection, keys[1], account, 65535) == (7, 10)
        assert history.count_had_template(connection, keys[1], account, 65535, seconds=0) == (0, 0)
        assert history.count_had_template(connection, keys[0], account, 65535) == (0, 0)
        assert history.count_had_template(connection, keys[1], account, 1) == (0, 0)
