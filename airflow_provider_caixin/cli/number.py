"""One number: every message to it, and whether it is suppressed."""

from __future__ import annotations

import argparse

from airflow_provider_caixin.audience import Segments
from airflow_provider_caixin.audience.prefixes import carrier
from airflow_provider_caixin.cli.lookup import open_ledger, read_number
from airflow_provider_caixin.cli.output import moment, show, show_one
from airflow_provider_caixin.cli.terminal import Exit, StatusLine
from airflow_provider_caixin.ledger.admin import suppressions
from airflow_provider_caixin.ledger.views import recipients as recipient_views


def show_number(args: argparse.Namespace) -> Exit:
    """List every message to a number."""
    number = read_number(args.number)
    with open_ledger(args) as ledger, StatusLine("Looking for the number"), ledger.reading() as connection:
        listed = suppressions.find(connection, number)
        history = recipient_views.history(connection, number, ledger.now(connection))
    messages = [
        {
            "at": moment(one.at),
            "state": one.state,
            "reason": one.reason,
            "tpl_id": one.tpl_id,
            "campaign_id": one.campaign_id,
            "dag_id": one.dag_id,
            "code": one.code,
            "sid": one.sid,
        }
        for one in history
    ]
    record = {
        "number": number,
        "carrier": str(carrier(number)),
        "region": Segments.builtin().place(number),
        "suppressed": listed is not None,
        "suppressed_reason": listed.reason if listed else None,
        "suppressed_at": moment(listed.added_at) if listed else None,
        "messages": messages,
    }
    show_one(record, args.output)
    if args.output in ("table", "plain") and messages:
        show(messages, args.output)
    return Exit.DONE if messages or listed else Exit.NOTHING
