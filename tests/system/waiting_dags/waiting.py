"""Dags that wait in the triggerer, for the window, for a template, and for an event."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_caixin.sensors.caixin import CaixinTemplateSensor, CaixinWindowSensor
from airflow_provider_caixin.triggers.caixin import CaixinTemplateTrigger

ON: dict[str, Any] = {"is_paused_upon_creation": False, "params": {"conn_id": ""}}
WAITS: dict[str, Any] = {"caixin_conn_id": "{{ params.conn_id }}", "timeout": timedelta(minutes=10)}

with DAG("waiting_window", schedule=None, **ON):
    CaixinWindowSensor(task_id="send", deferrable=True, **WAITS)

with DAG("waiting_window_rescheduled", schedule=None, **ON):
    CaixinWindowSensor(task_id="send", mode="reschedule", poke_interval=600, deferrable=False, **WAITS)

with DAG("waiting_template", schedule=None, **ON):
    CaixinTemplateSensor(task_id="send", tpl_id=65538, deferrable=True, poke_interval=1, **WAITS)

approved = Asset(
    "waiting_for_65538",
    watchers=[AssetWatcher(name="approved", trigger=CaixinTemplateTrigger(65538, "waiting_event", 1))],
)

with DAG("waiting_event", schedule=[approved], **ON):

    @task
    def send(triggering_asset_events: Any = None) -> dict[str, int]:
        """Give the template that the event names."""
        [event] = triggering_asset_events[approved]
        return {"tpl_id": event.extra["payload"]["tpl_id"]}

    send()
