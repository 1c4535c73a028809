"""The same messages in three ways: a mapped ``HttpOperator``, a ``requests`` loop in a task, and a campaign.

Usage: python -m benchmarks.dag_authors

Airflow runs in whole: api-server, scheduler with LocalExecutor, dag-processor, triggerer, and a PostgreSQL
database where there is one. The mapped ``HttpOperator`` has a task for each number, and runs with 4 tasks at
once and with 16, which is what Airflow allows a Dag; the better of the two is compared. Two rates are given:
between the first and the last arrival at the sandbox, and from the start of the Dag run to its end.
"""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from airflow_provider_caixin.sandbox import SandboxServer
from benchmarks.ledgers import empty_ledger, running
from benchmarks.sending import LATENCY_MS, numbers
from scripts.airflow_api import AirflowApi
from scripts.throwaway import EXAMPLE_DAGS, Airflow, Home

DAGS = Path(__file__).with_name("dags")
MAPPED, LOOP, CAMPAIGN = "mapped_http_operator", "requests_loop", "campaign"
MESSAGES = {MAPPED: 80, LOOP: 200, CAMPAIGN: 4_000}
# The machine's usual number of tasks at once first; with it all three are measured.
AT_ONCE: dict[int, tuple[str, ...]] = {4: (MAPPED, LOOP, CAMPAIGN), 16: (MAPPED,)}
PATIENCE = 600.0


class Rates(NamedTuple):
    """What one Dag run came to.

    :param name: the Dag and how many tasks ran at once.
    :param messages: how many were sent.
    :param arrivals: messages a second between the first and the last arrival.
    :param run: messages a second from the start of the Dag run to its end.
    """

    name: str
    messages: int
    arrivals: float
    run: float


def settings(database: str) -> dict[str, str]:
    """Write for Airflow the part of its configuration that says where its database is.

    :param database: a PostgreSQL database's address.
    """
    return {
        # psycopg 3 is both: no second driver for the asynchronous half of Airflow.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": database,
    }


def measure(api: AirflowApi, gateway: SandboxServer, folder: Path, dag_id: str, at_once: int) -> Rates:
    """Run a Dag, and see what of it arrives.

    :param api: Airflow's.
    :param gateway: the sandbox, whose record is forgotten first.
    :param folder: where the audience is written.
    :param dag_id: the Dag.
    :param at_once: how many tasks run at once.
    :raises RuntimeError: when the run fails or anybody was not billed exactly once: it has no figures.
    """
    gateway.reset()
    count = MESSAGES[dag_id]
    audience = folder / f"{dag_id}.txt"
    audience.write_text("\n".join(numbers(count)))
    conf = {"audience": str(audience), "url": gateway.url}
    run = finished(
        api, dag_id, api.ask("POST", "dags", dag_id, "dagRuns", logical_date=None, conf=conf)["dag_run_id"]
    )
    state = gateway.state()
    if run["state"] != "success" or not state["billed"] == state["billed_numbers"] == count:
        raise RuntimeError(
            f"{dag_id}: {run['state']}, {count} messages, {state['billed']} billed to {state['billed_numbers']}"
        )
    began, ended = (datetime.fromisoformat(run[name]) for name in ("start_date", "end_date"))
    return Rates(
        name=f"{dag_id}, {at_once} tasks at once" if dag_id == MAPPED else dag_id,
        messages=count,
        arrivals=(count - 1) / (state["last_arrival"] - state["first_arrival"]),
        run=count / (ended - began).total_seconds(),
    )


def finished(api: AirflowApi, dag_id: str, run_id: str) -> dict[str, Any]:
    """Wait for a Dag run's end.

    :param api: Airflow's.
    :param dag_id: the Dag.
    :param run_id: its run.
    :raises RuntimeError: when it takes too long.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        run: dict[str, Any] = api.ask("GET", "dags", dag_id, "dagRuns", run_id)
        if run["state"] in ("success", "failed"):
            return run
        time.sleep(1)
    raise RuntimeError(f"{dag_id} is not over after {PATIENCE:.0f} s")


def with_airflow(at_once: int, *dag_ids: str) -> list[Rates]:
    """Start an Airflow and measure Dags, one after the other; nothing of it is left.

    :param at_once: how many tasks it may run at once.
    :param dag_ids: the Dags.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home = stack.enter_context(Home(folder / "home", EXAMPLE_DAGS, DAGS))
        home.settings["AIRFLOW__CORE__PARALLELISM"] = str(at_once)
        if running("PostgreSQL"):
            url = stack.enter_context(empty_ledger("PostgreSQL"))
            home.settings.update(settings(url.render_as_string(hide_password=False)))
        gateway = stack.enter_context(SandboxServer(process=True, latency_ms=LATENCY_MS))
        home.connect(gateway, send_window="00:00-24:00")
        home.connections["gateway"] = json.dumps(
            {"conn_type": "http", "host": gateway.host, "port": gateway.port, "schema": "http"}
        )
        home.migrate()
        airflow = Airflow(home, 0)
        stack.callback(airflow.stop)
        api = airflow.start()
        known: set[str] = set()
        while not set(MESSAGES) <= known:
            time.sleep(0.5)
            known = {dag["dag_id"] for dag in api.ask("GET", "dags")["dags"]}
        return [measure(api, gateway, folder, dag_id, at_once) for dag_id in dag_ids]


def main() -> None:
    """Print the rates, and what the campaign's are to the others'."""
    found = [one for at_once, dag_ids in AT_ONCE.items() for one in with_airflow(at_once, *dag_ids)]
    (campaign,) = (one for one in found if one.name == CAMPAIGN)
    print(f"{LATENCY_MS[0]}-{LATENCY_MS[1]} ms latency\n")
    print(
        "| Dag | messages | messages/s, first to last arrival | the campaign's to it | messages/s, whole Dag run | "
        "the campaign's to it |\n| --- | --- | --- | --- | --- | --- |"
    )
    for one in found:
        arrivals, run = campaign.arrivals / one.arrivals, campaign.run / one.run
        print(
            f"| {one.name} | {one.messages:,} | {one.arrivals:.2f} | {arrivals:.0f} | {one.run:.2f} | {run:.0f} |"
        )


if __name__ == "__main__":
    main()
