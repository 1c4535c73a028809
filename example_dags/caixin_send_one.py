"""
One message to one number, from the UI's trigger form.

Outside the send window it fails at once and says when the window opens; a number that a rule keeps back marks the task skipped
and the log says why.

What is typed into the form is kept by Airflow in the run's configuration, in clear.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_caixin.operators.caixin import CaixinSendOperator

with DAG(
    dag_id="caixin_send_one",
    schedule=None,
    doc_md=__doc__,
    params={
        "tpl_id": Param(65535, type="integer", title="Template id"),
        "mobile": Param(
            type="string",
            title="Mobile number",
            description="A China Mobile number, such as 13800138000.",
            minLength=11,
        ),
    },
    tags=["caixin", "example"],
) as dag:
    CaixinSendOperator(
        task_id="send",
        tpl_id="{{ params.tpl_id }}",
        mobiles="{{ params.mobile }}",
        outside_window="fail",
    )
