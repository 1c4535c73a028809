"""One audience in chunks, a mapped task for each.

Each mapped task has a campaign of its own, because the default `campaign_id` ends in its map index. So their
counts can be summed. All of them share the account's rate, so more tasks are not faster. A number that is in
two chunks gets one message: the second is `skipped: frequency_cap`. A number that is twice in one chunk is
`skipped: duplicate`.

The chunks pass through XCom, so their full numbers are in Airflow's database. If that must not be, write the
chunks to files and expand over `audience_file`. One task without chunks also uses the gateway's full rate, so
map only if the parts are separate campaigns.
"""

from __future__ import annotations

import csv
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_caixin.operators.caixin import CaixinSendOperator

CHUNK = 100

with DAG(
    dag_id="caixin_mapped",
    schedule=None,
    doc_md=__doc__,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={
        "tpl_id": Param(65535, type="integer", title="Template id"),
    },
    tags=["caixin", "example"],
) as dag:
    # Airflow logs what a task returns, unless told not to.
    @task(show_return_value_in_logs=False)
    def chunks() -> list[list[str]]:
        """Return the audience, cut into lists."""
        with (Path(__file__).parent / "data" / "audience.csv").open(encoding="utf-8", newline="") as file:
            numbers = (row["手机号"] for row in csv.DictReader(file))
            return list(iter(lambda: list(islice(numbers, CHUNK)), []))

    send = CaixinSendOperator.partial(task_id="send", tpl_id="{{ params.tpl_id }}").expand(mobiles=chunks())

    @task
    def total(results: list[dict[str, Any]]) -> dict[str, int]:
        """Return the sum of the chunks' counts."""
        return {
            "total": sum(result["total"] for result in results),
            "sent": sum(result["sent"] for result in results),
            "skipped": sum(sum(result["skipped"].values()) for result in results),
            "rejected": sum(sum(result["rejected"].values()) for result in results),
            "unknown": sum(result["unknown"] for result in results),
        }

    total(send.output)  # type: ignore[arg-type]  # an XComArg until the task runs
