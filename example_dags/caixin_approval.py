"""A campaign that someone approves in the Airflow UI, after a look at it on their own phone.

- `template` waits until Juhe has approved the template.
- `test` sends it to the test numbers.
- `preview` applies every rule to the audience and sends nothing.
- `approve` shows the result: the whole text, the link to the video or picture, how many would get it, how
  many of these already had it, and the most it can bill. It waits for an answer under *Required Actions*:
  from Airflow 3.3 on without a triggerer, before that with one.
- After an approval `send` sends to the audience. It never sends to more recipients than were approved, also
  if the file changed meanwhile.

The test numbers are in the ledger, too: the frequency cap keeps a second message from them today.

The file `data/audience.csv` is made up and for the sandbox. Airflow keeps the test numbers in the run's
configuration, in clear.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param

from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.sensors.caixin import CaixinTemplateSensor

BODY = """
{% set template = ti.xcom_pull(task_ids='template') %}
{% set test = ti.xcom_pull(task_ids='test') %}
{% set preview = ti.xcom_pull(task_ids='preview') %}
**Template {{ template.tpl_id }}**

{% for line in template.content.splitlines() %}    {{ line }}
{% endfor %}
{% if template.url.startswith(('http://', 'https://')) %}
Video or picture: <{{ template.url | replace('<', '%3C') | replace('>', '%3E') | replace(' ', '%20') }}>
{% endif %}

**Test message:** {{ test.sent }} of {{ test.total }} sent.

**Audience:** {{ preview.total }} rows, of which {{ preview.would_send }} would get the message.

{% for reason, number in preview.skipped.items() %}* {{ number }} not: {{ reason }}
{% endfor %}

Of the first {{ preview.had_template_among }} people who would get it, {{ preview.had_template }} already had this template, or may have.

**At most {{ preview.would_send }} messages are billed.**
"""

with DAG(
    dag_id="caixin_approval",
    schedule=None,
    doc_md=__doc__,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={
        "tpl_id": Param(65535, type="integer", title="Template id"),
        "test_numbers": Param(
            "13900000000",
            type="string",
            title="Test numbers",
            description="Your own, with commas between them; they get the message before all others.",
            minLength=11,
        ),
        "audience_file": Param(
            str(Path(__file__).parent / "data" / "audience.csv"),
            type="string",
            title="Audience",
            description="Path or URL of a .txt or .csv file, also .gz.",
        ),
    },
    tags=["caixin", "example"],
) as dag:
    campaign: dict[str, Any] = {
        "tpl_id": "{{ params.tpl_id }}",
        "audience_file": "{{ params.audience_file }}",
        "campaign_id": "{{ dag.dag_id }}/{{ run_id }}",
    }

    template = CaixinTemplateSensor(
        task_id="template",
        tpl_id="{{ params.tpl_id }}",
        mode="reschedule",
        poke_interval=60,
        timeout=timedelta(days=1),
    )

    test = CaixinSendOperator(
        task_id="test",
        tpl_id="{{ params.tpl_id }}",
        # A list: a single number that a rule keeps back would skip this task, and with it the approval.
        mobiles="{{ params.test_numbers.split(',') | tojson }}",
    )

    preview = CaixinSendOperator(task_id="preview", dry_run=True, **campaign)

    approve = ApprovalOperator(
        task_id="approve",
        subject="Send template {{ params.tpl_id }} to {{ ti.xcom_pull(task_ids='preview').would_send }} people?",
        body=BODY,
        # One answer for each run: a retry would not ask again.
        retries=0,
        response_timeout=timedelta(days=1),
    )

    send = CaixinSendOperator(
        task_id="send",
        max_messages="{{ ti.xcom_pull(task_ids='preview').would_send }}",
        **campaign,
    )

    template >> test >> preview >> approve >> send
