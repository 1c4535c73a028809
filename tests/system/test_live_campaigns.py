"""Campaigns under a real scheduler, executor and triggerer: run again, stopped, waiting, mapped."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # Airflow brings it, without types
import pytest

from airflow_provider_caixin.sandbox import SandboxServer
from tests.system.live import LIVE, Live, Run, audience, people, wait_until
from tests.windows import opening

pytestmark = LIVE


def bills(gateway: SandboxServer) -> Counter[str]:
    """Count the bills of each number."""
    return Counter(row["mobile"] for row in gateway.billed())


def test_a_cleared_task_bills_nobody_twice(live: Live, gateway: SandboxServer, tmp_path: Path) -> None:
    """A task that is cleared after its success runs again, sends nothing and returns the same counts."""
    numbers = people(60)
    run = live.trigger(
        "live",
        audience=audience(tmp_path / "a.txt", numbers),
        conn_id=live.connect(gateway),
    )
    assert run.finish() == "success"
    first = run.result()
    assert first["sent"] == 60
    run.clear()
    wait_until("the second attempt is done", lambda: run.task()["try_number"] == 2)
    assert run.finish() == "success"
    assert run.result() == first
    assert bills(gateway) == Counter(numbers)


def started(
    live: Live, gateway: SandboxServer, dag_id: str, path: Path, numbers: list[str]
) -> tuple[Run, str]:
    """Trigger a slow campaign, and return when it has sent some."""
    conn_id = live.connect(gateway, messages_per_second=10)
    run = live.trigger(dag_id, audience=audience(path, numbers), conn_id=conn_id)
    wait_until("some messages are out", lambda: gateway.state()["billed"] >= 5)
    return run, conn_id


def test_a_terminated_task_is_not_green(live: Live, gateway: SandboxServer, tmp_path: Path) -> None:
    """SIGTERM to the task's process fails the attempt, and the retry sends to those who are left."""
    numbers = people(200)
    run, conn_id = started(live, gateway, "live_retried", tmp_path / "a.txt", numbers)
    live.reconnect(conn_id, gateway)
    os.kill(run.task()["pid"], signal.SIGTERM)
    assert run.finish() == "success"
    tries = run.ask("GET", "taskInstances", "send", "tries")["task_instances"]
    assert {one["try_number"]: one["state"] for one in tries} == {1: "failed", 2: "success"}
    assert "told to stop" in run.log(1)
    assert run.result()["sent"] == 200
    assert bills(gateway) == Counter(numbers)


def test_a_task_marked_failed_goes_on_when_cleared(
    live: Live, gateway: SandboxServer, tmp_path: Path
) -> None:
    """Marking the running task as failed ends its process; cleared, it sends to those who are left."""
    numbers = people(200)
    run, conn_id = started(live, gateway, "live", tmp_path / "a.txt", numbers)
    pid = run.task()["pid"]
    live.reconnect(conn_id, gateway)
    run.ask("PATCH", "taskInstances", "send", new_state="failed")
    wait_until("its process has ended", lambda: not psutil.pid_exists(pid))
    assert run.finish() == "failed"
    assert len(gateway.billed()) < 200
    run.clear()
    assert run.finish() == "success"
    result = run.result()
    # Airflow kills 5 s after SIGTERM, which on a slow machine may be before the last answers.
    assert result["sent"] + result["unknown"] == result["total"] == 200
    assert max(bills(gateway).values()) == 1
    assert len(bills(gateway)) >= result["sent"]


@pytest.mark.parametrize(
    ("dag_id", "how"), [("live_deferred", "deferred"), ("live_rescheduled", "up_for_reschedule")]
)
def test_waiting_for_the_window(
    live: Live, gateway: SandboxServer, tmp_path: Path, dag_id: str, how: str
) -> None:
    """A task that finds the window closed gives its slot back; the same attempt sends after the opening."""
    opens, window = opening(15)
    numbers = people(20)
    conn_id = live.connect(gateway, send_window=window, timeout=2)
    run = live.trigger(dag_id, audience=audience(tmp_path / "a.txt", numbers), conn_id=conn_id)
    wait_until(f"the task is {how}", lambda: run.task()["state"] == how)
    assert not gateway.requests()
    # Close to midnight in China the opening is up to two minutes away.
    assert run.finish(240) == "success"
    assert run.task()["try_number"] == 1
    assert bills(gateway) == Counter(numbers)
    assert min(row["at"] for row in gateway.requests()) >= opens.timestamp() + 2


def test_a_mapped_campaign(live: Live, gateway: SandboxServer, tmp_path: Path) -> None:
    """Each mapped task has a campaign of its own, and together they bill everyone once."""
    numbers = people(90)
    paths = [audience(tmp_path / f"{part}.txt", numbers[part::3]) for part in range(3)]
    run = live.trigger("live_mapped", audience=paths, conn_id=live.connect(gateway))
    assert run.finish() == "success"
    results = [run.result(index) for index in range(3)]
    assert [result["sent"] for result in results] == [30, 30, 30]
    assert [result["campaign_id"] for result in results] == [
        f"live_mapped/{run.run_id}/send/{index}" for index in range(3)
    ]
    assert bills(gateway) == Counter(numbers)


def test_what_the_ui_shows_of_numbers(live: Live) -> None:
    """Rendered fields, plain and mapped, show a count and masked samples."""
    one = live.trigger("caixin_send_one", mobile="13912349999")
    many = live.trigger("caixin_mapped")
    assert (one.finish(), many.finish()) == ("success", "success")
    assert one.task()["rendered_fields"]["mobiles"] == "1 number: 139****9999"
    shown = [many.task(index)["rendered_fields"]["mobiles"] for index in range(5)]
    assert [re.sub(r"1\d\d\*{4}\d{4}", "masked", text) for text in shown] == [
        *["100 numbers: masked, masked, masked, ..."] * 4,
        "8 numbers: masked, masked, masked, ...",
    ]
