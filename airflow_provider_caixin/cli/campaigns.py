"""Campaigns: the list, one of them, its report, and what someone may do to it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow_provider_caixin.campaign.report import write_report
from airflow_provider_caixin.cli.lookup import known_campaign, open_ledger
from airflow_provider_caixin.cli.output import csv_file, moment, show, show_one
from airflow_provider_caixin.cli.terminal import Exit, Refused, StatusLine, confirm, note
from airflow_provider_caixin.juhe.codes import describe
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import controls
from airflow_provider_caixin.ledger.rows import tally as tallies
from airflow_provider_caixin.ledger.views import campaigns as campaign_views
from airflow_provider_caixin.ledger.views import reports
from airflow_provider_caixin.ledger.views.campaigns import Summary
from airflow_provider_caixin.vocabulary import State, Status


def campaigns(args: argparse.Namespace) -> Exit:
    """List a page of campaigns, the newest first."""
    with open_ledger(args) as ledger, StatusLine("Reading the campaigns"), ledger.reading() as connection:
        now = ledger.now(connection)
        found = campaign_views.campaigns(
            connection,
            now,
            search=args.search,
            status=Status(args.status) if args.status else None,
            account=args.account,
            before=args.before,
            most=args.most + 1,
        )
    show([_row(one, now) for one in found[: args.most]], args.output)
    if len(found) > args.most:
        note(f"There are more: --before {found[args.most - 1].key}")
    return Exit.DONE if found else Exit.NOTHING


def show_campaign(args: argparse.Namespace) -> Exit:
    """Show where a campaign stands."""
    with open_ledger(args) as ledger, StatusLine("Counting the recipients"), ledger.reading() as connection:
        now = ledger.now(connection)
        one = known_campaign(connection, args.campaign_id, now)
        skipped, rejected = tallies.outcomes(connection, one.key)
    record = {
        **_row(one, now),
        "account": one.account,
        "run_id": one.run_id,
        "task_id": one.task_id,
        "loaded_at": moment(one.loaded_at),
        "active_at": moment(one.active_at),
        "quota_used_up_since": moment(one.quota_since),
        "rate": one.rate,
        "loosened": one.loosened,
    }
    shown = dict(record)
    for reason, number in sorted(skipped.items()):
        shown[f"skipped: {reason}"] = number
    for code, number in sorted(rejected.items(), key=str):
        text = describe(code).zh if code is not None else ""
        shown[f"rejected: {code} {text}"] = number
    record |= {
        "skipped": {str(reason): number for reason, number in skipped.items()},
        "rejected": {str(code): number for code, number in rejected.items()},
    }
    show_one(
        record,
        args.output,
        [{"property": name, "value": cell} for name, cell in shown.items() if cell != ""],
    )
    return Exit.DONE


def pause(args: argparse.Namespace) -> Exit:
    """Pause a campaign."""
    with _changing(args, "paused") as (ledger, one):
        controls.pause_campaign(ledger, one.campaign_id)
        note(f"Campaign {one.campaign_id!r} is paused; {one.left:,} recipients have no outcome yet.")
    return Exit.DONE


def resume(args: argparse.Namespace) -> Exit:
    """Let a campaign go on."""
    with _changing(args, "resumed") as (ledger, one):
        controls.pause_campaign(ledger, one.campaign_id, paused=False)
        note(
            f"Campaign {one.campaign_id!r} goes on as soon as a task or command runs it; {one.left:,} are left."
        )
        if one.account_paused:
            note(f"Its account {one.account!r} is still paused: account resume --account {one.account}")
    return Exit.DONE


def cancel(args: argparse.Namespace) -> Exit:
    """Cancel a campaign for good."""
    with _changing(args, "cancelled") as (ledger, one):
        confirm(
            f"Cancel campaign {one.campaign_id!r} for good? {one.left:,} of {one.total:,} recipients have no outcome yet and "
            "will get nothing, nor will any that a later run would send to.",
            yes=args.yes,
        )
        with StatusLine("Skipping what is pending"):
            controls.cancel_campaign(ledger, one.campaign_id)
        note(f"Campaign {one.campaign_id!r} is cancelled.")
    return Exit.DONE


def retry(args: argparse.Namespace) -> Exit:
    """Make the recipients pending again that the gateway rejected with a code."""
    with open_ledger(args) as ledger, StatusLine("Making them pending again"):
        with ledger.reading() as connection:
            one = known_campaign(connection, args.campaign_id, ledger.now(connection))
        again = controls.retry_rejected(ledger, one.campaign_id, args.code)
    if not again:
        note(f"Nobody of campaign {one.campaign_id!r} was rejected with {args.code}.")
        return Exit.NOTHING
    note(f"{again:,} recipients are pending again; the campaign's next run sends them.")
    return Exit.DONE


def report(args: argparse.Namespace) -> Exit:
    """Write the report."""
    written = 0

    def counted(rows: Iterator[reports.ReportRow]) -> Iterator[reports.ReportRow]:
        nonlocal written
        for written, row in enumerate(rows, 1):  # noqa: B007
            yield row

    with (
        open_ledger(args) as ledger,
        StatusLine("Writing the report") as line,
        ledger.reading() as connection,
    ):
        now = ledger.now(connection)
        one = known_campaign(connection, args.campaign_id, now)
        if one.purged_at is not None:
            raise Refused(
                "The campaign's recipients were forgotten (ledger purge); campaign show has the counts.",
                Exit.FAILED,
            )
        state = State(args.state) if args.state else None
        rows = reports.read_report(connection, one.key, now, state=state, reason=args.reason)
        with csv_file(args.file) as file:
            write_report(file, counted(line.count(rows, "recipients written")))
    if args.file:
        note(f"{written:,} recipients are in {args.file}.")
    return Exit.DONE if written else Exit.NOTHING


@contextmanager
def _changing(args: argparse.Namespace, what: str) -> Iterator[tuple[Ledger, Summary]]:
    """Open the ledger and a campaign in it that is not over."""
    with open_ledger(args) as ledger:
        with ledger.reading() as connection:
            now = ledger.now(connection)
            one = known_campaign(connection, args.campaign_id, now)
        if one.is_over:
            raise Refused(f"The campaign is over ({one.status(now)}) and cannot be {what}.", Exit.FAILED)
        yield ledger, one


def _row(one: Summary, now: float) -> dict[str, Any]:
    return {
        "key": one.key,
        "campaign_id": one.campaign_id,
        "status": one.status(now).value,
        "tpl_id": one.tpl_id,
        "total": one.total,
        "sent": one.sent,
        "rejected": one.rejected,
        "unknown": one.unknown,
        "skipped": one.skipped,
        "left": one.left,
        "created_at": moment(one.created_at),
        "dag_id": one.dag_id,
    }
