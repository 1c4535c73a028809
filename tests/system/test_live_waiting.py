"""Waiting in a real triggerer that is killed and started again meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_caixin.sandbox import SandboxServer
from scripts.throwaway import EXAMPLE_DAGS, Airflow, Home
from tests.system.live import LIVE, Live, Run, left_in, wait_until
from tests.windows import opening

pytestmark = LIVE
REVIEWED = 65538
IS_3_3 = hasattr(BaseEventTrigger, "shared_stream_key")


class Waiting(NamedTuple):
    """An Airflow whose triggerer can be killed."""

    airflow: Airflow
    live: Live

    def triggerer_log(self) -> str:
        """Give what the present triggerer and the Dags' triggers in it have written."""
        return (self.live.home / "logs" / "triggerer.log").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Waiting]:
    """Run an Airflow that soon notices a triggerer's death."""
    folder = tmp_path_factory.mktemp("waiting")
    with Home(folder, EXAMPLE_DAGS, Path(__file__).parent / "waiting_dags") as home:
        home.settings["AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC"] = "2"
        home.settings["AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD"] = "6"
        home.migrate()
        airflow = Airflow(home, 0)
        try:
            yield Waiting(airflow, Live(folder, airflow.start()))
        finally:
            airflow.stop()
    assert left_in(folder) == []


def ended(run: Run) -> datetime:
    """Give when the waiting task ended."""
    return datetime.fromisoformat(run.task()["end_date"])


def test_a_window_that_opens(waiting: Waiting, gateway: SandboxServer) -> None:
    """The task waits deferred, and from 3.3 on no worker ever has it: it starts and ends in the triggerer."""
    opens, window = opening(40)
    run = waiting.live.trigger("waiting_window", conn_id=waiting.live.connect(gateway, send_window=window))
    wait_until("the task is deferred", lambda: run.task()["state"] == "deferred")
    assert run.finish(240) == "success"
    assert ended(run) >= opens
    task = run.task()
    assert task["try_number"] == 1
    assert (task["pid"] is None) is IS_3_3


def test_a_window_that_opens_for_a_rescheduled_sensor(waiting: Waiting, gateway: SandboxServer) -> None:
    """It comes back at the opening, long before its interval of ten minutes is over."""
    opens, window = opening(40)
    run = waiting.live.trigger(
        "waiting_window_rescheduled", conn_id=waiting.live.connect(gateway, send_window=window)
    )
    wait_until("the task is rescheduled", lambda: run.task()["state"] == "up_for_reschedule")
    assert run.finish(240) == "success"
    assert ended(run) >= opens


def test_a_triggerer_that_is_killed(waiting: Waiting, gateway: SandboxServer) -> None:
    """The next triggerer goes on with sensors, and with a watcher: one run for what happened meanwhile."""

    def runs() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = waiting.live.api.ask("GET", "dags", "waiting_event", "dagRuns")[
            "dag_runs"
        ]
        return found

    conn_id = waiting.live.connect(gateway)
    waiting.live.connect(gateway, conn_id="waiting_event")
    opens, window = opening(45)
    template = waiting.live.trigger("waiting_template", conn_id=conn_id)
    closed = waiting.live.trigger("waiting_window", conn_id=waiting.live.connect(gateway, send_window=window))
    wait_until(
        "the sensors are deferred", lambda: {template.task()["state"], closed.task()["state"]} == {"deferred"}
    )
    wait_until("the watcher has looked", lambda: "is not available; watching" in waiting.triggerer_log())
    waiting.airflow.kill("triggerer")
    assert not runs()
    if IS_3_3:
        gateway.set_template(REVIEWED, available=True)
    waiting.airflow.begin_triggerer()
    if not IS_3_3:
        # Without a memory the new triggerer has to have looked before.
        wait_until("the watcher has looked", lambda: "is not available; watching" in waiting.triggerer_log())
        gateway.set_template(REVIEWED, available=True)
    assert template.finish(120) == "success"
    assert template.result()["tpl_id"] == REVIEWED
    assert closed.finish(240) == "success"
    assert ended(closed) >= opens
    [first] = wait_until("the event has started a run", runs)
    run = Run(waiting.live, "waiting_event", first["dag_run_id"])
    assert run.finish() == "success"
    assert run.result() == {"tpl_id": REVIEWED}
    calls = gateway.state()["template_calls"]
    wait_until("the template was looked at again", lambda: gateway.state()["template_calls"] >= calls + 5)
    assert len(runs()) == 1
