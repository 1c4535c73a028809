"""CaixinNotifier, called as Airflow calls it: in callbacks of tasks, Dags and deadlines."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from airflow.sdk import DAG
from airflow.sdk.definitions.callback import AsyncCallback, SyncCallback
from airflow.triggers.callback import CallbackTrigger
from jinja2 import UndefinedError

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.notifications.caixin import CaixinNotifier
from airflow_provider_caixin.sandbox import SandboxServer, magic_mobile
from airflow_provider_caixin.settings.ledgers import embedded_path, open_ledger
from tests.unit.conftest import Connect

A, B = "13912340001", "13912340002"
DEADLINE = {
    "dag_run": {"dag_id": "dag", "dag_run_id": "run", "state": "running"},
    "deadline": {"id": "0199", "deadline_time": "2026-11-25T10:00:00Z"},
}

pytestmark = pytest.mark.usefixtures("to_sandbox")


@pytest.fixture
def ledger() -> None:
    """Make the embedded ledger, as the first campaign does."""
    open_ledger(None).close()


def notifier(**arguments: Any) -> CaixinNotifier:
    """Make a notifier for A."""
    return CaixinNotifier(**{"tpl_id": 65536, "mobiles": A, "frequency_cap": None, **arguments})


def task_context(state: Any = "failed", map_index: int = -1) -> dict[str, Any]:
    """Return what a task's callback gets, as far as it is looked at."""
    ti = SimpleNamespace(dag_id="dag", run_id="run", task_id="t", map_index=map_index, state=state)
    return {"ti": ti, "dag": DAG("dag", schedule=None), "dag_run": SimpleNamespace(run_id="run")}


def closed() -> str:
    """Return a window that is closed now."""
    hour = (datetime.now(CHINA) + timedelta(hours=3)).hour
    return f"{hour:02}:00-{hour:02}:59"


def test_a_callback_that_is_called_twice(sandbox: SandboxServer, logged: Callable[[], str]) -> None:
    """It bills once for each task and state, and shows no number."""
    for _ in range(2):
        notifier()(task_context())
    assert len(sandbox.billed()) == 1
    notifier()(task_context("up_for_retry"))
    notifier()(task_context(map_index=3))
    notifier(tpl_id=65535)(task_context())
    assert len(sandbox.billed()) == 4
    notifier(mobiles=[A, B])(task_context())
    assert sorted(row["mobile"] for row in sandbox.billed()) == [A, A, A, A, B]
    text = logged()
    assert "Campaign notify/dag/run/t/failed/65536: 1 of 1 recipients are notified." in text
    assert A not in text


def test_two_notifiers_of_one_occasion(sandbox: SandboxServer) -> None:
    """They share a campaign, each with recipients of its own: neither takes the other for itself, changed."""
    for mobiles in (A, B, A):
        notifier(mobiles=mobiles)(task_context())
    assert sorted(row["mobile"] for row in sandbox.billed()) == [A, B]


@pytest.mark.parametrize(
    "context",
    [
        {"dag": DAG("dag", schedule=None), "run_id": "run", "reason": "task_failure"},
        {**task_context("success"), "run_id": "run", "reason": "task_failure"},
    ],
    ids=["short", "with a task"],
)
@pytest.mark.usefixtures("ledger")
def test_callbacks_of_dags(context: Any, sandbox: SandboxServer, logged: Callable[[], str]) -> None:
    """They are about the run, whatever task they name beside."""
    notifier()(context)
    notifier()(context)
    assert len(sandbox.billed()) == 1
    assert "Campaign notify/dag/run/task_failure/65536:" in logged()


@pytest.mark.parametrize(
    "context", [{"dag": DAG("dag", schedule=None), "run_id": "run", "reason": "task_failure"}, DEADLINE]
)
def test_where_no_campaign_ever_ran(context: Any, sandbox: SandboxServer) -> None:
    """In the Dag processor or triggerer an empty ledger would know of nobody's messages: none is made."""
    with pytest.raises(AirflowFailException, match="There is no ledger yet"):
        notifier()(context)
    assert not embedded_path().exists()
    assert not sandbox.requests()


def test_one_notifier_for_many_runs(sandbox: SandboxServer) -> None:
    """Each call renders anew what was given."""
    one = notifier(campaign_id="on-call/{{ ds }}")
    for day in ("2026-11-25", "2026-11-26"):
        one({**task_context(), "ds": day})
    assert len(sandbox.billed()) == 2
    assert one.campaign_id == "on-call/{{ ds }}"
    for nothing in (" ", "{{ None }}"):
        with pytest.raises(AirflowFailException, match="expected a name"):
            notifier(campaign_id=nothing)(task_context())


def test_numbers_that_cannot_be_rendered(logged: Callable[[], str], caplog: pytest.LogCaptureFixture) -> None:
    """The log names the field and shows nothing of it."""
    with pytest.raises(UndefinedError):
        notifier(mobiles=[A, "{{ no_such.thing }}"])(task_context())
    text = logged() + caplog.text
    assert "field 'mobiles' cannot be rendered: UndefinedError" in text
    assert A not in text


def test_a_campaign_of_ones_own(sandbox: SandboxServer, logged: Callable[[], str]) -> None:
    """Fields are templates; the id may be one for all runs of a day."""
    context = {**task_context(), "ds": "2026-11-25", "who": B}
    notifier(mobiles="{{ who }}", campaign_id="on-call/{{ ds }}")(context)
    assert [row["mobile"] for row in sandbox.billed()] == [B]
    assert "Campaign on-call/2026-11-25:" in logged()


def test_the_usual_rules(sandbox: SandboxServer, logged: Callable[[], str]) -> None:
    """The frequency cap counts these messages, too; who gets none is told in the log."""
    for state in ("failed", "up_for_retry"):
        notifier(frequency_cap="member_marketing")(task_context(state))
    assert len(sandbox.billed()) == 1
    assert "0 of 1 recipients are notified, 1 not: frequency_cap." in logged()


def test_outside_the_window(sandbox: SandboxServer, logged: Callable[[], str]) -> None:
    """Nothing is sent and nothing raised, unless it is told to; a later call still notifies."""
    notifier(send_window=closed())(task_context())
    assert "is closed; it opens" in logged()
    with pytest.raises(AirflowException, match="is closed; it opens"):
        notifier(send_window=closed(), outside_window="fail")(task_context())
    assert not sandbox.requests()
    notifier()(task_context())
    assert len(sandbox.billed()) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"mobiles": magic_mobile(236306)}, "100% of the messages failed"),
        ({"mobiles": None, "audience_file": "/no/such.txt"}, "does not exist"),
        ({"tpl_id": "{{ 'nothing' }}"}, "is not a template id"),
        ({"caixin_conn_id": "nowhere"}, "nowhere"),
    ],
)
def test_errors(arguments: dict[str, Any], sentence: str) -> None:
    """They are raised: Airflow logs what a callback raises."""
    with pytest.raises(AirflowException, match=sentence):
        notifier(**arguments)(task_context())


def test_a_context_without_a_run() -> None:
    """Nobody could tell whether it was called before."""
    with pytest.raises(AirflowFailException, match="which names a run"):
        notifier()({})


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"mobiles": None}, "exactly one of the two"),
        ({"audience_file": "x.txt"}, "exactly one of the two"),
        ({"outside_window": "wait"}, "outside_window 'wait' is not known"),
        ({"send_window": "9 to 5"}, "9 to 5"),
        ({"frequency_cap": "often"}, "often"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], sentence: str) -> None:
    """They are an error of the Dag file, not of the night in which something fails."""
    with pytest.raises(ValueError, match=sentence):
        notifier(**arguments)


# ---------------------------------------------------------------------- deadlines


@pytest.mark.usefixtures("ledger")
def test_a_deadline_in_the_triggerer(
    sandbox: SandboxServer, tmp_path: Path, logged: Callable[[], str]
) -> None:
    """Airflow's own trigger for deadlines awaits it, twice with one bill, and meanwhile its loop goes on."""
    (tmp_path / "recipients.txt").write_text(A)
    kwargs = {"tpl_id": 65536, "audience_file": str(tmp_path / "recipients.txt")}
    callback = AsyncCallback(CaixinNotifier, kwargs=kwargs)
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            ticks.append(time.monotonic())
            await asyncio.sleep(0.01)

    async def fire() -> list[Any]:
        trigger = CallbackTrigger(callback.path, {**callback.kwargs, "context": dict(DEADLINE)})
        return [event.payload["state"] async for event in trigger.run()]

    async def both() -> list[Any]:
        ticking = asyncio.create_task(tick())
        states = [await fire(), await fire()]
        ticking.cancel()
        return states

    assert [[str(state) for state in states] for states in asyncio.run(both())] == [
        ["running", "success"]
    ] * 2
    assert [row["mobile"] for row in sandbox.billed()] == [A]
    assert "Campaign notify/dag/run/deadline/0199/65536:" in logged()
    # It slept and did not block: while one message goes out the loop turns many times.
    assert len(ticks) > 5


def run_callback(path: str, kwargs: dict[str, Any]) -> tuple[bool, str | None]:
    """Run a synchronous callback with Airflow's own runner of them, which moved after 3.2."""
    log = structlog.get_logger()
    try:
        from airflow.sdk.execution_time.callback_supervisor import execute_callback
    except ImportError:
        from airflow.executors.workloads import callback as workloads

        fields = {"id": "0199", "fetch_method": "import_path", "data": {"path": path, "kwargs": kwargs}}
        callback = workloads.CallbackDTO.model_validate(fields)
        run: Any = workloads.execute_callback_workload  # type: ignore[attr-defined]  # of 3.2
        done, error = run(callback, log)
        return done, error
    return execute_callback(path, kwargs, dag_rel_path=Path(), bundle_path=None, log=log)


@pytest.mark.usefixtures("ledger")
def test_a_deadline_in_the_executor(sandbox: SandboxServer) -> None:
    """Airflow's own runner of synchronous callbacks calls it."""
    callback = SyncCallback(CaixinNotifier, kwargs={"tpl_id": 65536, "mobiles": [A]})
    assert run_callback(callback.path, {**callback.kwargs, "context": dict(DEADLINE)}) == (True, None)
    assert [row["mobile"] for row in sandbox.billed()] == [A]


def test_it_gives_up(sandbox: SandboxServer, to_sandbox: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel that stays busy does not hold up whoever calls back; no thread is left."""
    to_sandbox()
    monkeypatch.setattr("airflow_provider_caixin.notifications.caixin._LONGEST_SECONDS", 0.5)
    before = threading.active_count()
    with pytest.raises(AirflowException, match="told to stop"):
        notifier(mobiles=magic_mobile(236300))(task_context())
    assert not sandbox.billed()
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before
