"""What unit tests share: an Airflow home and a ledger for each test, a sandbox and its connection."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.bases.operator import ExecutorSafeguard
from sqlalchemy.engine import URL

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.sandbox import SandboxServer
from tests.conftest import as_connection

KEY = "unit-test-app-key"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set up a ledger of its own for each test, and let it call execute."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)
    for name in [name for name in os.environ if name.startswith(("AIRFLOW__CAIXIN__", "AIRFLOW_CONN_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def _running_sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def sandbox(_running_sandbox: SandboxServer) -> SandboxServer:
    """Return a sandbox that has seen nothing yet."""
    _running_sandbox.reset()
    return _running_sandbox


Connect = Callable[..., None]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Define a connection: ``connect(uri_part, conn_id=..., **extra)``."""

    def define(conn_id: str = "caixin_default", **fields: Any) -> None:
        value = {"conn_type": "caixin", "password": KEY, **fields}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))

    return define


@pytest.fixture
def to_sandbox(sandbox: SandboxServer, connect: Connect) -> Connect:
    """Define the default connection to the sandbox, open at any hour; keywords are its extra."""

    def define(**extra: Any) -> None:
        extra = {"send_window": "00:00-24:00", **extra}
        connect(host=sandbox.host, port=sandbox.port, schema="http", extra=extra)

    define()
    return define


@pytest.fixture
def shared_ledger(ledger_url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """Open the ledger that page and commands will find, on each of the three databases in turn."""
    if ledger_url.get_backend_name() == "sqlite":
        ledger_url = ledger_url.set(database=str(tmp_path / "caixin_ledger.db"))
    else:
        monkeypatch.setenv("AIRFLOW_CONN_SHARED", as_connection(ledger_url))
        monkeypatch.setenv("AIRFLOW__CAIXIN__LEDGER_CONN_ID", "shared")
    opened = Ledger(ledger_url)
    yield opened
    opened.close()


@pytest.fixture
def context() -> dict[str, Any]:
    """Return the context of a task, as far as the operator reads it."""
    ti = SimpleNamespace(dag_id="dag", run_id="run", task_id="send", map_index=-1, xcom_push=lambda **_: None)
    return {"ti": ti, "dag_run": SimpleNamespace(run_type="manual")}


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Read what tasks logged so far: Airflow writes it to stdout, past the standard library's handlers."""
    lines: list[str] = []

    def read() -> str:
        lines.append(capsys.readouterr().out)
        return "".join(lines)

    return read
