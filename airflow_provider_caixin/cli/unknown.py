"""Unknown outcomes: list what may have been billed, and record what someone says became of it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from airflow_provider_caixin.audience import FileAudience, mask
from airflow_provider_caixin.campaign import numbers_of
from airflow_provider_caixin.cli.lookup import known_campaign, open_ledger, read_number
from airflow_provider_caixin.cli.output import moment, show
from airflow_provider_caixin.cli.terminal import Exit, Refused, StatusLine, confirm, note
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import unknowns
from airflow_provider_caixin.ledger.views import campaigns as campaign_views
from airflow_provider_caixin.ledger.views import unknowns as unknown_views
from airflow_provider_caixin.session.readers import object_path


def list_unknown(args: argparse.Namespace) -> Exit:
    """List campaigns with unknown recipients, or the unknown recipients of one."""
    with open_ledger(args) as ledger, StatusLine("Reading what is unknown"), ledger.reading() as connection:
        now = ledger.now(connection)
        if args.campaign_id is None:
            found = campaign_views.campaigns(connection, now, with_unknown=True, most=args.most + 1)
            rows: list[dict[str, Any]] = [
                {
                    "campaign_id": one.campaign_id,
                    "status": one.status(now).value,
                    "tpl_id": one.tpl_id,
                    "unknown": one.unknown,
                    "oldest": moment(unknown_views.oldest(connection, one.key, now)),
                }
                for one in found
            ]
        else:
            key = known_campaign(connection, args.campaign_id, now).key
            rows = [
                {
                    "mobile": one.number if args.full else mask(one.number),
                    "sent_at": moment(one.sent_at),
                    "error_code": one.code,
                    "reason": one.reason,
                    "sent_twice": one.twice,
                }
                for one in unknown_views.unknowns(connection, key, now, most=args.most + 1)
            ]
    show(rows[: args.most], args.output)
    if len(rows) > args.most:
        note(f"There are more than {args.most:,}: raise --most, or take campaign report --state unknown.")
    return Exit.DONE if rows else Exit.NOTHING


def resolve(args: argparse.Namespace) -> Exit:
    """Record what someone says became of unknown recipients."""
    if [bool(args.numbers), bool(args.file), args.all].count(True) != 1:
        raise Refused("Which recipients? Give --numbers, --file or --all, one of the three.")
    numbers = [read_number(one) for one in args.numbers]
    with open_ledger(args) as ledger, StatusLine("Looking for them"):
        with ledger.reading() as connection:
            seen_at = ledger.now(connection)
            key = known_campaign(connection, args.campaign_id, seen_at).key
        ids = list(dict.fromkeys(_ids(ledger, key, args, numbers, seen_at)))
    if not ids:
        note(f"None of them is unknown in campaign {args.campaign_id!r}.")
        return Exit.NOTHING
    meaning = (
        "they were billed, and get nothing more of this campaign"
        if args.outcome == "sent"
        else "they were NOT billed, and the campaign's next run sends to them once more"
    )
    confirm(f"{len(ids):,} recipients of campaign {args.campaign_id!r}: {meaning}?", yes=args.yes)
    with open_ledger(args) as ledger, StatusLine("Resolving them"):
        resolved = unknowns.resolve(ledger, key, ids, args.outcome, before=seen_at)
    note(f"{resolved:,} recipients are {args.outcome} now.")
    return Exit.DONE


def _ids(
    ledger: Ledger, campaign_key: int, args: argparse.Namespace, numbers: list[str], now: float
) -> Iterator[int]:
    with ledger.reading() as connection:
        if args.all:
            after = 0
            while found := unknown_views.unknowns(connection, campaign_key, now, after=after):
                yield from (one.id for one in found)
                after = found[-1].id
            return
        listed: Iterator[str] = iter(numbers)
        if args.file:
            listed = numbers_of(FileAudience(object_path(args.file), argument="--file"))
        yield from unknown_views.find(connection, campaign_key, listed, now)
