"""The ledgers that the page shows: missing, of another host, refusing, not defined."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.page import ledgers

from .conftest import Browser


def _unused_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def test_no_connections_and_no_ledger(browser: Callable[..., Browser], tmp_path: Path) -> None:
    """A fresh Airflow; looking on makes nothing, and the first ledger is found when it is there."""
    admin = browser("admin")
    session = admin.get("/session")
    assert (session["connections"], session["ledgers"]) == ([], [{"id": "", "label": "caixin_ledger.db"}])
    answer = admin.get("/overview", 503)
    assert answer["kind"] == "ledger"
    assert "no ledger yet" in answer["detail"]
    assert list(tmp_path.iterdir()) == []
    Ledger.sqlite(tmp_path / "caixin_ledger.db").close()
    ledgers.close()
    assert admin.get("/overview")["accounts"] == []


def test_the_embedded_ledger_of_one_host_among_several(
    browser: Callable[..., Browser], home_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would show a part as the whole."""
    assert home_ledger.uuid
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    answer = browser("admin").get("/overview", 503)
    assert "ledger_conn_id" in answer["detail"]


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_a_ledger_that_refuses(
    kind: str, browser: Callable[..., Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens there; the second look does not wait again."""
    fields = {
        "conn_type": kind,
        "host": "127.0.0.1",
        "port": _unused_port(),
        "login": "u",
        "password": "secret-password",
    }
    monkeypatch.setenv("AIRFLOW_CONN_SHARED", json.dumps(fields))
    monkeypatch.setenv("AIRFLOW__CAIXIN__LEDGER_CONN_ID", "shared")
    for path in ("/overview", "/campaigns", "/campaigns/1", "/usage?by=day&from=2026-11-01&to=2026-11-02"):
        answer = browser("admin").get(path, 503)
        assert answer["kind"] == "ledger"
        assert "did not answer" in answer["detail"]
        assert "secret-password" not in answer["detail"]
    assert browser("admin").get("/session")["ledgers"] == [{"id": "", "label": "shared"}]


def test_a_ledger_connection_that_is_not_there(
    browser: Callable[..., Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named."""
    monkeypatch.setenv("AIRFLOW__CAIXIN__LEDGER_CONN_ID", "nowhere")
    answer = browser("admin").get("/overview", 503)
    assert answer["kind"] == "ledger"
    assert "'nowhere'" in answer["detail"]


def test_a_ledger_that_no_connection_names(browser: Callable[..., Browser], home_ledger: Ledger) -> None:
    """Nobody makes the page connect to whatever Airflow can reach."""
    assert home_ledger.uuid
    answer = browser("admin").get("/overview?ledger=airflow_db", 404)
    assert answer["kind"] == "not_found"
