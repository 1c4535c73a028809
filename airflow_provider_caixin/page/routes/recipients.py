"""A recipient: what became of a number in all campaigns, and whether it may get messages at all."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_caixin.audience import mask, normalise, without_numbers
from airflow_provider_caixin.audience.prefixes import carrier
from airflow_provider_caixin.audience.segments import Segments
from airflow_provider_caixin.juhe.codes import describe
from airflow_provider_caixin.ledger.admin import suppressions
from airflow_provider_caixin.ledger.schema import REASON_LENGTH
from airflow_provider_caixin.ledger.views import recipients as recipient_views
from airflow_provider_caixin.ledger.views.recipients import Entry
from airflow_provider_caixin.page import audit
from airflow_provider_caixin.page.campaign_view import CampaignView
from airflow_provider_caixin.page.headers import same_origin
from airflow_provider_caixin.page.ledgers import NamedLedgerDep
from airflow_provider_caixin.page.problems import Problem
from airflow_provider_caixin.page.rights import RightsDep
from airflow_provider_caixin.page.time_limit import time_limited

router = APIRouter(prefix="/recipient", dependencies=[Depends(same_origin)])

Typed = Annotated[str, Field(max_length=100)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Number(_Body):
    """Which number it is about."""

    number: Typed


class Suppress(_Body):
    """Which number to suppress, and why."""

    number: Typed
    reason: Annotated[str, Field(max_length=REASON_LENGTH)] | None = None


@router.post("")
@time_limited("ledger")
def look_up(rights: RightsDep, named: NamedLedgerDep, body: Number) -> dict[str, Any]:
    """Return the history of a number, as far as the user may see it."""
    rights.demand(rights.edits_a_dag, "look numbers up: it takes the permission to edit a Dag")
    number = _number(body.number)
    audit.record(rights, "look_up_number", number=mask(number))
    ledger = named.open()
    with ledger.reading() as connection:
        view = CampaignView.of(ledger, connection, rights)
        found = suppressions.find(connection, number)
        history = recipient_views.history(
            connection, number, view.now, dag_ids=view.seen.ids, without_dag=view.seen.others
        )
    return {
        "number": number,
        "carrier": carrier(number),
        "region": Segments.builtin().place(number),
        "suppressed": {"reason": found.reason, "added_at": found.added_at} if found else None,
        "messages": [_message(one) for one in history],
    }


@router.post("/suppress")
@time_limited("ledger")
def suppress(rights: RightsDep, named: NamedLedgerDep, body: Suppress) -> dict[str, Any]:
    """Put a number on the suppression list."""
    rights.demand(rights.edits_a_dag, "suppress numbers: it takes the permission to edit a Dag")
    number = _number(body.number)
    ledger = named.open()
    audit.record(
        rights, "suppress_number", number=mask(number), reason=without_numbers(body.reason or "") or None
    )
    suppressions.suppress(ledger, [number], (body.reason or "").strip() or None)
    with ledger.reading() as connection:
        found = suppressions.find(connection, number)
    return {"suppressed": {"reason": found.reason, "added_at": found.added_at} if found else None}


@router.post("/release")
@time_limited("ledger")
def release(rights: RightsDep, named: NamedLedgerDep, body: Number) -> dict[str, Any]:
    """Take a number off the suppression list."""
    rights.demand(rights.edits_connections, "release numbers: it takes the permission to edit connections")
    number = _number(body.number)
    ledger = named.open()
    audit.record(rights, "release_number", number=mask(number))
    suppressions.release(ledger, [number])
    return {"suppressed": None}


def _number(typed: str) -> str:
    number = normalise(typed)
    if number is None:
        raise Problem(
            422,
            "invalid",
            "This is no mobile number of mainland China: expected 11 digits such as 13800138000.",
        )
    return number


def _message(one: Entry) -> dict[str, Any]:
    rejected = describe(one.code) if one.code else None
    return {
        "campaign_id": one.campaign_id,
        "key": one.key,
        "tpl_id": one.tpl_id,
        "at": one.at,
        "state": one.state,
        "reason": one.reason,
        "code": one.code,
        "code_zh": rejected.zh if rejected else None,
        "code_en": rejected.en if rejected else None,
        "sid": one.sid,
    }
