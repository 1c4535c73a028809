"""Campaigns on the page: where they stand, why, what a person does to them, and the report."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import pytest

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.vocabulary import State
from tests.unit.page.conftest import HIDDEN, HOSTILE, A, B, Browser, C, Told

CAMPAIGN = {
    "key", "campaign_id", "tpl_id", "account", "status", "paused", "account_paused", "created_at", "active_at",
    "quota_since", "dag_id", "run_id", "task_id", "map_index", "rate", "rate_now", "eta", "loosened", "counts", "total",
    "may_edit", "links",
}  # fmt: skip


def test_a_campaign_on_each_database(browser: Callable[..., Browser], shared_ledger: Ledger) -> None:
    """Its counts, every reason in words, minutes, links; what others wrote comes back as it was written."""
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
def test_unknown_recipients_are_listed_and_resolved(
    outcome: str, state: str, browser: Callable[..., Browser], shared_ledger: Ledger
) -> None:
    """One by its id and then all, in pages, by somebody's word that is kept."""
    told = Told(shared_ledger)
    numbers = [f"1390000{number:04}" for number in range(5)]
    key = told.past.campaign("unknown", *numbers)
    told.past.sent(key, dict.fromkeys(numbers, State.UNKNOWN), told.sent_at)
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
    """All in the audience's order with full numbers, or those of a state or reason; nothing is a formula."""
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
    numbers = [f"139{number:08}" for number in range(12_345)]
    key = told.past.campaign("long", *numbers)
    text = browser("user").ask("GET", f"/campaigns/{key}/report").content.decode("utf-8-sig")
    assert [line.partition(",")[0] for line in text.splitlines()] == ["mobile", *numbers]


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
