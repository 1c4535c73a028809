"""The overview: accounts, what is at work, what is unknown, what today costs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.ledger import Ledger, schema
from tests.unit.conftest import Connect
from tests.unit.page.conftest import HOSTILE, Browser, Told

CAMPAIGN = {
    "key", "campaign_id", "tpl_id", "account", "status", "paused", "account_paused", "created_at", "active_at",
    "quota_since", "dag_id", "run_id", "task_id", "map_index", "rate", "rate_now", "eta", "loosened", "counts", "total",
    "may_edit", "links",
}  # fmt: skip


@pytest.mark.usefixtures("connect")
def test_the_overview_on_each_database(
    browser: Callable[..., Browser], shared_ledger: Ledger, connect: Connect
) -> None:
    """Accounts with their window and volume, what is at work, what is unknown, and what today costs."""
    connect(
        extra={
            "account": "account",
            "max_per_day": 1000,
            "messages_per_second": 50,
            "send_window": "00:00-24:00",
        }
    )
    connect("second", extra={"account": "unused", "send_window": "none"})
    told = Told(shared_ledger)
    with shared_ledger.writing() as connection:
        slow = sa.update(schema.account).where(schema.account.c.name == "other").values(pace=0.25)
        connection.execute(slow)
    overview = browser("admin").get("/overview")
    accounts = {one["name"]: one for one in overview["accounts"]}
    assert accounts.keys() == {"account", "other", "unused"}
    mine = accounts["account"]
    window = mine.pop("window")
    assert window["text"] == "00:00-24:00"
    assert window["open"] is True
    assert window["closes_at"] == window["opens_at"] > overview["now"]
    assert mine.pop("last_sent_at") is None
    assert mine == {
        "name": "account", "connections": ["caixin_default"], "paused": False, "may_edit": True, "rate": 50.0,
        "rate_now": None, "max_per_day": 1000, "day_count": 4, "limit_set_here": False, "quota_since": None, "failures": 0, "pace": 1.0,
    }  # fmt: skip
    assert accounts["unused"]["window"] is None
    assert accounts["other"]["rate"] is None
    assert accounts["other"]["pace"] == 0.25
    assert [one["campaign_id"] for one in overview["campaigns"]] == ["by hand", HOSTILE]
    assert all(one.keys() == CAMPAIGN for one in overview["campaigns"])
    [unknown] = overview["unknown"]
    assert 0 <= told.sent_at - unknown.pop("oldest") < 60
    key = told.keys[HOSTILE]
    assert unknown == {"key": key, "campaign_id": HOSTILE, "tpl_id": 65535, "unknown": 1, "may_edit": True}
    assert overview["today"] == {"billed": 4, "possibly": 1}


def test_rate_and_time_to_go(browser: Callable[..., Browser], told: Told, home_ledger: Ledger) -> None:
    """Of a campaign that runs, by its latest minutes; others have none."""
    key = told.keys[HOSTILE]
    with home_ledger.writing() as connection:
        table, minutes = schema.campaign, schema.traffic
        now = home_ledger.now(connection)
        connection.execute(sa.update(table).where(table.c.id == key).values(active_at=now, pending=500))
        connection.execute(sa.delete(minutes).where(minutes.c.campaign == key))
        rows = [
            {"campaign": key, "minute": int(now // 60) - back, "sent": 600, "rejected": 0, "unknown": 0}
            for back in (1, 2)
        ]
        connection.execute(sa.insert(minutes), rows)
    overview = browser("user").get("/overview")
    running = next(one for one in overview["campaigns"] if one["key"] == key)
    assert running["status"] == "running"
    assert 5 <= running["rate_now"] <= 10
    assert running["eta"] == pytest.approx(500 / running["rate_now"])
    accounts = {one["name"]: one["rate_now"] for one in overview["accounts"]}
    assert accounts["account"] == running["rate_now"]
