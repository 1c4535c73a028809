"""What is shown when something is missing, wrong or silent: a sentence, soon."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.page import ledgers, time_limit
from airflow_provider_caixin.sandbox import SandboxServer

from .conftest import KEY, Browser, Connect, Told


@pytest.fixture
def silent() -> Iterator[int]:
    """Listen on a port, take connections and say nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield listener.getsockname()[1]


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
    monkeypatch.setenv("AIRFLOW_CONN_BOOK", json.dumps(fields))
    monkeypatch.setenv("AIRFLOW__CAIXIN__LEDGER_CONN_ID", "book")
    for path in ("/overview", "/campaigns", "/campaigns/1", "/usage?by=day&from=2026-11-01&to=2026-11-02"):
        answer = browser("admin").get(path, 503)
        assert answer["kind"] == "ledger"
        assert "did not answer" in answer["detail"]
        assert "secret-password" not in answer["detail"]
    assert browser("admin").get("/session")["ledgers"] == [{"id": "", "label": "book"}]


def test_a_ledger_connection_that_is_not_there(
    browser: Callable[..., Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named."""
    monkeypatch.setenv("AIRFLOW__CAIXIN__LEDGER_CONN_ID", "nowhere")
    answer = browser("admin").get("/overview", 503)
    assert answer["kind"] == "ledger"
    assert "'nowhere'" in answer["detail"]


def test_a_ledger_that_says_nothing_has_an_end(
    browser: Callable[..., Browser], silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that takes the connection and no more; meanwhile what needs no ledger is answered."""
    fields = {"conn_type": "mysql", "host": "127.0.0.1", "port": silent, "login": "u"}
    monkeypatch.setenv("AIRFLOW_CONN_BOOK", json.dumps(fields))
    monkeypatch.setenv("AIRFLOW__CAIXIN__LEDGER_CONN_ID", "book")
    monkeypatch.setattr(time_limit, "SECONDS", 1.0)
    answer = browser("admin").get("/overview", 504)
    assert (answer["kind"], "try again later" in answer["detail"]) == ("ledger", True)
    assert browser("admin").get("/session")["user"] == "somebody"


def test_a_hanging_ledger_does_not_take_airflow_with_it(
    browser: Callable[..., Browser], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More requests hang than the page has threads: Airflow's own routes and static files go on."""
    assert told.keys
    gate = threading.Event()
    monkeypatch.setattr(time_limit, "SECONDS", 0.5)
    monkeypatch.setattr(ledgers.OpenLedger, "open", lambda _self: gate.wait(60))
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
        gate.set()


def test_what_nobody_thought_of(
    browser: Callable[..., Browser], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sentence, and the rest in the log."""
    assert told.keys

    def broken(_self: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(ledgers.OpenLedger, "open", broken)
    answer = browser("admin").get("/overview", 500)
    assert answer["kind"] == "internal"
    assert "secret" not in answer["detail"]


def test_templates_as_the_gateway_lists_them(browser: Callable[..., Browser], sandbox: SandboxServer) -> None:
    """With their text apart from the signature, and only addresses that a browser may load."""
    assert sandbox.port
    answer = browser("op").get("/connections/caixin_default/templates")
    by_id = {one["tpl_id"]: one for one in answer["templates"]}
    video = by_id[65535]
    assert video["available"] is True
    assert video["kind"] in ("video", "picture")
    assert video["url"].startswith("http://127.0.0.1:")
    assert video["content"].startswith(f"【{video['signature']}】")
    assert video["text"]
    assert "【" not in video["text"]
    assert isinstance(video["created_at"], float)
    assert any(not one["available"] for one in answer["templates"])


def test_connections_that_are_none(browser: Callable[..., Browser], connect: Connect) -> None:
    """Another type, none at all, and one that cannot be read."""
    connect("other_type", conn_type="http")
    connect("keyless", password="")
    connect("odd", extra={"timeout": "soon"})
    op = browser("op")
    for conn_id in ("other_type", "missing", "a%2Fb"):
        assert op.get(f"/connections/{conn_id}/templates", 404)["kind"] == "not_found"
    assert "AppKey" in op.get("/connections/keyless/templates", 422)["detail"]
    problems = {one["id"]: one["problem"] for one in op.get("/session")["connections"]}
    assert problems.keys() == {"keyless", "odd"}
    assert "timeout" in problems["odd"]
    assert KEY not in str(op.answers)


def test_a_gateway_that_refuses_says_nothing_or_says_no(
    browser: Callable[..., Browser], connect: Connect, sandbox: SandboxServer, silent: int
) -> None:
    """Within seconds, with the gateway's own words where it had any."""
    op = browser("op")
    connect("away", host="127.0.0.1", port=_unused_port(), schema="http")
    connect("mute", host="127.0.0.1", port=silent, schema="http", extra={"timeout": 0.5})
    for conn_id in ("away", "mute"):
        began = time.monotonic()
        answer = op.get(f"/connections/{conn_id}/templates", 504)
        assert (answer["kind"], time.monotonic() - began < 30) == ("gateway", True)
    sandbox.configure(maintenance=True)
    answer = op.get("/connections/caixin_default/templates", 502)
    assert answer["kind"] == "gateway"
    assert KEY not in str(op.answers)
