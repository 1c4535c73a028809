"""What bad requests are answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_caixin.page import ledgers

from .conftest import A, Browser, Told


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/campaigns/1/pause", {"paused": "yes"}),
        ("/campaigns/1/pause", {"paused": True, "more": 1}),
        ("/campaigns/1/pause", []),
        ("/campaigns/0/pause", {"paused": True}),
        ("/campaigns/9223372036854775808/pause", {"paused": True}),
        ("/campaigns/1/retry", {"code": "236306"}),
        ("/campaigns/1/unknown", {"outcome": "sent"}),
        ("/campaigns/1/unknown", {"ids": [1], "all": True, "outcome": "sent"}),
        ("/campaigns/1/unknown", {"ids": [1], "outcome": "rejected"}),
        ("/campaigns/1/unknown", {"ids": list(range(1, 1002)), "outcome": "sent"}),
        ("/accounts/limit", {"account": "account", "max_per_day": -1}),
        ("/accounts/limit", {"account": "account", "max_per_day": 1.5}),
        ("/accounts/limit", {"account": "account"}),
        ("/recipient", {"number": 13912345678}),
        ("/recipient", {"number": "secret 13912345678 13912345679"}),
        ("/recipient/suppress", {"number": A, "reason": "x" * 201}),
    ],
)
def test_bad_bodies_are_told_so(path: str, body: Any, browser: Callable[..., Browser]) -> None:
    """In a sentence that does not repeat what was given."""
    answer = browser("admin").ask("POST", path, body)
    assert (answer.status_code, answer.json()["kind"]) == (422, "invalid"), answer.text
    assert "secret" not in answer.text
    assert "13912345" not in answer.text


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    "path",
    [
        "/campaigns?status=sleeping",
        "/campaigns?most=0",
        "/campaigns?most=201",
        "/campaigns?before=x",
        "/campaigns/by-id",
        "/campaigns/x",
        "/campaigns/1/report?state=lost",
        "/usage?by=day",
        "/usage?by=hour&from=2026-11-01&to=2026-11-30",
        "/usage?by=day&from=2026-11-30&to=2026-11-01",
        "/usage?by=day&from=2020-01-01&to=2026-11-30",
        "/usage?by=day&from=2026-02-30&to=2026-11-30",
        "/usage?by=day&from=0001-01-01&to=0001-01-01",
        "/usage?by=day&from=9999-12-31&to=9999-12-31",
    ],
)
def test_bad_addresses_are_told_so(path: str, browser: Callable[..., Browser]) -> None:
    """In a sentence."""
    answer = browser("admin").ask("GET", path)
    known = path.endswith(("0001-01-01", "9999-12-31"))
    assert answer.status_code == (200 if known else 422), answer.text
    assert known or answer.json()["kind"] == "invalid"


def test_what_nobody_thought_of(
    browser: Callable[..., Browser], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sentence, and the rest in the log."""
    assert told.keys

    def broken(_self: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(ledgers.NamedLedger, "open", broken)
    answer = browser("admin").get("/overview", 500)
    assert answer["kind"] == "internal"
    assert "secret" not in answer["detail"]
