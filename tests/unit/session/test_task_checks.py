"""What a task checks before it sends: backfills, old runs, and the ledger of an earlier attempt."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import airflow.sdk.execution_time.context
import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
)

from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.settings.ledgers import open_ledger
from tests.unit.sends import A, billed, kept, operator, run, scheduled, to_twenty

pytestmark = pytest.mark.usefixtures("to_sandbox")


def test_a_backfill(sandbox: SandboxServer, context: Any) -> None:
    """A backfill run sends only when the Dag says so."""
    context["dag_run"] = SimpleNamespace(run_type=SimpleNamespace(value="backfill"))
    with pytest.raises(AirflowFailException, match="allow_backfill=True"):
        operator(mobiles=[A]).execute(context)
    assert not sandbox.requests()
    assert operator(mobiles=[A], allow_backfill=True).execute(context)["sent"] == 1


class Store(dict[str, Any]):
    """A task state store."""

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        """Keep a value as the real one does."""
        assert (retention is not None) == (key == "ledger")
        self[key] = value


has_a_state_store = pytest.mark.skipif(
    not hasattr(airflow.sdk.execution_time.context, "NEVER_EXPIRE"),
    reason="Airflow 3.2 has no task state store",
)


@has_a_state_store
def test_the_ledger_is_remembered(context: Any) -> None:
    """The first attempt notes its ledger, and the same one is welcome again."""
    store = context["task_state_store"] = Store()
    operator(mobiles=[A]).execute(context)
    with closing(open_ledger(None)) as ledger:
        assert store["ledger"] == ledger.uuid
    operator(mobiles=[A]).execute(context)


@has_a_state_store
def test_another_ledger_is_refused(
    context: Any, sandbox: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container made anew has an empty ledger and would bill everything again."""
    context["task_state_store"] = Store()
    operator(mobiles=[A]).execute(context)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "new"))
    (tmp_path / "new").mkdir()
    with pytest.raises(AirflowFailException, match="would be sent again"):
        operator(mobiles=[A]).execute(context)
    assert billed(sandbox) == [A]


def test_a_store_that_fails(context: Any, logged: Callable[[], str]) -> None:
    """The store is a second net: without it a campaign goes on, with a warning."""
    context["task_state_store"] = SimpleNamespace()
    assert operator(mobiles=[A]).execute(context)["sent"] == 1
    assert "The ledger's id cannot be kept" in logged()


@pytest.mark.parametrize("kind", ["scheduled", SimpleNamespace(value="scheduled")], ids=["text", "enum"])
def test_an_old_run(kind: Any, sandbox: SandboxServer, context: Any) -> None:
    """Catch-up, or a scheduler that was down: five old days were billed today."""
    for days in (5, 4, 3, 2, 1):
        with pytest.raises(
            AirflowFailException, match=r"was due 20\d\d-.*more than 24 hours ago.*allow_backfill=True"
        ):
            run(to_twenty(), scheduled(context, timedelta(days=days, seconds=1), kind))
    assert sandbox.requests() == []
    assert kept() == 0


@pytest.mark.parametrize(
    ("age", "kind", "arguments"),
    [
        (timedelta(hours=23, minutes=59), "scheduled", {}),
        (timedelta(days=5), "scheduled", {"allow_backfill": True}),
        (timedelta(days=5), "scheduled", {"dry_run": True}),
        (timedelta(days=5), "manual", {}),
        (timedelta(days=5), "asset_triggered", {}),
    ],
    ids=str,
)
def test_a_run_that_may(age: timedelta, kind: str, arguments: Any, context: Any) -> None:
    """One of today, one that is allowed, one that sends nothing, one that no schedule made."""
    result = run(to_twenty(**arguments), scheduled(context, age, kind))
    assert result["sent"] + result.get("would_send", 0) == 20


def test_a_run_that_has_begun(sandbox: SandboxServer, context: Any) -> None:
    """However old, it goes on."""
    sandbox.configure(maintenance=True)
    with pytest.raises(AirflowException):
        run(to_twenty(check_template=False), context)
    sandbox.configure(maintenance=False)
    assert run(to_twenty(), scheduled(context, timedelta(days=5)))["sent"] == 20
