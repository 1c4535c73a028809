"""Usage: what was billed and what may have been."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from airflow_provider_caixin.campaign.report import csv_pieces
from airflow_provider_caixin.china_time import DAY_SECONDS, start_of_day
from airflow_provider_caixin.ledger.views import usage as usage_views
from airflow_provider_caixin.ledger.views.usage import Usage
from airflow_provider_caixin.page.campaign_view import CampaignView
from airflow_provider_caixin.page.ledgers import NamedLedger, NamedLedgerDep
from airflow_provider_caixin.page.problems import Problem
from airflow_provider_caixin.page.rights import Rights, RightsDep
from airflow_provider_caixin.page.time_limit import time_limited

router = APIRouter()

MOST_DAYS: Final = 366

By = Literal["day", "template", "campaign", "dag"]
First = Annotated[date, Query(alias="from")]
Last = Annotated[date, Query(alias="to")]


@router.get("/usage")
@time_limited("ledger")
def usage(rights: RightsDep, named: NamedLedgerDep, by: By, first: First, last: Last) -> dict[str, Any]:
    """Return it by days of China, both included."""
    rows = _rows(rights, named, by, first, last)
    return {
        "rows": [row._asdict() for row in rows],
        "total": {
            "billed": sum(row.billed for row in rows),
            "possibly": sum(row.possibly for row in rows),
        },
    }


@router.get("/usage.csv")
@time_limited("ledger")
def usage_csv(rights: RightsDep, named: NamedLedgerDep, by: By, first: First, last: Last) -> Response:
    """Return it as CSV."""
    rows = _rows(rights, named, by, first, last)
    text = "".join(csv_pieces((by, *Usage._fields[1:]), rows))
    name = f"caixin-usage-{by}-{first}-{last}.csv"
    return Response(
        text.encode("utf-8-sig"),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _rows(rights: Rights, named: NamedLedger, by: By, first: date, last: date) -> list[Usage]:
    if not 0 <= (last - first).days < MOST_DAYS:
        raise Problem(422, "invalid", f"Expected from and to in their order and at most {MOST_DAYS} days.")
    ledger = named.open()
    with ledger.reading() as connection:
        view = CampaignView.of(ledger, connection, rights)
        return usage_views.usage(
            connection,
            by,
            start_of_day(first),
            start_of_day(last) + DAY_SECONDS,
            view.now,
            dag_ids=view.seen.ids,
            without_dag=view.seen.others,
        )
