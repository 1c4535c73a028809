"""A run when Juhe approves a template, without asking for it every day.

The asset `caixin_template_65538` is watched. The triggerer asks the gateway once a minute. A template that
changes from not available to available starts one run, also if the triggerer was down when it happened
(Airflow 3.3). A template that was available before the Dag came starts no run: trigger the Dag by hand then.
All watchers and sensors of one connection share the poll.

`announce` gets the template from the event. In a real Dag a `CaixinSendOperator` follows that sends; here it
has `dry_run`, counts and sends nothing.

To try it with `make up`, un-pause the Dag, wait a minute, and make the sandbox's template available:

    curl -X POST 127.0.0.1:8088/_sandbox/templates/65538 -H 'Content-Type: application/json' -d
    '{"available": true}'
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.triggers.caixin import CaixinTemplateTrigger

TPL_ID = 65538

approved = Asset(
    f"caixin_template_{TPL_ID}",
    watchers=[AssetWatcher(name="approved", trigger=CaixinTemplateTrigger(TPL_ID))],
)

with DAG(
    dag_id="caixin_template_event",
    schedule=[approved],
    max_active_runs=1,
    doc_md=__doc__,
    tags=["caixin", "example"],
) as dag:

    @task
    def announce(triggering_asset_events: Any = None) -> str:
        """Return what was approved; a run that was triggered by hand has no event."""
        events = triggering_asset_events[approved] if triggering_asset_events else []
        templates = [event.extra["payload"] for event in events]
        text = "\n".join(f"{one['tpl_id']}: {one['content']}" for one in templates) or "no event"
        print(text)  # noqa: T201  # a task's log is where users look
        return text

    announce() >> CaixinSendOperator(
        task_id="send",
        tpl_id=TPL_ID,
        audience_file=str(Path(__file__).parent / "data" / "audience.csv"),
        dry_run=True,
    )
