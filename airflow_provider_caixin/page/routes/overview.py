"""The overview: accounts, what runs, what is unknown, what today costs."""

from __future__ import annotations

import time
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any, Final, TypedDict

from fastapi import APIRouter
from sqlalchemy.engine import Connection

from airflow_provider_caixin.china_time import DAY_SECONDS, seconds_of_day
from airflow_provider_caixin.ledger.admin import accounts
from airflow_provider_caixin.ledger.admin.accounts import Account
from airflow_provider_caixin.ledger.views import campaigns as campaign_views
from airflow_provider_caixin.ledger.views import usage as usage_views
from airflow_provider_caixin.page.campaign_view import CampaignView
from airflow_provider_caixin.page.connections import ListedConnection, account_of, connections
from airflow_provider_caixin.page.ledgers import NamedLedgerDep, is_of
from airflow_provider_caixin.page.rights import Rights, RightsDep
from airflow_provider_caixin.page.time_limit import time_limited
from airflow_provider_caixin.rules import SendWindow
from airflow_provider_caixin.vocabulary import UNFINISHED

router = APIRouter()

MOST: Final = 50


class _Ours(TypedDict):
    dag_ids: AbstractSet[str]
    without_dag: bool


@router.get("/overview")
@time_limited("ledger")
def overview(rights: RightsDep, named: NamedLedgerDep) -> dict[str, Any]:
    """Return all of it."""
    ledger = named.open()
    with ledger.reading() as connection:
        view = CampaignView.of(ledger, connection, rights)
        midnight = view.now - seconds_of_day(view.now)
        ours = _Ours(dag_ids=view.seen.ids, without_dag=view.seen.others)
        at_work = campaign_views.campaigns(connection, view.now, status=UNFINISHED, most=MOST, **ours)
        unknown = campaign_views.campaigns(connection, view.now, with_unknown=True, most=MOST, **ours)
        since = usage_views.unknown_since(connection, [one.key for one in unknown], view.now)
        today = usage_views.usage(connection, "day", midnight, midnight + DAY_SECONDS, view.now, **ours)
        campaigns = view.shown(connection, at_work)
        rates: dict[str, float] = {}
        for one in campaigns:
            if one["rate_now"] is not None:
                rates[one["account"]] = rates.get(one["account"], 0.0) + one["rate_now"]
        shown = _accounts(connection, rights, view, named.id, midnight)
    return {
        "now": view.now,
        "accounts": [{**one, "rate_now": rates.get(one["name"])} for one in shown],
        "campaigns": campaigns,
        "unknown": [
            {
                "key": one.key,
                "campaign_id": one.campaign_id,
                "tpl_id": one.tpl_id,
                "unknown": one.unknown,
                "oldest": since.get(one.key),
                "may_edit": view.may_edit(one),
            }
            for one in unknown
        ],
        "today": {
            "billed": sum(day.billed for day in today),
            "possibly": sum(day.possibly for day in today),
        },
    }


def _accounts(
    connection: Connection, rights: Rights, view: CampaignView, ledger_id: str, midnight: float
) -> list[dict[str, Any]]:
    """Return the accounts of the user's campaigns and connections."""
    in_ledger = {one.name: one for one in accounts.accounts(connection)}
    theirs: dict[str, list[ListedConnection]] = {}
    for known in connections():
        if known.settings is not None and is_of(known, ledger_id):
            theirs.setdefault(account_of(connection, known.settings), []).append(known)
    readable = {
        name: [known.id for known in some if rights.of_connection("GET", known)]
        for name, some in theirs.items()
    }
    seen = campaign_views.accounts_of(connection, view.seen.ids, without_dag=view.seen.others)
    names = seen | {name for name, ids in readable.items() if ids}
    if rights.reads_connections:
        names |= in_ledger.keys()
    quota = campaign_views.quota_since(connection)
    return [
        {
            "name": name,
            "connections": readable.get(name, []),
            "may_edit": rights.of_account(theirs.get(name, [])),
            "quota_since": quota.get(name),
            **_account(in_ledger.get(name), theirs.get(name, []), midnight),
        }
        for name in sorted(names)
    ]


def _account(row: Account | None, known: list[ListedConnection], midnight: float) -> dict[str, Any]:
    settings = next((one.settings for one in known if one.settings), None)
    limit = row.max_per_day if row else None
    return {
        "paused": bool(row and row.paused),
        "window": _window(settings.send_window) if settings else None,
        "rate": settings.messages_per_second if settings else None,
        "day_count": row.day_count if row and row.day >= midnight else 0,
        "max_per_day": limit if limit is not None else settings and settings.max_per_day,
        "limit_set_here": limit is not None,
        "last_sent_at": row.last_sent_at if row else None,
        "failures": row.failures if row else 0,
        "pace": row.pace if row else 1.0,
    }


def _window(window: SendWindow | None) -> dict[str, Any] | None:
    """Return how a window stands, by this host's clock, as it is kept; None: any time."""
    if window is None:
        return None
    now = datetime.fromtimestamp(time.time(), tz=UTC)
    return {
        "text": str(window),
        "open": window.contains(now),
        "opens_at": window.next_opening(now).timestamp(),
        "closes_at": window.closes_at(now).timestamp(),
    }
