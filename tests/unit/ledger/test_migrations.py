from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection

from airflow_provider_caixin.ledger import Ledger, LedgerError, migrations, schema
from airflow_provider_caixin.ledger.queue import draw as drawing
from airflow_provider_caixin.ledger.queue import settle as settlements
from airflow_provider_caixin.ledger.queue.load import load_audience
from airflow_provider_caixin.ledger.queue.settle import Settlement
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.rows import recipient as recipient_rows
from airflow_provider_caixin.ledger.rows.account import AccountRow
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.rows.load import visible_ranges
from airflow_provider_caixin.ledger.views import checks
from airflow_provider_caixin.vocabulary import State

OLD = Path(__file__).with_name("ledger_5.sql")


def version_of(ledger: Ledger) -> str:
    """Read the stored schema version."""
    with ledger.reading() as connection:
        return migrations.read_meta(connection)["schema_version"]


def set_version(ledger: Ledger, version: int) -> None:
    """Store another schema version."""
    with ledger.writing() as connection:
        stored = sa.update(schema.meta).where(schema.meta.c.name == "schema_version")
        connection.execute(stored.values(value=str(version)))


def structure(ledger: Ledger) -> dict[str, tuple[set[str], set[str]]]:
    """Return the names of each table's columns and indexes."""
    look = sa.inspect(ledger.engine)
    return {
        table: (
            {column["name"] for column in look.get_columns(table)},
            {str(index["name"]) for index in look.get_indexes(table)},
        )
        for table in look.get_table_names()
    }


def test_every_version_has_a_step() -> None:
    """Whoever changes the tables says how older ones become the new ones."""
    assert sorted(migrations.STEPS) == list(range(migrations.BASE_VERSION + 1, schema.SCHEMA_VERSION + 1))


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what makes this the next version, whose step makes a column and an index of it."""

    def make() -> None:
        metadata = sa.MetaData()
        for table in schema.metadata.sorted_tables:
            table.to_metadata(metadata)
        campaign = metadata.tables[schema.campaign.name]
        campaign.append_column(sa.Column("title", sa.String(100)))
        index = sa.Index("caixin_campaign_title", campaign.c.title)

        def step(connection: Connection) -> None:
            migrations.add_columns(connection, campaign, "title")
            index.create(connection, checkfirst=True)

        monkeypatch.setattr(schema, "metadata", metadata)
        monkeypatch.setattr(schema, "SCHEMA_VERSION", schema.SCHEMA_VERSION + 1)
        monkeypatch.setitem(migrations.STEPS, schema.SCHEMA_VERSION, step)

    return make


def test_an_older_ledger_is_upgraded(ledger: Ledger, next_version: Callable[[], None]) -> None:
    """It has the tables of a new one, its own id, and what was in it; opened again it is as it is."""
    old, old_version = structure(ledger), version_of(ledger)
    with ledger.writing() as connection:
        account = account_names.find_account(ledger, connection, "account")
    next_version()
    for _ in range(2):
        again = Ledger(ledger.engine.url)
        assert again.uuid == ledger.uuid
        assert version_of(again) == str(schema.SCHEMA_VERSION) != old_version
        columns, indexes = structure(again).pop(schema.campaign.name)
        assert "title" in columns - old[schema.campaign.name][0]
        assert "caixin_campaign_title" in indexes
        with again.writing() as connection:
            assert account_names.find_account(again, connection, "account") == account
        again.close()


def test_an_upgrade_that_was_interrupted_is_done_again(
    ledger: Ledger, next_version: Callable[[], None]
) -> None:
    """MySQL keeps the half of it: the column is there, and the version is still the old one."""
    old_version = int(version_of(ledger))
    next_version()
    Ledger(ledger.engine.url).close()
    new = structure(ledger)
    set_version(ledger, old_version)
    again = Ledger(ledger.engine.url)
    assert version_of(again) == str(schema.SCHEMA_VERSION)
    assert structure(again) == new
    again.close()


def test_a_newer_ledger_is_refused(ledger: Ledger) -> None:
    """The sentence says which version is known and what to do."""
    set_version(ledger, schema.SCHEMA_VERSION + 1)
    with pytest.raises(LedgerError, match="upgrade airflow-provider-caixin"):
        Ledger(ledger.engine.url)


def test_a_ledger_that_is_too_old_is_refused(ledger: Ledger) -> None:
    """The sentence says which version it has, which one is needed, and what to do; nothing is changed."""
    set_version(ledger, 4)
    with pytest.raises(
        LedgerError, match=r"has schema version 4, .* from version 5 on: open the ledger once with an older"
    ):
        Ledger(ledger.engine.url)
    assert version_of(ledger) == "4"


@pytest.mark.parametrize("old", [False, True])
def test_many_may_open_a_ledger_at_once(ledger_url: URL, old: bool, next_version: Callable[[], None]) -> None:
    """Whoever comes first makes or upgrades it, and all have one and the same."""
    if old:
        Ledger(ledger_url).close()
    next_version()
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(Ledger, [ledger_url] * 8))
    assert len({one.uuid for one in opened}) == 1
    assert {version_of(one) for one in opened} == {str(schema.SCHEMA_VERSION)}
    for one in opened:
        one.close()


def test_a_campaign_of_a_ledger_of_the_base_version_goes_on(tmp_path: Path, sqlite_ledger: Ledger) -> None:
    """An older airflow-provider-caixin made it: it has today's tables and is sent on where it was left."""
    file = tmp_path / "old.db"
    with closing(sqlite3.connect(file)) as made:
        made.executescript(OLD.read_text())
    ledger = Ledger.sqlite(file)
    assert structure(ledger) == structure(sqlite_ledger)
    with ledger.writing() as connection:
        account_key = account_names.find_account(ledger, connection, "account")
        key = campaign_rows.find_campaign(ledger, connection, "campaign", account_key, 65535, 0.0)
        account, row = AccountRow.of(connection, key), CampaignRow.lock(connection, key)
        now = ledger.now(connection)
        assert recipient_rows.expire_leases(connection, row, now) == 1
        (late,) = drawing.draw_unknown(connection, key, now, now, 1)
        (pending,) = drawing.draw_pending(connection, key, now, 9, visible_ranges(connection, key))
        assert (late.number, pending.number) == ("13900000002", "13900000004")
        settlements.write_settlements(connection, account, row, [Settlement(late.id, "claim", State.SENT)])
        row.save(connection)
        account.save(connection)
    assert not load_audience(ledger, key, "source", list, lease=60)
    assert load_audience(
        ledger, key, "more", lambda: [("13900000004", None), ("13912345678", None)], lease=60
    )
    with ledger.reading() as connection:
        counts = CampaignRow.read(connection, key).counts
    assert [counts[state] for state in State] == [2, 0, 2, 1, 1, 1]
    assert list(checks.disagreements(ledger)) == []
    ledger.close()
