"""What browsers get with every answer, and what other sites cannot make them do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import API, HOSTILE, A, Browser, Told

PAGE = {"sec_fetch_site": "same-origin", "origin": "http://airflow.test"}
FOREIGN = (
    {"sec_fetch_site": "cross-site", "origin": "http://evil.test"},
    {"sec_fetch_site": "same-site", "origin": "http://other.airflow.test"},
    {"sec_fetch_site": "none", "origin": ""},
    {"sec_fetch_site": "cross-site", "origin": ""},
    {"sec_fetch_site": "", "origin": "http://evil.test"},
    {"sec_fetch_site": "", "origin": "null"},
    {"sec_fetch_site": "", "origin": "http://airflow.test.evil.test"},
    {"sec_fetch_site": "", "origin": ""},
    {**PAGE, "content_type": "text/plain"},
    {**PAGE, "content_type": "application/x-www-form-urlencoded"},
    {**PAGE, "content_type": "multipart/form-data; boundary=application/json"},
)


def _changes(told: Told) -> dict[str, Any]:
    campaign = f"/campaigns/{told.keys[HOSTILE]}"
    return {
        f"{campaign}/pause": {"paused": True},
        f"{campaign}/retry": {"code": 236306},
        f"{campaign}/unknown": {"all": True, "outcome": "pending"},
        f"{campaign}/cancel": {},
        "/accounts/pause": {"account": "account", "paused": True},
        "/accounts/limit": {"account": "account", "max_per_day": 0},
        "/recipient": {"number": A},
        "/recipient/suppress": {"number": A},
        "/recipient/release": {"number": A},
    }


def test_another_site_changes_nothing(
    browser: Callable[..., Browser], told: Told, audited: Callable[[], list[Any]]
) -> None:
    """Whatever it makes the browser of an admin send, with the cookie."""
    admin = browser("admin")
    before = admin.get(f"/campaigns/{told.keys[HOSTILE]}")
    for path, body in _changes(told).items():
        for headers in FOREIGN:
            answer = admin.ask("POST", path, body, **headers)
            assert (answer.status_code, answer.json()["kind"]) == (403, "forbidden"), (path, headers)
    after = admin.get(f"/campaigns/{told.keys[HOSTILE]}")
    for one in (before, after):
        del one["as_of"]
    assert after == before
    assert audited() == []


@pytest.mark.parametrize("headers", [PAGE, {**PAGE, "sec_fetch_site": ""}, {**PAGE, "origin": ""}])
def test_the_page_itself_may(headers: dict[str, str], browser: Callable[..., Browser], told: Told) -> None:
    """In both kinds of browser: one says where a request is from, the other gives the origin alone."""
    admin = browser("admin")
    for path, body in _changes(told).items():
        assert admin.ask("POST", path, body, **headers).status_code == 200, path


def test_a_program_with_a_token_may(browser: Callable[..., Browser], told: Told) -> None:
    """No site can make a browser send one."""
    program = browser("admin")
    token = program.client.cookies.pop("_token")
    path = f"/campaigns/{told.keys[HOSTILE]}/pause"
    plain = {"sec_fetch_site": "", "origin": ""}
    assert program.ask("POST", path, {"paused": True}, **plain).status_code == 401
    answer = program.ask("POST", path, {"paused": True}, **plain, authorization=f"Bearer {token}")
    assert answer.status_code == 200


@pytest.mark.usefixtures("told")
def test_every_answer_has_the_headers(browser: Callable[..., Browser]) -> None:
    """Also errors, static files, what is not there, and what nobody signed in for."""
    for somebody in (browser(None), browser("admin")):
        for path in (
            API + "/session",
            API + "/campaigns/x",
            "/caixin/",
            "/caixin/static/index.html",
            "/caixin/no",
        ):
            answer = somebody.client.get(path)
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';"), path
            assert "frame-ancestors 'self'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            kept = "no-cache" if "/static/" in path else "no-store"
            assert answer.headers["cache-control"] == kept
    assert browser(None).client.get("/caixin/static/index.html").status_code == 200
    for outside in ("../page/app.py", "%2e%2e/page/app.py", "..%2fpage%2fapp.py"):
        assert "FastAPI" not in browser(None).client.get(f"/caixin/static/{outside}").text
