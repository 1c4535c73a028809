"""One audience, sent to in three ways: what a Dag author writes today, twice, and a campaign."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import requests
from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import DAG, task

from airflow_provider_caixin.operators.caixin import CaixinSendOperator

FORM = {"key": "benchmark", "tplId": 65535}
PARAMS = {"audience": "", "url": ""}

with DAG("mapped_http_operator", schedule=None, params=PARAMS, is_paused_upon_creation=False):

    @task
    def forms(params: dict[str, Any]) -> list[dict[str, Any]]:
        """Return a form for each number."""
        return [{**FORM, "mobile": number} for number in Path(params["audience"]).read_text().split()]

    HttpOperator.partial(
        task_id="send", http_conn_id="gateway", endpoint="caixinv2/send", method="POST"
    ).expand(data=forms())  # type: ignore[call-arg,misc]  # Airflow fills params in

with DAG("requests_loop", schedule=None, params=PARAMS, is_paused_upon_creation=False):

    @task
    def send(params: dict[str, Any]) -> int:
        """Post one number after the other, and count those that were accepted."""
        accepted = 0
        for number in Path(params["audience"]).read_text().split():
            answer = requests.post(
                f"{params['url']}/caixinv2/send", data={**FORM, "mobile": number}, timeout=10
            )
            accepted += answer.json()["error_code"] == 0
        return accepted

    send()  # type: ignore[call-arg,misc]  # Airflow fills params in

with DAG("campaign", schedule=None, params=PARAMS, is_paused_upon_creation=False):
    CaixinSendOperator(task_id="send", tpl_id=65535, audience_file="{{ params.audience }}")
