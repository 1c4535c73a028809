"""A campaign: one template to all recipients of a file.

`wait_for_template` waits until Juhe has approved the template, `send` sends it to the audience inside all
rules, and `summary` reports the result. If you clear `send`, or run this Dag again with the same
`campaign_id`, it continues where the campaign stands: nobody gets the message twice.

Outside the send window `send` gives its slot back and continues when the window opens. The window is the
connection's (`send_window` in its extra), else the configuration's, else 09:00-18:00 Asia/Shanghai, which is
what the gateway demands. To try this Dag against the sandbox at any hour, give the *sandbox's* connection an
all-day window:

    AIRFLOW_CONN_CAIXIN_DEFAULT='caixin://:any-key@127.0.0.1:8088/http?send_window=00:00-24:00'

The audience in `data/audience.csv` is made up and for the sandbox: it shows every outcome.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.sensors.caixin import CaixinTemplateSensor

with DAG(
    dag_id="caixin_campaign",
    schedule=None,
    doc_md=__doc__,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={
        "tpl_id": Param(65535, type="integer", title="Template id"),
        "audience_file": Param(
            str(Path(__file__).parent / "data" / "audience.csv"),
            type="string",
            title="Audience",
            description="Path or URL of a .txt or .csv file, also .gz.",
        ),
        "campaign_id": Param(
            None,
            type=["null", "string"],
            title="Campaign id",
            description="The same id is the same campaign. Empty: every run is a campaign of its own.",
        ),
        "report_file": Param(
            None,
            type=["null", "string"],
            title="Report",
            description="Path or URL of a CSV with one line per recipient. It holds full numbers.",
        ),
    },
    tags=["caixin", "example"],
) as dag:
    wait_for_template = CaixinTemplateSensor(
        task_id="wait_for_template",
        tpl_id="{{ params.tpl_id }}",
        mode="reschedule",
        poke_interval=60,
        timeout=timedelta(days=1),
    )

    send = CaixinSendOperator(
        task_id="send",
        tpl_id="{{ params.tpl_id }}",
        audience_file="{{ params.audience_file }}",
        campaign_id="{{ params.campaign_id or [dag.dag_id, run_id, task.task_id] | join('/') }}",
        report_file="{{ params.report_file or '' }}",
    )

    @task
    def summary(result: dict[str, Any]) -> str:
        """Return the result of the campaign in a few sentences."""
        lines = [f"{result['sent']} of {result['total']} recipients got template {result['tpl_id']}."]
        lines += [f"{number} were skipped: {reason}." for reason, number in result["skipped"].items()]
        lines += [
            f"{number} were rejected by the gateway: {code}." for code, number in result["rejected"].items()
        ]
        if result["unknown"]:
            lines.append(f"{result['unknown']} may have got it: the gateway's answer was lost.")
        text = "\n".join(lines)
        print(text)  # noqa: T201  # a task's log is where users look
        return text

    wait_for_template >> send
    summary(send.output)  # type: ignore[arg-type]  # an XComArg until the task runs
