"""Every half hour within the send window, the recipients that have come in since.

`SendWindowTimetable` starts runs at 09:00, 09:30, ... 17:30 China time and none that was missed.
`wait_for_window` is for runs that are triggered by hand at another hour. It is deferrable: it takes no worker
while it waits, and none at all from Airflow 3.3 on. A `CaixinSendOperator` alone needs neither of them,
because it waits by itself; but here `collect` has to see what is current when sending begins.

The timetable's window comes from its own argument or from the configuration. The window of the sensor and of
the operator may also come from the connection (`send_window` in its extra). If a connection has one, give the
timetable the same.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.sdk import DAG, task

from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.sensors.caixin import CaixinWindowSensor
from airflow_provider_caixin.timetables.caixin import SendWindowTimetable

with DAG(
    dag_id="caixin_window",
    schedule=SendWindowTimetable(every=30),
    start_date=pendulum.datetime(2025, 1, 1, tz="Asia/Shanghai"),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    tags=["caixin", "example"],
) as dag:
    wait_for_window = CaixinWindowSensor(task_id="wait_for_window", deferrable=True)

    @task
    def collect() -> str:
        """Return the audience's path; a real task writes the recipients since the last run into a file."""
        return str(Path(__file__).parent / "data" / "audience.csv")

    audience = collect()
    wait_for_window >> audience
    CaixinSendOperator(task_id="send", tpl_id=65535, audience_file=audience, expires_at="close")
