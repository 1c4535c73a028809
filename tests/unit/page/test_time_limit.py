"""A ledger that does not answer: a sentence, soon, and Airflow goes on."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest

from airflow_provider_caixin.page import ledgers, time_limit

from .conftest import Browser, Told


def test_a_ledger_that_says_nothing_has_an_end(
    browser: Callable[..., Browser], silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that takes the connection and no more; meanwhile what needs no ledger is answered."""
    fields = {"conn_type": "mysql", "host": "127.0.0.1", "port": silent, "login": "u"}
    monkeypatch.setenv("AIRFLOW_CONN_SHARED", json.dumps(fields))
    monkeypatch.setenv("AIRFLOW__CAIXIN__LEDGER_CONN_ID", "shared")
    monkeypatch.setattr(time_limit, "LIMIT_SECONDS", 1.0)
    answer = browser("admin").get("/overview", 504)
    assert (answer["kind"], "try again later" in answer["detail"]) == ("ledger", True)
    assert browser("admin").get("/session")["user"] == "somebody"


def test_a_hanging_ledger_does_not_take_airflow_with_it(
    browser: Callable[..., Browser], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More requests hang than the page has threads: Airflow's own routes and static files go on."""
    assert told.keys
    freed = threading.Event()
    monkeypatch.setattr(time_limit, "LIMIT_SECONDS", 0.5)
    monkeypatch.setattr(ledgers.NamedLedger, "open", lambda _self: freed.wait(60))
    try:
        asked = [threading.Thread(target=browser("admin").ask, args=("GET", "/overview")) for _ in range(20)]
        for one in asked:
            one.start()
        for one in asked:
            one.join(30)
            assert not one.is_alive()
        assert browser("admin").client.get("/api/v2/version").status_code == 200
        assert browser("admin").client.get("/caixin/static/index.html").status_code == 200
    finally:
        freed.set()
