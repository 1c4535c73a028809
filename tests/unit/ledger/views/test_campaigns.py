from __future__ import annotations

import sqlalchemy as sa

from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.admin import accounts, controls
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.views import campaigns as campaign_views
from airflow_provider_caixin.vocabulary import State, Status
from tests.unit.ledger.conftest import Past

A, B = "13912345678", "13912345679"


def test_where_each_campaign_stands(past: Past, ledger: Ledger) -> None:
    """The database filters by what each one says of itself."""
    with ledger.reading() as connection:
        now = ledger.now(connection)
    keys = {
        name: past.campaign(name, A, account=name)
        for name in ("waiting", "running", "paused", "stopped", "cancelled")
    }
    keys["done"] = past.campaign("done", A)
    past.sent(keys["done"], {A: State.SENT}, now)
    keys["purged"] = past.campaign("purged", "13900000000")
    past.sent(keys["purged"], {"13900000000": State.SENT}, now)
    with ledger.writing() as connection:
        table = schema.campaign
        active = sa.update(table).where(table.c.id == keys["running"]).values(active_at=now - 1)
        connection.execute(active)
        connection.execute(sa.update(table).where(table.c.id == keys["purged"]).values(purged_at=now))
        owner = account_names.find_account(ledger, connection, "account")
        leases = {
            "loading": now + 60,
            "broken off": 0.0,
            "never begun": None,
            "of a wrong clock": now + 2 * schema.FAR_AHEAD_SECONDS,
        }
        for name, lease in leases.items():
            fields = {"hash": name, "campaign_id": name, "account": owner, "tpl_id": 1, "created_at": now}
            inserted = connection.execute(sa.insert(table).values(fields)).inserted_primary_key
            if inserted is not None and lease is not None:
                load = {"campaign": inserted[0], "hash": name, "source": name, "lease": lease}
                connection.execute(sa.insert(schema.load).values(load))
    controls.pause_campaign(ledger, "paused")
    accounts.pause_account(ledger, "stopped")
    controls.cancel_campaign(ledger, "cancelled")
    expected = {
        **{status.value: status for status in Status},
        "stopped": Status.PAUSED,
        "broken off": Status.WAITING,
        "never begun": Status.WAITING,
        "of a wrong clock": Status.WAITING,
    }
    with ledger.reading() as connection:
        found = {one.campaign_id: one.status(now) for one in campaign_views.campaigns(connection, now)}
        assert found == expected
        for status in Status:
            some = campaign_views.campaigns(connection, now, status=status)
            assert {one.campaign_id for one in some} == {
                name for name in expected if expected[name] is status
            }


def test_campaigns_are_found_and_come_in_pages(past: Past, ledger: Ledger) -> None:
    """By a part of the id as it is written, by template, account and Dag, the newest first."""
    for index in range(5):
        past.campaign(f"summer_{index}", A, tpl_id=100 + index, dag=f"dag_{index % 2}")
    last = past.campaign("summerX1%", A, B, A, account="other", dag=None)
    with ledger.reading() as connection:

        def ids(**wanted: object) -> list[str]:
            found = campaign_views.campaigns(connection, 0.0, **wanted)  # type: ignore[arg-type]  # options of many types
            return [one.campaign_id for one in found]

        assert ids() == ["summerX1%", *(f"summer_{index}" for index in (4, 3, 2, 1, 0))]
        assert ids(search="er_1") == ["summer_1"]
        assert ids(search="1%") == ["summerX1%"]
        assert ids(search="103") == ["summer_3"]
        assert ids(account="other") == ["summerX1%"]
        assert ids(dag_ids={"dag_1"}, without_dag=False) == ["summer_3", "summer_1"]
        assert ids(dag_ids={"dag_1"}) == ["summerX1%", "summer_3", "summer_1"]
        assert ids(dag_ids=set(), without_dag=False) == []
        assert ids(before=last, most=2) == ["summer_4", "summer_3"]
        one = campaign_views.campaign(connection, last, 0.0)
        assert campaign_views.campaign(connection, 999_999, 0.0) is None
    assert one is not None
    assert (one.total, one.left, one.skipped, one.rate) == (3, 2, 1, 100.0)
    assert (one.dag_id, one.loosened) == (None, "a rule\nanother")


def test_what_the_page_asks_of_all_campaigns(past: Past, ledger: Ledger) -> None:
    """Dags and accounts, whose quota is used up, which have unknown outcomes, several statuses at once."""
    past.campaign("one", A, dag="dag_1")
    unknown = past.campaign("two", A, B, dag=None, account="other")
    past.sent(unknown, {A: State.UNKNOWN, B: State.SENT}, 6_000.0)
    with ledger.writing() as connection:
        table = schema.campaign
        connection.execute(sa.update(table).where(table.c.id == unknown).values(quota_since=123.0))
    with ledger.reading() as connection:
        assert campaign_views.dags(connection) == {"dag_1"}
        assert campaign_views.accounts_of(connection, {"dag_1"}, without_dag=False) == {"account"}
        assert campaign_views.accounts_of(connection, set(), without_dag=True) == {"other"}
        assert campaign_views.quota_since(connection) == {"other": 123.0}
        assert [one.key for one in campaign_views.campaigns(connection, 0.0, with_unknown=True)] == [unknown]
        both = campaign_views.campaigns(connection, 7_000.0, status={Status.DONE, Status.WAITING})
        assert [one.campaign_id for one in both] == ["two", "one"]
        found = campaign_views.find(connection, "two", 0.0)
        assert found == campaign_views.campaign(connection, unknown, 0.0)
        assert campaign_views.find(connection, "TWO", 0.0) is None
