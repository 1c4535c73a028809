"""The operator on each ledger, found through an Airflow connection as on several hosts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from sqlalchemy.engine import URL

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import suppressions
from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.sandbox import SandboxServer
from tests.conftest import as_connection
from tests.databases import SERVERS
from tests.unit.sends import A, B, C

pytestmark = [
    pytest.mark.usefixtures("to_sandbox"),
    SERVERS,
]


@pytest.fixture
def shared(ledger_url: URL, monkeypatch: pytest.MonkeyPatch) -> URL:
    """Define the Airflow connection ``shared`` to an empty database."""
    monkeypatch.setenv("AIRFLOW_CONN_SHARED", as_connection(ledger_url))
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    return ledger_url


def operator(**arguments: Any) -> CaixinSendOperator:
    """Make an operator of template 65535."""
    return CaixinSendOperator(**{"task_id": "send", "tpl_id": 65535, "mobiles": [A, B, C], **arguments})


def test_a_campaign_and_its_ways_again(
    shared: URL,
    sandbox: SandboxServer,
    context: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sent, run again, as another campaign, dry, with suppress file and report: all by the shared ledger."""
    monkeypatch.setenv("AIRFLOW__CAIXIN__LEDGER_CONN_ID", "shared")
    report, opted_out = tmp_path / "report.csv", tmp_path / "out.txt"
    opted_out.write_text(f"{C}\n")
    first = operator(suppress_file=str(opted_out), report_file=str(report)).execute(context)
    assert (first["sent"], first["skipped"]) == (2, {"suppressed": 1})
    assert operator(suppress_file=str(opted_out), report_file=str(report)).execute(context) == first
    assert [line.split(",")[1] for line in report.read_text(encoding="utf-8-sig").splitlines()[1:]] == [
        "sent",
        "sent",
        "skipped",
    ]
    dry = operator(campaign_id="other", dry_run=True, frequency_cap=None).execute(context)
    assert dry["would_send"] == 2
    other = operator(campaign_id="other").execute(context)
    assert other["skipped"] == {"frequency_cap": 2, "suppressed": 1}
    assert len(sandbox.billed()) == 2
    assert not list(tmp_path.glob("caixin_ledger.db*"))
    ledger = Ledger(shared)
    assert [one.number for one in suppressions.suppressed(ledger)] == [C]
    ledger.close()


@pytest.mark.usefixtures("shared")
def test_the_connection_s_own_ledger(to_sandbox: Any, sandbox: SandboxServer, context: Any) -> None:
    """The extra ``ledger_conn_id`` names it for a gateway connection; without, several hosts are refused."""
    with pytest.raises(AirflowFailException, match=r"CeleryExecutor.*ledger_conn_id"):
        operator().execute(context)
    assert sandbox.requests() == []
    to_sandbox(ledger_conn_id="shared")
    assert operator().execute(context)["sent"] == 3


def test_a_database_that_is_not_there(
    shared: URL, to_sandbox: Any, sandbox: SandboxServer, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent, and the error names the ledger; it may be there at the retry."""
    fields = {"conn_type": "mysql" if shared.get_backend_name() == "mysql" else "postgres"}
    place = {"host": "127.0.0.1", "port": 1, "login": "root", "password": "ledger-password"}
    monkeypatch.setenv("AIRFLOW_CONN_SHARED", json.dumps(fields | place))
    to_sandbox(ledger_conn_id="shared")
    with pytest.raises(AirflowException, match="ledger did not answer") as caught:
        operator().execute(context)
    assert not isinstance(caught.value, AirflowFailException)
    assert "ledger-password" not in str(caught.value)
    assert sandbox.requests() == []
