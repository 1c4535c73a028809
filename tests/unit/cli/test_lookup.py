"""The connection and the ledger that a command works on, also one that several hosts share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.engine import URL

from airflow_provider_caixin.cli import main
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.settings.ledgers import embedded_path
from tests.conftest import as_connection
from tests.databases import SERVERS

from .conftest import LOST, A, Run


@pytest.mark.usefixtures("to_sandbox", "server_context")
@SERVERS
def test_a_shared_ledger(
    ledger_url: URL,
    monkeypatch: pytest.MonkeyPatch,
    sandbox: SandboxServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Named on the command line, with a note on the connection's own; no embedded one is made beside it."""
    monkeypatch.setenv("AIRFLOW_CONN_SHARED", as_connection(ledger_url))

    def run(*argv: str) -> Any:
        capsys.readouterr()
        assert main([*argv, "--ledger", "shared", "-o", "json"]) == 0
        return json.loads(capsys.readouterr().out)

    send = ["send", "--tpl-id", "65535", A, LOST, "--campaign-id", "s", "-y", "--max-failure-ratio", "none"]
    assert main([*send, "--ledger", "shared"]) == 0
    assert "is not the ledger of the connection" in capsys.readouterr().err
    assert not embedded_path().exists()
    [campaign] = run("campaigns")
    assert (campaign["sent"], campaign["unknown"]) == (1, 1)
    assert main(["unknown", "resolve", "s", "--as", "sent", "--all", "-y", "--ledger", "shared"]) == 0
    assert run("usage")[0]["billed"] == 2
    assert len(run("number", "show", A)["messages"]) == 1
    assert main(["ledger", "check", "--ledger", "shared"]) == 0
    assert run("ledger", "info")["dialect"] == ledger_url.get_backend_name()
    assert len(sandbox.billed()) == 2


def test_a_wrong_ledger(run: Run, connect: Callable[..., None]) -> None:
    """A connection that is none of a ledger, or that there is not, is wrong usage."""
    connect("web", conn_type="http")
    answer = run("ledger", "info", "--ledger", "web")
    assert (answer.status, answer.out) == (2, "")
    assert "'web' is of type 'http': expected postgres or mysql" in answer.err
    answer = run("campaigns", "--ledger", "nosuch")
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.startswith("Ledger connection 'nosuch' is not defined in Airflow: expected")


def test_without_a_ledger_or_a_connection(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever only looks on makes no ledger; without a connection the ledger's commands still work."""
    answer = run("campaigns")
    assert answer.status == 1
    assert "There is no ledger yet" in answer.err
    assert not embedded_path().exists()
    monkeypatch.delenv("AIRFLOW_CONN_CAIXIN_DEFAULT")
    made = run("suppress", "add", A)
    assert made.status == 0
    assert f"A ledger without campaigns was made: {embedded_path()}" in made.err
    assert "was made" not in run("suppress", "add", A).err
    assert run("campaigns").status == 4
    assert run("account", "pause").status == 2
