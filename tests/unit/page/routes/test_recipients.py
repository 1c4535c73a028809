"""A recipient: the history of a number, and whether it is suppressed."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from airflow_provider_caixin.ledger import Ledger
from tests.unit.page.conftest import HOSTILE, A, B, Browser, Told


def test_a_number_on_each_database(
    browser: Callable[..., Browser], shared_ledger: Ledger, audited: Callable[[], list[tuple[str, str, str]]]
) -> None:
    """Every message the user may know of, the codes in words; in whatever spelling the number was typed."""
    Told(shared_ledger)
    user = browser("user", "wang")
    found = user.post("/recipient", {"number": " +86 139-1234 5678"})
    assert (found["number"], found["carrier"], found["suppressed"]) == (A, "china_mobile", None)
    assert found["region"]
    assert {one["campaign_id"] for one in found["messages"]} == {HOSTILE, "theirs"}
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
    found = browser("user").post("/recipient", {"number": number})
    assert (found["carrier"], found["messages"]) == (carrier, [])
