"""The plugin as Airflow's processes load it, and the link from a task to its campaign."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.operators.links import CampaignLink, campaign_page

from .conftest import HOSTILE, Browser

LOADED = """
import sys
from airflow import plugins_manager
plugins = {plugin.name: plugin for plugin in plugins_manager._get_plugins()[0]}
plugin = plugins["caixin"]
views = plugins_manager._get_ui_plugins()[0]
heavy = [name for name in sys.modules if name.startswith((
    "airflow_provider_caixin.ledger", "airflow_provider_caixin.campaign", "airflow_provider_caixin.page",
    "airflow_provider_caixin.juhe"))]
print("HEAVY", heavy, [name for name in ("fastapi", "requests") if name in sys.modules])
print("VIEW", next(view for view in views if view["name"] == "Caixin")["href"])
print("PREFIX", plugin.fastapi_apps[0]["url_prefix"], "fastapi" in sys.modules)
"""


def _in_a_process(tmp_path: Path, **settings: str) -> list[str]:
    env = {**os.environ, "AIRFLOW_HOME": str(tmp_path), **settings}
    command = [sys.executable, "-c", LOADED]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line.split(" ")[0] in ("HEAVY", "VIEW", "PREFIX")]


def test_no_process_but_the_api_server_loads_the_page(tmp_path: Path) -> None:
    """Neither web framework, HTTP client nor ledger, until somebody asks for the app; the view is behind Airflow's path."""
    path = {"AIRFLOW__API__BASE_URL": "https://example.test/team/airflow/"}
    assert _in_a_process(tmp_path, **path) == [
        "HEAVY [] []",
        "VIEW /team/airflow/caixin/",
        "PREFIX /caixin True",
    ]


def test_airflow_lists_the_page(browser: Callable[..., Browser]) -> None:
    """In its navigation, and among its plugins without an error."""
    client = browser("admin").client
    plugins = client.get("/api/v2/plugins").json()["plugins"]
    [ours] = [one for one in plugins if one["name"] == "caixin"]
    assert [(view["name"], view["href"], view["destination"]) for view in ours["external_views"]] == [
        ("Caixin", "/caixin/", "nav")
    ]
    assert client.get("/api/v2/plugins/importErrors").json()["import_errors"] == []


def test_the_link_of_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """It leads to the campaign under whatever name, behind Airflow's path; a task that made none offers none."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.test/airflow")
    pushed: dict[str, str] = {}
    operator = CaixinSendOperator(task_id="send", tpl_id=65535, mobiles=[], campaign_id=HOSTILE)
    [link] = [one for one in operator.operator_extra_links if isinstance(one, CampaignLink)]
    key: Any = None
    assert link.get_link(operator, ti_key=key) == ""
    ti = SimpleNamespace(xcom_push=lambda key, value: pushed.update({key: value}))
    context: Any = {"ti": ti}
    operator._offer_page(HOSTILE, context)
    address = link.get_link(operator, ti_key=key)
    assert pushed == {link.xcom_key: address}
    assert address == campaign_page(HOSTILE)
    place, _, name = address.partition("?id=")
    assert place == "/airflow/caixin/#/campaigns"
    assert not set(name) & set("\"<>=|?#& /'")
