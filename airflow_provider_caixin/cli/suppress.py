"""People: every message to one of them, and the list of those who get none."""

from __future__ import annotations

import argparse
import itertools

from airflow_provider_caixin.audience import FileAudience, Segments, mask
from airflow_provider_caixin.audience.prefixes import carrier
from airflow_provider_caixin.audience.sources.shapes import LEGEND
from airflow_provider_caixin.campaign import DamagedRows, check_suppressions, import_suppressions
from airflow_provider_caixin.campaign.report import csv_pieces
from airflow_provider_caixin.cli.opening import number_of, open_book
from airflow_provider_caixin.cli.output import csv_file, moment, show, show_one
from airflow_provider_caixin.cli.terminal import Busy, Exit, Refused, confirm, say
from airflow_provider_caixin.ledger.admin import suppressions
from airflow_provider_caixin.ledger.views import recipients as recipient_views
from airflow_provider_caixin.session.readers import object_path


def show_number(args: argparse.Namespace) -> Exit:
    """
    List every message to a number.

    :param args: the command's.
    """
    number = number_of(args.number)
    with open_book(args) as ledger, Busy("Looking for the number"), ledger.reading() as connection:
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


def add(args: argparse.Namespace) -> Exit:
    """
    Put numbers on the suppression list.

    :param args: the command's.
    """
    numbers = [number_of(one) for one in args.numbers]
    with open_book(args, make=True) as ledger:
        new = suppressions.suppress(ledger, numbers, args.reason)
    say(f"{new:,} of {len(numbers):,} are new on the suppression list.")
    return Exit.DONE


def remove(args: argparse.Namespace) -> Exit:
    """
    Take numbers off the suppression list.

    :param args: the command's.
    """
    numbers = [number_of(one) for one in args.numbers]
    with open_book(args) as ledger:
        shown = ", ".join(map(mask, numbers))
        confirm(f"Take {shown} off the suppression list, so that campaigns reach them again?", yes=args.yes)
        removed = suppressions.release(ledger, numbers)
    say(f"{removed:,} of {len(numbers):,} were on the suppression list and are not any more.")
    return Exit.DONE if removed else Exit.NOTHING


def import_file(args: argparse.Namespace) -> Exit:
    """
    Put all numbers of a file on the suppression list, or only say what that would do.

    :param args: the command's.
    """
    listed = FileAudience(object_path(args.file), argument="suppress_file")
    if args.check:
        return _check_file(args, listed)
    with open_book(args, make=True) as ledger, Busy(f"Reading {args.file}"):
        try:
            new = import_suppressions(ledger, listed, args.reason or args.file)
        except DamagedRows as damaged:
            raise Refused(str(damaged), Exit.FAILED) from None
    say(f"{new:,} numbers are new on the suppression list.")
    return Exit.DONE


def _check_file(args: argparse.Namespace, listed: FileAudience) -> Exit:
    with open_book(args, make=True) as ledger, Busy(f"Reading {args.file}"):
        found = check_suppressions(ledger, listed)
    record = {
        "file": args.file,
        "numbers": found.numbers,
        "new": found.new,
        "not_mobile": found.others,
        "may_be_damaged": found.damaged,
    }
    show_one({**record, "damaged_rows": list(found.rows)}, args.output)
    if found.damaged:
        more = f" and {found.damaged - len(found.rows):,} more" if found.damaged > len(found.rows) else ""
        say(
            f"Rows that may be damaged numbers: {', '.join(found.rows)}{more} ({LEGEND}). A send with this list stops until they "
            "are mended or deleted."
        )
    elif found.others and not found.numbers:
        say("Not one row is a mobile number: a send with this list stops.")
    stops = found.damaged or (found.others and not found.numbers)
    return Exit.FAILED if stops else Exit.DONE


def list_suppressed(args: argparse.Namespace) -> Exit:
    """
    List the suppressed numbers.

    :param args: the command's.
    """
    with open_book(args) as ledger, Busy("Reading the suppression list") as busy:
        if args.file:
            rows = busy.count(suppressions.suppressed(ledger), "numbers written")
            cells = ((one.number, one.reason, moment(one.added_at)) for one in rows)
            with csv_file(args.file) as file:
                file.writelines(csv_pieces(("mobile", "reason", "added_at"), cells))
            return Exit.DONE
        found = list(itertools.islice(suppressions.suppressed(ledger), args.most + 1))
    show(
        [
            {"mobile": one.number, "reason": one.reason, "added_at": moment(one.added_at)}
            for one in found[: args.most]
        ],
        args.output,
    )
    if len(found) > args.most:
        say(f"There are more than {args.most:,}: raise --most, or write all of them with --file.")
    return Exit.DONE if found else Exit.NOTHING
