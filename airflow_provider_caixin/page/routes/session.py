"""The session: who is looking, what they may do, what there is to look at, and what it is called."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from airflow_provider_caixin import __version__
from airflow_provider_caixin.page.connections import connections
from airflow_provider_caixin.page.ledgers import ledgers
from airflow_provider_caixin.page.rights import RightsDep
from airflow_provider_caixin.page.time_limit import time_limited
from airflow_provider_caixin.vocabulary import words

router = APIRouter()


@router.get("/session")
@time_limited("ledger")
def session(rights: RightsDep) -> dict[str, Any]:
    """Return all of it, and the words of the vocabulary in both languages."""
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
        "vocabulary": {"zh": words("zh"), "en": words("en")},
    }
