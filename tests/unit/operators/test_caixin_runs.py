"""Whole Dag runs in a throw-away Airflow, by its own task runner: what the database keeps, and waiting."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from airflow_provider_caixin.sandbox import SandboxServer

# Each of them starts Airflow several times, in processes of its own.
pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[3]
KEY = "a-key-for-whole-runs"
TYPED = "13912340009"
AUDIENCE = (ROOT / "example_dags" / "data" / "audience.csv").read_text(encoding="utf-8")
# Known numbers and not whatever looks like one: ids are full of digits, too.
NUMBERS = {
    *re.findall(r"1[3-9]\d{9}", AUDIENCE),
    TYPED,
    *(f"139123400{last:02}" for last in range(1, 9)),
    *(f"139123400{last}" for last in range(11, 19)),
}

DAGS = """
from __future__ import annotations

import os
from pathlib import Path

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, Asset, task

from airflow_provider_caixin.notifications.caixin import CaixinNotifier
from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.transfers.sql_to_caixin import SqlToCaixinOperator
from tests.windows import opening

with DAG("forms", schedule=None) as forms:
    CaixinSendOperator(task_id="literal", tpl_id=65535, mobiles=["13912340001", "13912340002"])
    CaixinSendOperator.partial(task_id="mapped", tpl_id=65535).expand(mobiles=[["13912340003"], "13912340004"])

    @task(show_return_value_in_logs=False)
    def recipients():
        return ["13912340005", "13912340006"]

    CaixinSendOperator(task_id="xcom", tpl_id=65535, mobiles=recipients())

with DAG("guards", schedule=None) as guards:

    @task
    def nothings():
        return [None]

    @task
    def sets():
        return [{"max_messages": None}]

    found = nothings()
    tasks = [
        CaixinSendOperator(task_id="upstream", tpl_id=65535, mobiles="13912340020", dry_run="{{ ti.xcom_pull('nothings')[0] }}"),
        CaixinSendOperator.partial(task_id="mapped", tpl_id=65535, mobiles="13912340021").expand(dry_run=found),
        CaixinSendOperator.partial(task_id="by_sets", tpl_id=65535, mobiles="13912340022").expand_kwargs(sets()),
    ]
    found >> tasks >> EmptyOperator(task_id="all_the_same", trigger_rule="all_done")

sent = Asset("sent")

with DAG("extras", schedule=None) as extras:
    SqlToCaixinOperator(
        task_id="sql",
        tpl_id=65535,
        sql_conn_id="crm",
        sql="SELECT 13912340010 + ? AS mobile",
        parameters=[1],
        outlets=[sent],
    )

    @task(show_return_value_in_logs=False)
    def numbers():
        return ["13912340012", "13912340013"]

    @task.caixin_send(tpl_id=65535, outlets=[sent])
    def chosen(numbers, suffix, ds_nodash=None):
        return [*numbers, f"1391234{suffix:04}"]

    chosen(numbers(), suffix=14)
    chosen.override(task_id="expanded").partial(suffix=15).expand(numbers=[["13912340016"], ["13912340017"]])

    def fails():
        raise RuntimeError("as it should")

    failed = PythonOperator(
        task_id="failed",
        python_callable=fails,
        on_failure_callback=CaixinNotifier(tpl_id=65536, mobiles=["13912340018"]),
    )
    failed >> EmptyOperator(task_id="all_the_same", trigger_rule="all_done")

def opens_soon(context):
    # Right before the task begins, and not again when it comes back: a test run has all its tasks in this process.
    _, window = opening(5)
    usual = os.environ["AIRFLOW_CONN_CAIXIN_DEFAULT"]
    name = f"AIRFLOW_CONN_{context['ti'].task_id.upper()}"
    os.environ.setdefault(name, usual.replace("00:00-24:00", window))
    # Each night a job writes the same recipients anew.
    written = Path(os.environ["AIRFLOW_HOME"], "recipients.txt")
    written.write_text("13912340008")
    with written.with_name("attempts.txt").open("a") as attempts:
        attempts.write("+")
    os.utime(written, times=(moment := written.with_name("attempts.txt").stat().st_size, moment))

with DAG("waiting", schedule=None) as waiting:
    written = {"audience_file": Path(os.environ["AIRFLOW_HOME"], "recipients.txt")}
    for name, deferrable, recipients in (("deferred", True, {"mobiles": ["13912340007"]}), ("rescheduled", False, written)):
        CaixinSendOperator(
            task_id=name,
            tpl_id=65535,
            **recipients,
            caixin_conn_id=name,
            deferrable=deferrable,
            pre_execute=opens_soon,
        )
"""

# One process for several runs: to start Airflow takes longer than most of them.
RUN = """
import importlib, json, sys

for module, name, conf in json.loads(sys.argv[1]):
    dag = getattr(importlib.import_module(module), name)
    assert dag.test(run_conf=conf).state == "success", module
"""


def shown_in(text: str) -> set[str]:
    """Find the numbers of recipients that a text shows."""
    return {number for number in NUMBERS if number in text}


class Runs(NamedTuple):
    """A throw-away Airflow and its sandbox."""

    home: Path
    environment: dict[str, str]
    sandbox: SandboxServer

    def run(self, *dags: tuple[str, str, dict[str, Any]]) -> str:
        """Run Dags, given as (module, name, conf), to their ends, and return what was written."""
        done = subprocess.run(
            [sys.executable, "-c", RUN, json.dumps(dags)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-5000:]
        return done.stdout

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask Airflow's database."""
        with closing(sqlite3.connect(self.home / "airflow.db")) as database:
            return database.execute(sql).fetchall()

    def results(self, dag_id: str, task_id: str) -> list[Any]:
        """Return the results of a Dag's task, as XCom has them."""
        where = f"key = 'return_value' AND dag_id = '{dag_id}' AND task_id = '{task_id}'"
        return [json.loads(value) for (value,) in self.query(f"SELECT value FROM xcom WHERE {where}")]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Migrate an Airflow's database and start a sandbox."""
    home = tmp_path_factory.mktemp("airflow")
    (home / "dags").mkdir()
    (home / "dags" / "dags.py").write_text(DAGS)
    (home / "dags" / "examples").symlink_to(ROOT / "example_dags")
    with SandboxServer() as sandbox:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")
        } | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW_CONN_CAIXIN_DEFAULT": (
                f"caixin://:{KEY}@{sandbox.host}:{sandbox.port}/http?send_window=00:00-24:00&frequency_cap=none"
            ),
            "AIRFLOW_CONN_CRM": json.dumps({"conn_type": "sqlite", "host": str(home / "crm.db")}),
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, home / "dags", home / "dags" / "examples"))),
        }
        subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env=environment,
            check=True,
            capture_output=True,
            timeout=280,
        )
        yield Runs(home, environment, sandbox)


def test_what_airflow_keeps_of_an_audience(runs: Runs) -> None:
    """Rendered fields of literal, mapped and passed-on numbers are a count and masked samples."""
    text = runs.run(("dags", "forms", {}))
    sql = (
        "SELECT task_id, map_index, rendered_fields FROM rendered_task_instance_fields WHERE dag_id = 'forms'"
    )
    shown = {(task, index): json.loads(fields).get("mobiles") for task, index, fields in runs.query(sql)}
    assert shown == {
        ("literal", -1): "2 numbers: 139****0001, 139****0002",
        ("mapped", 0): "1 number: 139****0003",
        ("mapped", 1): "1 number: 139****0004",
        ("recipients", -1): None,
        ("xcom", -1): "2 numbers: 139****0005, 139****0006",
    }
    assert KEY not in text
    assert not shown_in(text)


def test_what_airflow_keeps_of_the_other_ways(runs: Runs) -> None:
    """No number of a query, function or notifier is kept; asset events hold counts, the link the media."""
    text = runs.run(("dags", "extras", {}))
    billed = {row["mobile"] for row in runs.sandbox.billed()}
    assert {f"139123400{last}" for last in range(11, 19)} <= billed
    assert runs.results("extras", "sql")[0]["sent"] == 1
    assert runs.results("extras", "chosen")[0]["sent"] == 3
    assert [result["sent"] for result in runs.results("extras", "expanded")] == [2, 2]
    fields = "SELECT task_id, map_index, rendered_fields FROM rendered_task_instance_fields WHERE dag_id = 'extras'"
    shown = {(task, index): json.loads(fields) for task, index, fields in runs.query(fields)}
    assert (shown["chosen", -1]["op_args"], shown["chosen", -1]["op_kwargs"]) == (
        ["a list of 2"],
        {"suffix": 14},
    )
    assert shown["expanded", 1]["op_kwargs"] == {"numbers": "a list of 1", "suffix": 15}
    assert shown["sql", -1]["parameters"] == [1]
    events = {
        (task, index): json.loads(extra)
        for task, index, extra in runs.query(
            "SELECT source_task_id, source_map_index, extra FROM asset_event WHERE source_dag_id = 'extras'"
        )
    }
    assert {key: event["sent"] for key, event in events.items() if key[0] != "expanded"} == {
        ("sql", -1): 1,
        ("chosen", -1): 3,
    }
    assert sorted(event["total"] for key, event in events.items() if key[0] == "expanded") == [2, 2]
    links = "SELECT task_id, value FROM xcom WHERE dag_id = 'extras' AND key = 'caixin_template_media'"
    assert {json.loads(value) for _, value in runs.query(links)} == {f"{runs.sandbox.url}/media/sunrise.mp4"}
    assert len(runs.query(links)) == 4

    assert "names no way to opt out" not in text
    assert "1 of 1 recipients are notified." in text
    assert not shown_in(text)
    assert not shown_in(
        repr(
            [
                shown,
                events,
                runs.query("SELECT value FROM xcom WHERE dag_id = 'extras' AND task_id != 'numbers'"),
            ]
        )
    )


def test_guards_that_come_to_nothing(runs: Runs) -> None:
    """An upstream task's None, by template or by mapping, bills nobody."""
    before = len(runs.sandbox.requests())
    text = runs.run(("dags", "guards", {}))
    assert len(runs.sandbox.requests()) == before
    failed = "SELECT task_id FROM task_instance WHERE dag_id = 'guards' AND state = 'failed'"
    assert sorted(runs.query(failed)) == [("by_sets",), ("mapped",), ("upstream",)]
    assert "dry_run came to 'None'" in text
    assert "dry_run came to None" in text
    assert "max_messages came to None" in text


def test_waiting_for_the_window(runs: Runs) -> None:
    """Outside the window a task gives its slot back; it sends at the opening, even with a new file time."""
    before = len(runs.sandbox.billed())
    text = runs.run(("dags", "waiting", {}))
    assert text.count("recipients wait until") == 2
    assert text.count("Audience loaded in") == 3
    assert "changed under campaign" not in text
    assert {row["mobile"] for row in runs.sandbox.billed()[before:]} == {"13912340007", "13912340008"}


def test_the_examples(runs: Runs, tmp_path: Path) -> None:
    """Each example sends to the sandbox, and their audience shows every outcome."""
    report = tmp_path / "report.csv"
    text = runs.run(
        ("caixin_campaign", "dag", {"report_file": str(report)}),
        ("caixin_send_one", "dag", {"mobile": TYPED}),
        ("caixin_mapped", "dag", {}),
        ("caixin_daily", "dag", {}),
    )
    (campaign,) = runs.results("caixin_campaign", "send")
    assert set(campaign["skipped"]) == {
        "blocked_region",
        "duplicate",
        "invalid_number",
        "not_china_mobile",
        "virtual_operator",
    }
    assert set(campaign["rejected"]) == {"236306", "236308", "236309"}
    assert campaign["unknown"] == 4
    assert campaign["total"] == len(report.read_text(encoding="utf-8-sig").splitlines()) - 1
    assert f"{campaign['sent']} of {campaign['total']} recipients got template 65535." in text
    (one,) = runs.results("caixin_send_one", "send")
    assert one["sid"] == next(row["sid"] for row in runs.sandbox.billed() if row["mobile"] == TYPED)
    chunks = runs.results("caixin_mapped", "send")
    (total,) = runs.results("caixin_mapped", "total")
    assert len({chunk["campaign_id"] for chunk in chunks}) == 5
    assert total["sent"] == sum(chunk["sent"] for chunk in chunks) > 300
    (daily,) = runs.results("caixin_daily", "send")
    assert daily["sent"] > 300

    # A number that someone typed, or a Dag passes on by XCom, is in Airflow's database by that; nothing else
    # is.
    assert KEY not in text
    assert not shown_in(text)
    kept = runs.query("SELECT rendered_fields FROM rendered_task_instance_fields")
    if runs.query("SELECT 1 FROM sqlite_master WHERE name = 'task_state_store'"):
        kept += runs.query("SELECT value FROM task_state_store")
    kept += runs.query("SELECT value FROM xcom WHERE task_id NOT IN ('chunks', 'recipients', 'numbers')")
    assert len(kept) > 10
    assert not shown_in(repr(kept))


def test_the_examples_of_waiting(runs: Runs) -> None:
    """The one sends within the window, the other counts; run by hand, it has no event."""
    runs.run(("caixin_window", "dag", {}), ("caixin_template_event", "dag", {}))
    (window,) = runs.results("caixin_window", "send")
    assert window["sent"] > 300
    # By hand, so without an event.
    (event,) = runs.results("caixin_template_event", "send")
    assert (event["tpl_id"], event["sent"]) == (65538, 0)
    assert event["would_send"] > 300
