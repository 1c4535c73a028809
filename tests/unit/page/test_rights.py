"""Who may see and do what: each route as nobody, viewer, user, op, admin, and as one kept from a Dag."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import HIDDEN, HOSTILE, KEY, A, Browser, C, D, Told

pytestmark = pytest.mark.usefixtures("sandbox")
ROLES = ("viewer", "user", "op", "admin")
PERIOD = "from=2026-01-01&to=2026-12-31"
# What each role gets, in the order of ROLES. The campaign is one of a Dag that all of them may see.
READS = {
    "/session": (200, 200, 200, 200),
    "/overview": (200, 200, 200, 200),
    "/campaigns": (200, 200, 200, 200),
    "/campaigns/by-id?id=by%20hand": (404, 404, 200, 200),
    "/campaigns/{hostile}": (200, 200, 200, 200),
    "/campaigns/{theirs}": (200, 200, 200, 200),
    "/campaigns/{by hand}": (404, 404, 200, 200),
    "/campaigns/{of old}": (404, 404, 200, 200),
    "/campaigns/999999": (404, 404, 404, 404),
    "/campaigns/{hostile}/unknown": (200, 200, 200, 200),
    "/campaigns/{by hand}/unknown": (404, 404, 200, 200),
    "/campaigns/{hostile}/report": (403, 200, 200, 200),
    "/campaigns/{by hand}/report": (404, 404, 200, 200),
    "/connections/caixin_default/templates": (403, 403, 200, 200),
    f"/usage?by=dag&{PERIOD}": (200, 200, 200, 200),
    f"/usage.csv?by=campaign&{PERIOD}": (200, 200, 200, 200),
}
WRITES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "/campaigns/{hostile}/pause": ({"paused": True}, (403, 200, 200, 200)),
    "/campaigns/{hostile}/retry": ({"code": 236306}, (403, 200, 200, 200)),
    "/campaigns/{hostile}/unknown": ({"all": True, "outcome": "sent"}, (403, 200, 200, 200)),
    "/campaigns/{hostile}/cancel": ({}, (403, 200, 200, 200)),
    "/campaigns/{by hand}/pause": ({"paused": True}, (404, 404, 200, 200)),
    "/campaigns/{by hand}/cancel": ({}, (404, 404, 200, 200)),
    "/accounts/pause": ({"account": "account", "paused": True}, (403, 403, 200, 200)),
    "/accounts/limit": ({"account": "account", "max_per_day": 5}, (403, 403, 200, 200)),
    "/recipient": ({"number": A}, (403, 200, 200, 200)),
    "/recipient/suppress": ({"number": A, "reason": "asked"}, (403, 200, 200, 200)),
    "/recipient/release": ({"number": A}, (403, 403, 200, 200)),
}
KINDS = {401: "unauthenticated", 403: "forbidden", 404: "not_found"}


def _path(path: str, told: Told) -> str:
    for name, key in {**told.keys, "hostile": told.keys[HOSTILE]}.items():
        path = path.replace(f"{{{name}}}", str(key))
    return path


def test_nobody_gets_anything(browser: Callable[..., Browser], told: Told) -> None:
    """Not even a word on what there is; a person who opened the page is told to sign in."""
    nobody = browser(None)
    for method, paths in (("GET", READS), ("POST", WRITES)):
        for path in paths:
            answer = nobody.ask(method, _path(path, told), {} if method == "POST" else None)
            assert (answer.status_code, answer.json()["kind"]) == (401, "unauthenticated"), path
    assert nobody.client.get("/caixin/").status_code == 401
    page = nobody.client.get("/caixin/", headers={"accept": "text/html,*/*"})
    assert page.status_code == 401
    assert "sign in" in page.text
    assert "登录" in page.text
    for path in ("/docs", "/redoc", "/openapi.json", "/api/docs", "/nothing"):
        assert nobody.client.get(f"/caixin{path}").status_code in (401, 404), path


def test_forged_tokens_are_nobodys(browser: Callable[..., Browser], told: Told) -> None:
    """A cookie that Airflow did not sign opens nothing."""
    forger = browser(None)
    forger.client.cookies.set("_token", "a.b.c")
    for path in READS:
        assert forger.ask("GET", _path(path, told)).status_code in (401, 403), path


@pytest.mark.parametrize("role", ROLES)
def test_what_each_role_gets(role: str, browser: Callable[..., Browser], told: Told) -> None:
    """By the tables above; whatever is refused is a sentence with its kind."""
    somebody, place = browser(role), ROLES.index(role)
    for path, expected in READS.items():
        answer = somebody.ask("GET", _path(path, told))
        assert answer.status_code == expected[place], (path, answer.text)
        if answer.status_code in KINDS:
            assert answer.json()["kind"] == KINDS[answer.status_code]
    for path, (body, wanted) in WRITES.items():
        answer = somebody.ask("POST", _path(path, told), body)
        assert answer.status_code == wanted[place], (path, answer.text)
        if answer.status_code in KINDS:
            assert answer.json()["kind"] == KINDS[answer.status_code]
    assert not [text for text in somebody.answers if KEY in text], "the AppKey left the server"


@pytest.mark.parametrize("role", ROLES)
def test_what_each_role_is_said_to_be_allowed(role: str, browser: Callable[..., Browser], told: Told) -> None:
    """What the page offers is what the routes let pass."""
    session, edits = browser(role).get("/session"), role != "viewer"
    connects = role in ("op", "admin")
    assert session["may"] == {"look_up": edits, "suppress": edits, "release": connects}
    assert [one["id"] for one in session["connections"]] == (["caixin_default"] if connects else [])
    assert browser(role).get(f"/campaigns/{told.keys[HOSTILE]}")["may_edit"] is edits
    accounts = {one["name"]: one for one in browser(role).get("/overview")["accounts"]}
    assert accounts["account"]["may_edit"] is connects
    assert accounts["account"]["connections"] == (["caixin_default"] if connects else [])
    assert ("other" in accounts) is connects


def test_campaigns_of_a_hidden_dag(browser: Callable[..., Browser], told: Told) -> None:
    """Nowhere: not in lists, sums, histories, or by their number; and nothing can be done to them."""
    narrow = browser("user", "narrow")
    key = told.keys["theirs"]
    assert [one["campaign_id"] for one in narrow.get("/campaigns")["campaigns"]] == [HOSTILE]
    assert narrow.get("/campaigns?search=theirs")["campaigns"] == []
    overview = narrow.get("/overview")
    assert overview["today"] == {"billed": 1, "possibly": 1}
    assert narrow.get(f"/usage?by=dag&{PERIOD}")["rows"] == [{"name": "dag", "billed": 1, "possibly": 1}]
    assert HIDDEN not in narrow.ask("GET", f"/usage.csv?by=dag&{PERIOD}").text
    found = narrow.post("/recipient", {"number": A})
    assert [one["campaign_id"] for one in found["messages"]] == [HOSTILE]
    for path in ("", "/unknown", "/report"):
        narrow.get(f"/campaigns/{key}{path}", 404)
    narrow.get("/campaigns/by-id?id=theirs", 404)
    for path, body in (("pause", {"paused": True}), ("cancel", {}), ("retry", {"code": 1})):
        narrow.post(f"/campaigns/{key}/{path}", body, 404)
    narrow.post(f"/campaigns/{key}/unknown", {"all": True, "outcome": "sent"}, 404)
    assert "theirs" in str(browser("user").get("/campaigns")), "others see it"


def test_full_numbers_stay_on_the_server(browser: Callable[..., Browser], told: Told) -> None:
    """But in the look-up and the report; and these two are not for viewers."""
    admin = browser("admin")
    for path in READS:
        answer = admin.ask("GET", _path(path, told))
        shown = any(number in answer.text for number in (A, C, D))
        assert shown is path.endswith("report"), path
    assert admin.get(f"/campaigns/{told.keys[HOSTILE]}/unknown")["recipients"][0]["number"] == "139****5680"
