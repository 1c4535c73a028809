"""
A run when Juhe approves a template, without asking for it every day.

The asset `caixin_template_65538` is watched: the triggerer asks the gateway once a minute, and a template that turns from not
available to available starts one run, also where the triggerer was down when it happened (Airflow 3.3). What was available
already when the Dag came is no news: trigger the Dag by hand then. All watchers and sensors of one connection share the poll.

`announce` gets the template from the event. In earnest a `CaixinSendOperator` follows, here with `dry_run`: it counts and sends
nothing.

To try it with `make up`, un-pause the Dag, wait a minute, and make the sandbox's template available:

    curl -X POST 127.0.0.1:8088/_sandbox/templates/65538 -H 'Content-Type: application/json' -d '{"available": true}'
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
        """Say what was approved; a run that a person triggered has no event."""
        events = triggering_asset_events[approved] if triggering_asset_events else []
        templates = [event.extra["payload"] for event in events]
        text = "\n".join(f"{one['tpl_id']}: {one['content']}" for one in templates) or "no event"
        print(text)  # noqa: T201  # a task's log is where people look
        return text

    announce() >> CaixinSendOperator(
        task_id="send",
        tpl_id=TPL_ID,
        audience_file=str(Path(__file__).parent / "data" / "audience.csv"),
        dry_run=True,
    )
