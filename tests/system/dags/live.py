"""Dags of the tests with a live Airflow: each takes audience and connection from its run's configuration."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_caixin.operators.caixin import CaixinSendOperator

PARAMS = {"audience": "", "conn_id": "", "report": ""}
SEND: dict[str, Any] = {"tpl_id": 65535, "caixin_conn_id": "{{ params.conn_id }}"}

WAYS: dict[str, dict[str, Any]] = {
    "live": {},
    "live_retried": {"retries": 1, "retry_delay": timedelta(seconds=1)},
    "live_deferred": {"deferrable": True},
    "live_rescheduled": {"deferrable": False},
}

for name, options in WAYS.items():
    with DAG(name, schedule=None, params=PARAMS, is_paused_upon_creation=False):
        CaixinSendOperator(
            task_id="send",
            audience_file="{{ params.audience }}",
            report_file="{{ params.report }}",
            **SEND,
            **options,
        )

with DAG("live_mapped", schedule=None, params={**PARAMS, "audience": []}, is_paused_upon_creation=False):

    @task
    def files(params: dict[str, Any]) -> list[str]:
        """Give the chunks, which are files: their paths pass through XCom and no number does."""
        paths: list[str] = params["audience"]
        return paths

    CaixinSendOperator.partial(task_id="send", **SEND).expand(audience_file=files())  # type: ignore[call-arg,misc]  # Airflow fills params in
