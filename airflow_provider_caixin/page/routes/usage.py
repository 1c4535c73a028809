"""Usage: what was billed and what may have been."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from airflow_provider_caixin.campaign.report import csv_pieces
from airflow_provider_caixin.ledger import traffic
from airflow_provider_caixin.ledger.traffic import Usage
from airflow_provider_caixin.page.books import Book, BookDep
from airflow_provider_caixin.page.bounded import bounded
from airflow_provider_caixin.page.campaigns import Sight
from airflow_provider_caixin.page.problems import Problem
from airflow_provider_caixin.page.rights import Rights, RightsDep
from airflow_provider_caixin.rules import start_of
from airflow_provider_caixin.rules.window import DAY

router = APIRouter()

MOST_DAYS: Final = 366

By = Literal["day", "template", "campaign", "dag"]
First = Annotated[date, Query(alias="from")]
Last = Annotated[date, Query(alias="to")]


@router.get("/usage")
@bounded("ledger")
def usage(rights: RightsDep, book: BookDep, by: By, first: First, last: Last) -> dict[str, Any]:
    """Give it by days of China, both included."""
    rows = _rows(rights, book, by, first, last)
    return {
        "rows": [row._asdict() for row in rows],
        "total": {
            "billed": sum(row.billed for row in rows),
            "possibly": sum(row.possibly for row in rows),
        },
    }


@router.get("/usage.csv")
@bounded("ledger")
def usage_csv(rights: RightsDep, book: BookDep, by: By, first: First, last: Last) -> Response:
    """Give it as a table."""
    rows = _rows(rights, book, by, first, last)
    text = "".join(csv_pieces((by, *Usage._fields[1:]), rows))
    name = f"caixin-usage-{by}-{first}-{last}.csv"
    return Response(
        text.encode("utf-8-sig"),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _rows(rights: Rights, book: Book, by: By, first: date, last: date) -> list[Usage]:
    if not 0 <= (last - first).days < MOST_DAYS:
        raise Problem(422, "invalid", f"Expected from and to in their order and at most {MOST_DAYS} days.")
    ledger = book.open()
    with ledger.reading() as connection:
        sight = Sight.of(ledger, connection, rights)
        return traffic.usage(
            connection,
            by,
            start_of(first),
            start_of(last) + DAY,
            sight.now,
            dag_ids=sight.seen.ids,
            without_dag=sight.seen.others,
        )
