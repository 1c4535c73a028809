"""Campaigns on the page: where they stand, why, what a person does to them, and the report."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.admin import controls
from airflow_provider_caixin.page.campaign_view import lately
from airflow_provider_caixin.vocabulary import State

from .conftest import HIDDEN, HOSTILE, A, B, Browser, C, Connect, D, Told

CAMPAIGN = {
    "key", "campaign_id", "tpl_id", "account", "status", "paused", "account_paused", "created_at", "active_at",
    "quota_since", "dag_id", "run_id", "task_id", "map_index", "rate", "rate_now", "eta", "loosened", "counts", "total",
    "may_edit", "links",
}  # fmt: skip


@pytest.mark.usefixtures("connect")
def test_the_overview_on_each_database(
    browser: Callable[..., Browser], shared_ledger: Ledger, connect: Connect
) -> None:
    """Accounts with their window and volume, what is at work, what is in doubt, and what today costs."""
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
    # What left before midnight in China is no message of today.
    assert mine.pop("day_count") in (0, 4)
    assert mine == {
        "name": "account", "connections": ["caixin_default"], "paused": False, "may_edit": True, "rate": 50.0,
        "rate_now": None, "max_per_day": 1000, "limit_by_person": False, "quota_since": None, "failures": 0, "pace": 1.0,
    }  # fmt: skip
    assert accounts["unused"]["window"] is None
    assert accounts["other"]["rate"] is None
    assert accounts["other"]["pace"] == 0.25
    assert [one["campaign_id"] for one in overview["campaigns"]] == ["by hand", HOSTILE]
    assert all(one.keys() == CAMPAIGN for one in overview["campaigns"])
    [doubt] = overview["unknown"]
    assert 0 <= told.sent_at - doubt.pop("oldest") < 60
    key = told.keys[HOSTILE]
    assert doubt == {"key": key, "campaign_id": HOSTILE, "tpl_id": 65535, "unknown": 1, "may_edit": True}
    assert overview["today"]["billed"] in (0, 4)


def test_a_campaign_on_each_database(browser: Callable[..., Browser], shared_ledger: Ledger) -> None:
    """Its counts, every reason in words, its minutes, its links; and what others wrote comes back as it was written."""
    told = Told(shared_ledger)
    one = browser("user").get(f"/campaigns/{told.keys[HOSTILE]}")
    assert one.keys() == CAMPAIGN | {"skipped", "rejected", "as_of", "minutes", "minute_width"}
    assert one["campaign_id"] == HOSTILE
    assert (one["status"], one["total"], one["rate"], one["loosened"]) == (
        "waiting",
        6,
        100.0,
        ["a rule", "another"],
    )
    assert one["counts"] == {
        "pending": 1,
        "in_flight": 0,
        "sent": 1,
        "rejected": 1,
        "unknown": 1,
        "skipped": 2,
    }
    skipped = sorted((row["reason"], row["count"]) for row in one["skipped"])
    assert skipped == [("duplicate", 1), ("invalid_number", 1)]
    [rejected] = one["rejected"]
    assert (rejected["code"], rejected["count"], rejected["zh"]) == (236306, 1, "手机号错误")
    assert all(rejected[name] for name in ("en", "cause", "remedy"))
    assert one["minutes"] == [[int(told.sent_at // 60) * 60, 1, 1, 1]]
    assert one["minute_width"] == 60
    assert one["links"] == {
        "dag": "/dags/dag",
        "run": "/dags/dag/runs/run",
        "task": "/dags/dag/runs/run/tasks/send",
    }
    assert browser("user").get(f"/campaigns/by-id?id={HOSTILE.replace('#', '%23')}")["key"] == one["key"]


def test_links_lead_through_what_people_named(
    browser: Callable[..., Browser], told: Told, home_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a path of Airflow's, and with names that would lead elsewhere; to a Dag that is gone there is no link."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.test/team/airflow/")
    with home_ledger.writing() as connection:
        table = schema.campaign
        change = sa.update(table).where(table.c.id == told.keys[HOSTILE])
        connection.execute(change.values(run_id="manual__2026-11-25T00:00+08:00/../../x?y#z", map_index=3))
    links = browser("admin").get(f"/campaigns/{told.keys[HOSTILE]}")["links"]
    run = "/team/airflow/dags/dag/runs/manual__2026-11-25T00%3A00%2B08%3A00%2F..%2F..%2Fx%3Fy%23z"
    assert links == {"dag": "/team/airflow/dags/dag", "run": run, "task": f"{run}/tasks/send/mapped/3"}
    gone = browser("admin").get(f"/campaigns/{told.keys['of old']}")["links"]
    assert gone == {"dag": None, "run": None, "task": None}


def test_lists_come_in_pages(browser: Callable[..., Browser], told: Told) -> None:
    """The newest first, by part of the name and by where they stand."""
    admin = browser("admin")

    def ids(query: str) -> list[str]:
        return [one["campaign_id"] for one in admin.get(f"/campaigns?{query}")["campaigns"]]

    assert ids("") == ["of old", "by hand", "theirs", HOSTILE]
    first = admin.get("/campaigns?most=3")
    assert first["next"] == told.keys["theirs"]
    rest = admin.get(f"/campaigns?most=3&before={first['next']}")
    assert ([one["campaign_id"] for one in rest["campaigns"]], rest["next"]) == ([HOSTILE], None)
    assert ids("search=%3Dcmd") == [HOSTILE]
    assert ids("search=65536") == ["theirs"]
    assert ids("search=%25") == []
    assert ids("status=waiting") == ["by hand", HOSTILE]
    assert ids("status=done&search=old") == ["of old"]


def test_pause_resume_cancel(
    browser: Callable[..., Browser], told: Told, audited: Callable[[], list[tuple[str, str, str]]]
) -> None:
    """Each seen at once, recorded, and refused where nothing can follow; whoever is done may be run again."""
    user, key = browser("user", "小李"), told.keys[HOSTILE]
    assert user.post(f"/campaigns/{key}/pause", {"paused": True})["status"] == "paused"
    assert user.post(f"/campaigns/{key}/pause", {"paused": False})["status"] == "waiting"
    assert user.post(f"/campaigns/{key}/cancel", {})["status"] == "cancelled"
    for path, body in (("pause", {"paused": True}), ("cancel", {}), ("retry", {"code": 236306})):
        assert user.post(f"/campaigns/{key}/{path}", body, 409)["kind"] == "refused"
    assert browser("admin").post(f"/campaigns/{told.keys['of old']}/cancel", {})["status"] == "cancelled"
    events = [(event, owner, json.loads(extra)["campaign_id"]) for event, owner, extra in audited()]
    names = ("caixin_pause_campaign", "caixin_resume_campaign", "caixin_cancel_campaign")
    assert events[:3] == [(name, "小李", HOSTILE) for name in names]
    assert [event for event, _, _ in events[3:]] == ["caixin_cancel_campaign"]


def test_retry_by_code(browser: Callable[..., Browser], told: Told) -> None:
    """Those who were rejected with it wait again."""
    user, key = browser("user"), told.keys[HOSTILE]
    assert user.post(f"/campaigns/{key}/retry", {"code": 236308}) == {"retried": 0}
    assert user.post(f"/campaigns/{key}/retry", {"code": 236306}) == {"retried": 1}
    one = user.get(f"/campaigns/{key}")
    assert (one["counts"]["pending"], one["counts"]["rejected"], one["rejected"]) == (2, 0, [])


@pytest.mark.parametrize(("outcome", "state"), [("sent", "sent"), ("pending", "pending")])
def test_doubts_are_listed_and_resolved(
    outcome: str, state: str, browser: Callable[..., Browser], shared_ledger: Ledger
) -> None:
    """One by its id and then all, in pages, by somebody's word that is kept."""
    told = Told(shared_ledger)
    people = [f"1390000{number:04}" for number in range(5)]
    key = told.past.campaign("doubtful", *people)
    told.past.sent(key, dict.fromkeys(people, State.UNKNOWN), told.sent_at)
    user = browser("user")
    page = user.get(f"/campaigns/{key}/unknown?most=2")
    rest = user.get(f"/campaigns/{key}/unknown?most=200&after={page['next']}")
    found = page["recipients"] + rest["recipients"]
    assert [one["number"] for one in found] == [f"139****{number:04}" for number in range(5)]
    assert rest["next"] is None
    assert found[0] == {
        "id": found[0]["id"], "number": "139****0000", "sent_at": told.sent_at, "code": None, "reason": None, "twice": False,
    }  # fmt: skip
    strange = user.get(f"/campaigns/{told.keys[HOSTILE]}/unknown")["recipients"][0]["id"]
    word = {"ids": [found[0]["id"], strange, 10**15], "outcome": outcome}
    stale = {**word, "as_of": told.sent_at - 1}
    assert user.post(f"/campaigns/{key}/unknown", stale) == {"resolved": 0, "left": 5}
    word["as_of"] = page["as_of"]
    assert user.post(f"/campaigns/{key}/unknown", word) == {"resolved": 1, "left": 4}
    assert user.post(f"/campaigns/{key}/unknown", word) == {"resolved": 0, "left": 4}
    assert user.post(f"/campaigns/{key}/unknown", {"all": True, "outcome": outcome}) == {
        "resolved": 4,
        "left": 0,
    }
    assert told.past.counts(key) == {state: 5}
    assert told.past.counts(told.keys[HOSTILE])["unknown"] == 1, "another campaign's stays"


def test_the_report(
    browser: Callable[..., Browser], shared_ledger: Ledger, audited: Callable[[], list[tuple[str, str, str]]]
) -> None:
    """Everybody in the audience's order with full numbers, or those of a state or reason; nothing in it is a formula."""
    told = Told(shared_ledger)
    key = told.past.campaign("report", A, B, skipped={'=HYPERLINK("http://evil.test")': "invalid_number"})
    told.past.sent(key, {B: State.REJECTED}, told.sent_at)
    user = browser("user", "wang")

    def rows(query: str = "") -> list[dict[str, str]]:
        answer = user.ask("GET", f"/campaigns/{key}/report{query}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == f'attachment; filename="caixin-report-{key}.csv"'
        assert answer.content.startswith(b"\xef\xbb\xbf")
        return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))

    assert [row["mobile"] for row in rows()] == [A, B, '\'=HYPERLINK("http://evil.test")']
    assert [row["mobile"] for row in rows("?state=rejected")] == [B]
    assert [row["mobile"] for row in rows("?reason=236306")] == [B]
    assert [row["mobile"] for row in rows("?state=skipped&reason=invalid_number")] == [
        '\'=HYPERLINK("http://evil.test")'
    ]
    assert rows("?state=unknown") == []
    recorded = [(event, owner) for event, owner, _ in audited()]
    assert recorded == [("caixin_download_report", "wang")] * 5


def test_a_long_report_is_whole(browser: Callable[..., Browser], told: Told) -> None:
    """Of more rows than are read or written together."""
    people = [f"139{number:08}" for number in range(12_345)]
    key = told.past.campaign("long", *people)
    text = browser("user").ask("GET", f"/campaigns/{key}/report").content.decode("utf-8-sig")
    assert [line.partition(",")[0] for line in text.splitlines()] == ["mobile", *people]


def test_reasons_are_counted_anew_when_they_changed(
    browser: Callable[..., Browser], told: Told, home_ledger: Ledger
) -> None:
    """The page keeps counts, and not longer than they hold."""
    user, key = browser("user"), told.keys[HOSTILE]
    before = user.get(f"/campaigns/{key}")
    assert user.get(f"/campaigns/{key}")["as_of"] == before["as_of"], "nothing changed"
    controls.retry_rejected(home_ledger, HOSTILE, 236306)
    told.past.sent(key, {D: State.REJECTED}, told.sent_at, code=236308)
    with home_ledger.writing() as connection:
        table = schema.campaign
        ticked = sa.update(table).where(table.c.id == key)
        connection.execute(ticked.values(active_at=home_ledger.now(connection) - 60))
    after = user.get(f"/campaigns/{key}")
    assert after["counts"] == before["counts"]
    assert [one["code"] for one in after["rejected"]] == [236308]


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


@pytest.mark.parametrize(
    ("minutes", "into", "loaded", "rate"),
    [
        # At it for long: the whole last minute and what there is of this one.
        ({8: 3000, 9: 3000, 10: 1500}, 30, 0, 50),
        # Began in this minute, ten seconds ago.
        ({10: 500}, 30, 20, 50),
        # Began in the last one, and this one is too young to tell.
        ({9: 1500, 10: 50}, 1, -30, 50),
        # Never above what it is set to.
        ({10: 6000}, 10, 0, 100),
        ({}, 30, 0, 0),
    ],
)
def test_how_the_rate_is_reckoned(
    minutes: dict[int, int], into: float, loaded: float, rate: float, told: Told, home_ledger: Ledger
) -> None:
    """At each point of a campaign's life; moments are seconds from the tenth minute on."""
    from dataclasses import replace

    from airflow_provider_caixin.ledger.views import campaigns as campaign_views

    with home_ledger.reading() as connection:
        one = campaign_views.campaign(connection, told.keys[HOSTILE], told.now)
    assert one is not None
    one = replace(one, loaded_at=600.0 + loaded)
    assert lately(minutes, 600.0 + into, one) == pytest.approx(rate)


def test_hostile_text_is_only_text(browser: Callable[..., Browser], told: Told) -> None:
    """JSON as JSON and nothing a browser takes for a page, whatever it holds."""
    for path in ("/campaigns", "/overview", f"/campaigns/{told.keys[HOSTILE]}"):
        answer = browser("admin").ask("GET", path)
        assert answer.headers["content-type"] == "application/json"
        assert HOSTILE in json.dumps(answer.json(), ensure_ascii=False).replace('\\"', '"')


def test_a_hidden_campaign_and_a_missing_one_look_the_same(
    browser: Callable[..., Browser], told: Told
) -> None:
    """So that nobody learns which names are taken."""
    narrow = browser("user", "narrow")
    assert narrow.get(f"/campaigns/{told.keys['theirs']}", 404) == narrow.get("/campaigns/999999", 404)
    assert narrow.get("/campaigns/by-id?id=theirs", 404) == narrow.get("/campaigns/by-id?id=none", 404)
    assert HIDDEN not in str(narrow.answers)
    assert C not in str(narrow.answers)
