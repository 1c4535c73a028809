"""The plugin: the timetable that Airflow reads Dags back with, and the Caixin page."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin

from airflow_provider_caixin.settings.options import ui_path
from airflow_provider_caixin.timetables.caixin import SendWindowTimetable

URL_PREFIX = "/caixin"


class CaixinPlugin(AirflowPlugin):
    """Every Airflow process loads it at its start: it brings no web framework, HTTP client or ledger."""

    name = "caixin"
    timetables = [SendWindowTimetable]  # noqa: RUF012  # a list, as Airflow declares it
    external_views = [  # noqa: RUF012  # as above
        {
            "name": "Caixin",
            "href": f"{ui_path()}{URL_PREFIX}/",
            "destination": "nav",
            "category": "browse",
            "url_route": "caixin",
        }
    ]

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]  # Airflow asks instances
        """The page's app, made when the api-server asks for it and nowhere else."""
        from airflow_provider_caixin.page.app import make_app

        return [{"app": make_app(), "url_prefix": URL_PREFIX, "name": "Caixin"}]
