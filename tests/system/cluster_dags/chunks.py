"""Dags of the tests across workers: chunks, which are files, as campaigns of their own and parts of one."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_caixin.operators.caixin import CaixinSendOperator


def together(context: Any) -> None:
    """Begin when all chunks can: a chunk sent alone has the whole rate, and may end before others begin."""
    paths = context["params"]["audience"]
    Path(f"{paths[context['ti'].map_index]}.begun").touch()
    deadline = time.monotonic() + 120
    while not all(Path(f"{path}.begun").exists() for path in paths):
        if time.monotonic() > deadline:
            raise TimeoutError("Not all chunks have begun.")
        time.sleep(0.1)


WAYS: dict[str, dict[str, Any]] = {
    "cluster_campaigns": {"pre_execute": together},
    "cluster_campaign": {"campaign_id": "{{ run_id }}"},
}

for name, options in WAYS.items():
    with DAG(
        name,
        schedule=None,
        params={"audience": [], "conn_id": ""},
        default_args={"retries": 3, "retry_delay": timedelta(seconds=1)},
        is_paused_upon_creation=False,
    ):

        @task
        def files(params: dict[str, Any]) -> list[str]:
            """Give the chunks: their paths pass through XCom and no number does."""
            paths: list[str] = params["audience"]
            return paths

        CaixinSendOperator.partial(
            task_id="send", tpl_id=65535, caixin_conn_id="{{ params.conn_id }}", **options
        ).expand(audience_file=files())  # type: ignore[call-arg,misc]  # Airflow fills params in
