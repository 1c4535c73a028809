"""A person's history and standing, and what was billed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.vocabulary import State

from .conftest import HOSTILE, A, B, Browser, Told


def test_a_person_on_each_database(
    browser: Callable[..., Browser], shared_ledger: Ledger, audited: Callable[[], list[tuple[str, str, str]]]
) -> None:
    """Every message the user may know of, the codes in words; in whatever spelling the number was typed."""
    Told(shared_ledger)
    user = browser("user", "wang")
    person = user.post("/recipient", {"number": " +86 139-1234 5678"})
    assert (person["number"], person["carrier"], person["suppressed"]) == (A, "china_mobile", None)
    assert person["region"]
    assert {one["campaign_id"] for one in person["messages"]} == {HOSTILE, "theirs"}
    [rejected] = user.post("/recipient", {"number": B})["messages"]
    assert (rejected["state"], rejected["code"], rejected["code_zh"]) == (
        "rejected",
        236306,
        "手机号错误",
    )
    assert rejected["code_en"]
    ours = browser("admin").post("/recipient", {"number": A})["messages"]
    assert {one["campaign_id"] for one in ours} == {HOSTILE, "theirs", "by hand", "of old"}
    assert audited()[0] == ("caixin_look_up_number", "wang", json.dumps({"number": "139****5678"}))
    assert not [extra for _, _, extra in audited() if A in extra or B in extra]


def test_suppress_and_release_on_each_database(
    browser: Callable[..., Browser], shared_ledger: Ledger, audited: Callable[[], list[tuple[str, str, str]]]
) -> None:
    """Seen at the next look; twice is once, with the first reason."""
    assert shared_ledger.uuid
    admin, reason = browser("admin"), "投诉 <b>"
    done = admin.post("/recipient/suppress", {"number": A, "reason": reason})
    assert done["suppressed"]["reason"] == reason
    assert admin.post("/recipient/suppress", {"number": A, "reason": None}) == done
    assert admin.post("/recipient", {"number": A})["suppressed"] == done["suppressed"]
    assert admin.post("/recipient/release", {"number": A}) == {"suppressed": None}
    assert admin.post("/recipient", {"number": A})["suppressed"] is None
    events = [event for event, _, _ in audited()]
    look_up, suppress = "caixin_look_up_number", "caixin_suppress_number"
    assert events == [suppress, suppress, look_up, "caixin_release_number", look_up]


@pytest.mark.parametrize(
    ("number", "carrier"),
    [("17001234567", "virtual_operator"), ("16512345678", "virtual_operator"), ("18912345678", "other")],
)
@pytest.mark.usefixtures("told")
def test_other_carriers(number: str, carrier: str, browser: Callable[..., Browser]) -> None:
    """They have no messages, and the page says why."""
    person = browser("user").post("/recipient", {"number": number})
    assert (person["carrier"], person["messages"]) == (carrier, [])


def test_usage_on_each_database(browser: Callable[..., Browser], shared_ledger: Ledger) -> None:
    """By day of China, template, campaign and Dag; both ends of a period are in it, and others are not."""
    told = Told(shared_ledger)
    today = datetime.fromtimestamp(told.sent_at, tz=CHINA).date()
    yesterday = today - timedelta(days=1)
    midnight = datetime(today.year, today.month, today.day, tzinfo=CHINA).timestamp()
    key = told.past.campaign("=1+1", "13900000001", "13900000002", tpl_id=7)
    told.past.sent(key, {"13900000001": State.SENT}, midnight - 1)
    told.past.sent(key, {"13900000002": State.UNKNOWN}, midnight - 86_400 - 1)
    admin = browser("admin")

    def usage(by: str, first: object = yesterday, last: object = today) -> dict[str | None, tuple[int, int]]:
        answer = admin.get(f"/usage?by={by}&from={first}&to={last}")
        rows = {row["name"]: (row["billed"], row["possibly"]) for row in answer["rows"]}
        sums = tuple(sum(column) for column in zip(*rows.values(), strict=True)) or (0, 0)
        assert (answer["total"]["billed"], answer["total"]["possibly"]) == sums
        return rows

    assert usage("day") == {str(yesterday): (1, 0), str(today): (4, 1)}
    assert usage("day", today, today) == {str(today): (4, 1)}
    assert usage("day", today - timedelta(days=2), yesterday - timedelta(days=1)) == {
        str(today - timedelta(days=2)): (0, 1)
    }
    assert usage("template") == {"65535": (3, 1), "65536": (1, 0), "7": (1, 0)}
    assert usage("campaign") == {
        HOSTILE: (1, 1),
        "theirs": (1, 0),
        "by hand": (1, 0),
        "of old": (1, 0),
        "=1+1": (1, 0),
    }
    assert usage("dag") == {"dag": (2, 1), "hidden": (1, 0), None: (1, 0), "deleted": (1, 0)}
    answer = admin.ask("GET", f"/usage.csv?by=campaign&from={yesterday}&to={today}")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    table = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert table[0] == ["campaign", "billed", "possibly"]
    assert {row[0] for row in table[1:]} == {f"'{HOSTILE}", "theirs", "by hand", "of old", "'=1+1"}


def test_a_number_in_a_reason_stays_out_of_the_logs(
    browser: Callable[..., Browser],
    home_ledger: Ledger,
    audited: Callable[[], list[tuple[str, str, str]]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """People type what they have before them; the list keeps it as it is."""
    assert home_ledger.uuid
    reason = f"{B[:3]} {B[3:7]}-{B[7:]} asked on 2026-11-26"
    with caplog.at_level("INFO"):
        done = browser("admin").post("/recipient/suppress", {"number": A, "reason": reason})
    assert done["suppressed"]["reason"] == reason
    ((_, _, extra),) = audited()
    assert json.loads(extra)["reason"] == "*** asked on 2026-11-26"
    assert B[7:] not in caplog.text
