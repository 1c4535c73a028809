"""The plugin as Airflow's processes load it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
    """No web framework, HTTP client or ledger until the app is asked for; the view is at Airflow's path."""
    path = {"AIRFLOW__API__BASE_URL": "https://example.test/team/airflow/"}
    assert _in_a_process(tmp_path, **path) == [
        "HEAVY [] []",
        "VIEW /team/airflow/caixin/",
        "PREFIX /caixin True",
    ]
