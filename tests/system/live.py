"""A whole Airflow as ``make up`` starts it, and what tests do with it."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # Airflow brings it, without types
import pytest

from airflow_provider_caixin.sandbox import SandboxServer
from scripts.airflow_api import AirflowApi
from scripts.throwaway import RECORD

# One process runs them all: they share one Airflow.
LIVE = [pytest.mark.live, pytest.mark.timeout(300), pytest.mark.xdist_group("live")]
FINISHED = ("success", "failed")
#: What every AppKey of these tests begins with.
KEY = "key-of-a-live-test"
START = """
import importlib, sys
from pathlib import Path
sys.exit(importlib.import_module(f"scripts.{sys.argv[1]}").main(*map(Path, sys.argv[2:]), port=0))
"""


def wait_until(what: str, condition: Callable[[], Any], seconds: float = 150.0) -> Any:
    """Wait until a condition gives something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.2)
    return found


def audience(path: Path, numbers: Iterable[str]) -> str:
    """Write numbers into a file, one a line, and return its path."""
    path.write_text("\n".join(numbers) + "\n", encoding="utf-8")
    return str(path)


def people(count: int) -> list[str]:
    """Make up different numbers of China Mobile, from a segment that is neither blocked nor magic."""
    return [f"1391234{number:04}" for number in random.sample(range(9_000), count)]


def left_in(home: Path) -> list[str]:
    """Give the command lines of processes whose ``AIRFLOW_HOME`` this is."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("AIRFLOW_HOME") == str(home):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


@dataclass(frozen=True)
class Run:
    """One run of a Dag."""

    live: Live
    dag_id: str
    run_id: str

    def ask(self, method: str, *path: str, **body: Any) -> Any:
        """Call the API about this run."""
        return self.live.api.ask(method, "dags", self.dag_id, "dagRuns", self.run_id, *path, **body)

    def finish(self, seconds: float = 150.0) -> str:
        """Wait until it is over, and return its state; of a failed one, pytest then shows what failed."""
        state: str = wait_until(
            f"{self.dag_id} is over",
            lambda: (state := self.ask("GET")["state"]) in FINISHED and state,
            seconds,
        )
        if state == "failed":
            self._tell()
        return state

    def _tell(self) -> None:
        for task in self.ask("GET", "taskInstances")["task_instances"]:
            name, attempt = task["task_id"], task["try_number"]
            print(name, task["map_index"], task["state"], task["hostname"], "attempt", attempt)  # noqa: T201
            if task["state"] == "failed":
                for log in sorted(
                    self.live.home.glob(f"logs/**/run_id={self.run_id}/task_id={name}/**/*.log")
                ):
                    print(log.name, log.read_text()[-2000:], sep="\n")  # noqa: T201

    def task(self, *map_index: int) -> dict[str, Any]:
        """Give the sending task's instance; of a mapped one, that of an index."""
        found: dict[str, Any] = self.ask("GET", "taskInstances", "send", *map(str, map_index))
        return found

    def result(self, map_index: int = -1) -> dict[str, Any]:
        """Give what the sending task returned."""
        path = ("taskInstances", "send", "xcomEntries", "return_value")
        found: dict[str, Any] = self.ask("GET", *path, map_index=map_index)["value"]
        return found

    def log(self, attempt: int = 1) -> str:
        """Give the sending task's log of one attempt."""
        return str(self.ask("GET", "taskInstances", "send", "logs", str(attempt))["content"])

    def clear(self) -> None:
        """Clear the sending task, as a person does in the UI."""
        self.live.api.ask(
            "POST",
            "dags",
            self.dag_id,
            "clearTaskInstances",
            dag_run_id=self.run_id,
            task_ids=["send"],
            dry_run=False,
            only_failed=False,
            reset_dag_runs=True,
        )


@dataclass(frozen=True)
class Live:
    """A running Airflow.

    :param home: its ``AIRFLOW_HOME``.
    :param api: its REST API.
    :param sandbox: address of the sandbox that ``caixin_default`` leads to, without a slash at the end;
        empty: it has none.
    """

    home: Path
    api: AirflowApi
    sandbox: str = ""

    @property
    def token(self) -> str:
        """What Airflow gave its admin, who has signed in."""
        return str(self.api._session.headers["Authorization"]).removeprefix("Bearer ")

    def record(self) -> list[dict[str, Any]]:
        """Give what the sandbox of ``caixin_default`` wrote down of its sends."""
        return [json.loads(line) for line in (self.home / RECORD).read_text(encoding="utf-8").splitlines()]

    def connect(
        self,
        sandbox: SandboxServer,
        key: str | None = None,
        conn_id: str | None = None,
        **extra: Any,
    ) -> str:
        """Make a sandbox connection, open at any hour unless ``extra`` says otherwise; return its id."""
        conn_id = conn_id or f"live_{uuid.uuid4().hex}"
        # Rate and caps are counted by account, and one AppKey is one account: no test counts another's.
        extra = {"send_window": "00:00-24:00", "account": conn_id, **extra}
        self.api.ask("POST", "connections", **_connection(conn_id, sandbox, key or _key(conn_id), extra))
        return conn_id

    def reconnect(self, conn_id: str, sandbox: SandboxServer, **extra: Any) -> None:
        """Change the extra of a connection that :meth:`connect` made."""
        extra = {"send_window": "00:00-24:00", "account": conn_id, **extra}
        body = _connection(conn_id, sandbox, _key(conn_id), extra)
        self.api.ask("PATCH", "connections", conn_id, **body)

    def trigger(self, dag_id: str, **conf: Any) -> Run:
        """Trigger a Dag as a person does."""
        run = self.api.ask("POST", "dags", dag_id, "dagRuns", logical_date=None, conf=conf)
        return Run(self, dag_id, run["dag_run_id"])


@contextmanager
def tried(script: str, home: Path, *dags: Path) -> Iterator[tuple[Live, dict[str, str]]]:
    """Run ``make up`` or ``make cluster`` until Ctrl-C, give what it printed; at the end nothing is left."""
    command = [sys.executable, "-c", START, script, str(home), *map(str, dags)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            words: dict[str, str] = {}
            for line in process.stdout:
                name, _, text = line.partition(":")
                words[name] = text.strip()
                if "Ctrl-C" in line:
                    break
            assert "Airflow" in words, words
            api = AirflowApi(words["Airflow"], home)
            api.log_in()
            yield Live(home, api, words["Sandbox"].partition("/,")[0]), words
            assert process.poll() is None, f"make {script} ended by itself"
        finally:
            process.send_signal(signal.SIGINT)
            last = process.stdout.read() if process.stdout is not None else ""
    assert process.returncode == 0
    # A test may have ended a worker, and that is told.
    last_words = [line for line in last.splitlines() if not line.startswith("worker-")]
    assert last_words == ["Stopping ...", "Stopped, with all that was started."]
    assert left_in(home) == []


def _key(conn_id: str) -> str:
    return f"{KEY}-{conn_id}"


def _connection(conn_id: str, sandbox: SandboxServer, key: str, extra: dict[str, Any]) -> dict[str, Any]:
    return {
        "connection_id": conn_id,
        "conn_type": "caixin",
        "host": sandbox.host,
        "port": sandbox.port,
        "schema": "http",
        "password": key,
        "extra": json.dumps(extra),
    }
