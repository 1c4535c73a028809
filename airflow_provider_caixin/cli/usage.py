"""Usage: what was billed and what may have been."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any

from airflow_provider_caixin.china_time import CHINA, DAY_SECONDS, start_of_day
from airflow_provider_caixin.cli.lookup import no_such_account, open_ledger
from airflow_provider_caixin.cli.output import show
from airflow_provider_caixin.cli.terminal import Exit, Refused, StatusLine
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.views import usage as usage_views


def show_usage(args: argparse.Namespace) -> Exit:
    """Add up what was billed and what may have been, by China days."""
    last = args.last or datetime.now(CHINA).date()
    first = args.first or last.replace(day=1)
    if first > last:
        raise Refused(f"--from {first} is after --to {last}: expected them in their order.")
    with open_ledger(args) as ledger, StatusLine("Adding up"), ledger.reading() as connection:
        account = None
        if args.account:
            account = account_names.peek_account(connection, args.account)
            if account is None:
                raise no_such_account(args.account)
        span, now = (start_of_day(first), start_of_day(last) + DAY_SECONDS), ledger.now(connection)
        found = usage_views.usage(connection, args.by, *span, now, account_key=account)
    rows: list[dict[str, Any]] = [
        {args.by: row.name, "billed": row.billed, "possibly_billed": row.possibly} for row in found
    ]
    if rows and args.output in ("table", "plain"):
        sums = {name: sum(row[name] for row in rows) for name in ("billed", "possibly_billed")}
        rows = [{**row, args.by: row[args.by] or "(command line)"} for row in rows]
        rows.append({args.by: "total", **sums})
    show(rows, args.output)
    return Exit.DONE if rows else Exit.NOTHING
