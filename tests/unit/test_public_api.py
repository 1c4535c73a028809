"""What is public: its names, and its types as they are seen by who writes Dags."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import airflow_provider_caixin

FOUND = list(pkgutil.walk_packages(airflow_provider_caixin.__path__, "airflow_provider_caixin."))
WITH_ALL = [
    one.name
    for one in FOUND
    if not one.name.endswith("__main__") and hasattr(import_module(one.name), "__all__")
]
# The command line uses itself what it takes from its modules.
PACKAGES = [one.name for one in FOUND if one.ispkg and one.name != "airflow_provider_caixin.cli"]

# As in a Dag file; a line that ends in "refused" has to be an error, and no other one may be.
DAG = """
from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, assert_type

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_caixin.audience import Classifier, FileAudience, ListAudience, audience_from, normalise
from airflow_provider_caixin.campaign import Campaign, Counts
from airflow_provider_caixin.hooks.caixin import CaixinHook
from airflow_provider_caixin.juhe import JuheClient, RecipientRejected, Template
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.notifications.caixin import CaixinNotifier
from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.rules import FrequencyCap, SendWindow
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.sensors.caixin import CaixinTemplateSensor, CaixinWindowSensor
from airflow_provider_caixin.timetables.caixin import SendWindowTimetable
from airflow_provider_caixin.transfers.sql_to_caixin import SqlToCaixinOperator
from airflow_provider_caixin.triggers.caixin import CaixinTemplateTrigger, CaixinWindowTrigger
from airflow_provider_caixin.vocabulary import State

Asset("approved", watchers=[AssetWatcher(name="approved", trigger=CaixinTemplateTrigger(65535))])

with DAG("dag", schedule=SendWindowTimetable(every=30)):
    CaixinTemplateSensor(task_id="template", tpl_id=65535, deferrable=True) >> CaixinSendOperator(
        task_id="send",
        tpl_id="{{ params.tpl_id }}",
        mobiles=["13800138000"],
        send_window="09:00-18:00",
        outside_window="skip",
        expires_at=timedelta(hours=2),
        frequency_cap=FrequencyCap(1),
        blocked_regions=["北京"],
        on_failure_callback=CaixinNotifier(tpl_id=1, mobiles="13800138000"),
    )
    SqlToCaixinOperator(task_id="sql", sql_conn_id="db", sql="SELECT mobile FROM people", tpl_id=65535)
    CaixinWindowSensor(task_id="window", send_window=SendWindow.parse("10:00-12:00"))
    CaixinSendOperator.partial(task_id="chunks", tpl_id=65535).expand(mobiles=[["13800138000"]])

    @task.caixin_send(tpl_id=65535)
    def people() -> list[str]:
        return ["13800138000"]

    people()
    CaixinSendOperator(task_id="later", tpl_id=1, mobiles="x", outside_window="later")  # refused
    CaixinSendOperator(task_id="again", tpl_id=1, mobiles="x", on_unknown="again")  # refused
    CaixinSendOperator("send", 1, "13800138000")  # refused
    CaixinSendOperator(task_id="none", mobiles="x")  # refused
    CaixinSendOperator(task_id="cap", tpl_id=1, mobiles="x", frequency_cap=1)  # refused
    CaixinSendOperator(task_id="ratio", tpl_id=1, mobiles="x", max_failure_ratio="half")  # refused
    CaixinTemplateSensor(task_id="sensor", tpl_id=1, missing="ask")  # refused
    CaixinWindowSensor(task_id="hours", send_window=9)  # refused
    CaixinTemplateTrigger(1, unavailable="ask")  # refused
    CaixinWindowTrigger(9)  # refused
    CaixinNotifier(tpl_id=1, mobiles="x", outside_window="wait")  # refused
    SendWindowTimetable(every="30")  # refused
    FrequencyCap("1")  # refused


def names(hook: CaixinHook, client: JuheClient, counts: Counts) -> Iterator[str]:
    with hook:
        assert_type(hook.get_template(65535), Template)
        assert_type(hook.send(65535, "13800138000"), str)
        hook.send("65535", "13800138000")  # refused
    assert_type(client.send(65535, "13800138000"), str)
    assert_type(CaixinSendOperator(task_id="send", tpl_id=1).execute({}), dict[str, Any])
    assert_type(audience_from(ListAudience(["13800138000"])).single, bool)
    assert_type(normalise("13800138000"), str | None)
    assert_type(counts.as_result(), dict[str, Any])
    with SandboxServer() as server:
        yield server.url
    yield State.SENT
    client.send("65535", 13800138000)  # refused
"""


@pytest.mark.parametrize("name", WITH_ALL)
def test_what_a_module_offers(name: str) -> None:
    """Each name is there, once and in order, and says what it is."""
    module = import_module(name)
    offered = module.__all__
    assert offered == sorted(set(offered), key=lambda one: (not one.isupper(), not one[0].isupper(), one))
    for one in offered:
        found = getattr(module, one)
        if callable(found):
            # A dataclass without words of its own gets its signature.
            assert not (found.__doc__ or f"{one}(").startswith(f"{one}("), one


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_says_what_it_offers(name: str) -> None:
    """What a package takes from its modules for others stands in its ``__all__``, and nothing else does."""
    module = import_module(name)
    taken = {
        one.asname or one.name
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{name}.")
        for one in node.names
    }
    assert taken == set(getattr(module, "__all__", ()))


@pytest.mark.timeout(300)
@pytest.mark.skipif(
    version("apache-airflow-core") < "3.3", reason="types are checked with the newest Airflow"
)
def test_the_types_of_a_dag_file(tmp_path: Path) -> None:
    """What the documentation allows has types, and what it refuses is an error before anything runs.

    mypy runs outside the checkout: it sees what is installed, and counts its types only because of
    ``py.typed``.
    """
    dag = tmp_path / "dag.py"
    dag.write_text(DAG, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file=",
        "--strict",
        "--no-error-summary",
        "--hide-error-context",
        str(dag),
    ]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    errors = {int(line.split(":")[1]) for line in checked.stdout.splitlines() if ": error: " in line}
    lines = enumerate(DAG.splitlines(), 1)
    assert errors == {number for number, line in lines if line.endswith("# refused")}, checked.stdout
