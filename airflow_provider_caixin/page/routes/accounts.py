"""Accounts: pause one, and limit how much it may send in a day."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import accounts
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.page import audit
from airflow_provider_caixin.page.connections import account_of, connections
from airflow_provider_caixin.page.headers import same_origin
from airflow_provider_caixin.page.ledgers import NamedLedger, NamedLedgerDep, is_of
from airflow_provider_caixin.page.problems import Problem
from airflow_provider_caixin.page.rights import Rights, RightsDep
from airflow_provider_caixin.page.time_limit import time_limited

router = APIRouter(prefix="/accounts", dependencies=[Depends(same_origin)])

Name = Annotated[str, Field(min_length=1, max_length=1000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Pause(_Body):
    """Whether to pause or to go on."""

    account: Name
    paused: bool


class Limit(_Body):
    """How many messages in a China day; null: what the connections say."""

    account: Name
    max_per_day: Annotated[int, Field(ge=0, le=2**62)] | None


@router.post("/pause")
@time_limited("ledger")
def pause(rights: RightsDep, named: NamedLedgerDep, body: Pause) -> dict[str, bool]:
    """Pause or resume all campaigns of an account."""
    ledger = _ledger_of(rights, named, body.account)
    audit.record(rights, "pause_account" if body.paused else "resume_account", account=body.account)
    accounts.pause_account(ledger, body.account, paused=body.paused)
    return {"paused": body.paused}


@router.post("/limit")
@time_limited("ledger")
def limit(rights: RightsDep, named: NamedLedgerDep, body: Limit) -> dict[str, int | None]:
    """Set how many messages an account may send in a day, also for campaigns that run."""
    ledger = _ledger_of(rights, named, body.account)
    audit.record(rights, "limit_account", account=body.account, max_per_day=body.max_per_day)
    accounts.limit_account(ledger, body.account, body.max_per_day)
    return {"max_per_day": body.max_per_day}


def _ledger_of(rights: Rights, named: NamedLedger, name: str) -> Ledger:
    """Open the ledger for somebody who may change an account of it."""
    ledger = named.open()
    with ledger.reading() as connection:
        its = [
            one
            for one in connections()
            if one.settings and is_of(one, named.id) and account_of(connection, one.settings) == name
        ]
    rights.demand(
        rights.of_account(its), "change this account: it takes the permission to edit one of its connections"
    )
    with ledger.reading() as connection:
        if not its and account_names.peek_account(connection, name) is None:
            raise Problem(404, "not_found", "This ledger has no such account, and no connection names it.")
    return ledger
