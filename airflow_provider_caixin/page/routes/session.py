"""Who is looking, what they may do, and what there is to look at."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from airflow_provider_caixin import __version__
from airflow_provider_caixin.page.connections import connections
from airflow_provider_caixin.page.ledgers import ledgers
from airflow_provider_caixin.page.rights import RightsDep
from airflow_provider_caixin.page.time_limit import bounded

router = APIRouter()


@router.get("/session")
@bounded("ledger")
def session(rights: RightsDep) -> dict[str, Any]:
    """Say it."""
    return {
        "user": rights.name,
        "version": __version__,
        "may": {
            "look_up": rights.edits_a_dag,
            "suppress": rights.edits_a_dag,
            "release": rights.edits_connections,
        },
        "ledgers": [{"id": ledger_id, "label": label} for ledger_id, label in ledgers().items()],
        "connections": [
            {
                "id": one.id,
                "account": one.settings.account if one.settings else None,
                "may_edit": rights.of_connection("PUT", one),
                "problem": one.problem,
            }
            for one in connections()
            if rights.of_connection("GET", one)
        ],
    }
