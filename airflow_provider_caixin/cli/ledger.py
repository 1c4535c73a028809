"""The ledger itself: what it holds, whether it agrees with itself, what it forgets, and a restore."""

from __future__ import annotations

import argparse
import time

from airflow_provider_caixin.china_time import DAY_SECONDS, china_midnight
from airflow_provider_caixin.cli.lookup import open_ledger
from airflow_provider_caixin.cli.output import moment, show_one
from airflow_provider_caixin.cli.terminal import Exit, StatusLine, confirm, note
from airflow_provider_caixin.ledger.admin import restore, retention
from airflow_provider_caixin.ledger.views import checks

# What the rules for SMS services (通信短信息服务管理规定) ask to be kept.
KEPT_DAYS = 153


def info(args: argparse.Namespace) -> Exit:
    """Show what the ledger is and holds."""
    with open_ledger(args) as ledger, StatusLine("Counting the rows"):
        found = checks.info(ledger)
        place = ledger.engine.url.render_as_string(hide_password=True)
    record = {"ledger": place, "uuid": found.uuid, "dialect": found.dialect, "version": found.version}
    lines = [{"property": name, "value": value} for name, value in {**record, **found.rows}.items()]
    show_one({**record, "rows": found.rows}, args.output, lines)
    return Exit.DONE


def check(args: argparse.Namespace) -> Exit:
    """Count everything anew and print what disagrees."""
    number = 0
    with open_ledger(args) as ledger, StatusLine("Counting everything anew"):
        for number, sentence in enumerate(checks.disagreements(ledger), 1):  # noqa: B007
            print(sentence)  # noqa: T201
    if number:
        note(f"{number} counts disagree.")
        return Exit.FAILED
    note("The ledger agrees with itself.")
    return Exit.DONE


def purge(args: argparse.Namespace) -> Exit:
    """Forget the recipients of finished campaigns."""
    with open_ledger(args) as ledger:
        with StatusLine("Looking for finished campaigns"):
            before = time.time() - args.older_than * DAY_SECONDS
            found = retention.purgeable(ledger, before)
        if not found:
            note(f"No campaign was finished more than {args.older_than} days ago.")
            # A purge that was broken off goes on all the same.
            list(retention.purge(ledger, before))
            return Exit.NOTHING
        recipients = sum(one.recipients for one in found)
        unknown = sum(one.unknown for one in found)
        lost = f" {unknown:,} of them are unknown and could never be resolved any more." if unknown else ""
        confirm(
            f"Forget {recipients:,} recipients of {len(found):,} campaigns, finished by {moment(before)}?{lost} "
            "Their counts stay.",
            yes=args.yes,
        )
        if args.older_than < KEPT_DAYS:
            confirm(
                f"{args.older_than} days are less than the 5 months for which records of messages have to be kept "
                "(通信短信息服务管理规定). Really?",
                yes=args.yes and args.recent,
                option="--yes --recent",
            )
        with StatusLine("Forgetting") as line:
            purged = list(line.count(retention.purge(ledger, before), "campaigns"))
    recipients = sum(one.recipients for one in purged)
    note(f"{recipients:,} recipients of {len(purged):,} campaigns are forgotten.")
    return Exit.DONE


def restored(args: argparse.Namespace) -> Exit:
    """Make unknown what a ledger from a backup would still send."""
    with open_ledger(args) as ledger:
        confirm(
            "Did this ledger come back from a backup? Every recipient that it would still send to may have got the message "
            "since, becomes unknown, and is sent nothing before somebody resolves it. Stop all tasks that send first, and let "
            "none go on whose campaign was begun, or given more recipients, after the backup: the ledger does not know of that. "
            "Go on?",
            yes=args.yes,
        )
        with StatusLine("Making unknown what would be sent"):
            found = restore.restored(ledger, china_midnight(time.time()))
    for name in found.campaigns:
        note(f"Campaign {name!r} has unknown recipients: unknown list {name}")
    for name in found.paused:
        note(
            f"Campaign {name!r} was being loaded when the backup was taken, and is paused: look at it before you resume it. Which "
            "of its recipients are unknown shows when its audience has been loaded."
        )
    note(f"{found.recipients:,} recipients in {len(found.campaigns):,} campaigns became unknown.")
    return Exit.DONE
