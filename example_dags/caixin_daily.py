"""Every day the same template to that day's audience.

A message that was not sent when the window closes is too old on the next day: `expires_at="close"` skips it.
`max_active_runs=1` keeps two days apart.

The schedule says when a run starts, and the send window says when messages leave. A schedule alone is not
enough: a Dag that is un-paused at night, or a scheduler that was down, starts its missed run at once, at any
hour.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.sdk import DAG, CronTriggerTimetable

from airflow_provider_caixin.operators.caixin import CaixinSendOperator

with DAG(
    dag_id="caixin_daily",
    schedule=CronTriggerTimetable("0 10 * * *", timezone="Asia/Shanghai"),
    start_date=pendulum.datetime(2025, 1, 1, tz="Asia/Shanghai"),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    tags=["caixin", "example"],
) as dag:
    CaixinSendOperator(
        task_id="send",
        tpl_id=65535,
        # A real Dag has the day in the path: "s3://crm@audiences/{{ ds }}.csv.gz".
        audience_file=str(Path(__file__).parent / "data" / "audience.csv"),
        expires_at="close",
    )
