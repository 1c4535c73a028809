"""One message to one number, from the UI's trigger form.

Outside the send window it fails at once and says when the window opens. The form refuses what is no number.
If a rule keeps the number back, the task is skipped. Its log and the link *Campaign* among its details say
why.

Airflow keeps what is typed into the form in the run's configuration, in clear.
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
            # Airflow shows title and pattern to users whose text does not match, so both must be readable.
            title="Mobile number, such as 13800138000",
            description="11 digits that China Mobile issued, also as +86 138-0013-8000.",
            pattern=r"^(\+86 ?)?1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}$",
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
