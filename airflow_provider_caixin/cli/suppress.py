"""The suppression list: add to it, import a file, take off it, list it."""

from __future__ import annotations

import argparse
import itertools

from airflow_provider_caixin.audience import FileAudience, mask
from airflow_provider_caixin.audience.sources.patterns import LEGEND
from airflow_provider_caixin.campaign import DamagedRows, check_suppressions, import_suppressions
from airflow_provider_caixin.campaign.report import csv_pieces
from airflow_provider_caixin.cli.lookup import open_ledger, read_number
from airflow_provider_caixin.cli.output import csv_file, moment, show, show_one
from airflow_provider_caixin.cli.terminal import Exit, Refused, StatusLine, confirm, note
from airflow_provider_caixin.ledger.admin import suppressions
from airflow_provider_caixin.session.readers import object_path


def add(args: argparse.Namespace) -> Exit:
    """Put numbers on the suppression list."""
    numbers = [read_number(one) for one in args.numbers]
    with open_ledger(args, make=True) as ledger:
        new = suppressions.suppress(ledger, numbers, args.reason)
    note(f"{new:,} of {len(numbers):,} are new on the suppression list.")
    return Exit.DONE


def remove(args: argparse.Namespace) -> Exit:
    """Take numbers off the suppression list."""
    numbers = [read_number(one) for one in args.numbers]
    with open_ledger(args) as ledger:
        shown = ", ".join(map(mask, numbers))
        confirm(f"Take {shown} off the suppression list, so that campaigns reach them again?", yes=args.yes)
        removed = suppressions.release(ledger, numbers)
    note(f"{removed:,} of {len(numbers):,} were on the suppression list and are not any more.")
    return Exit.DONE if removed else Exit.NOTHING


def import_file(args: argparse.Namespace) -> Exit:
    """Put all numbers of a file on the suppression list; with ``--check`` only show what that would do."""
    listed = FileAudience(object_path(args.file), argument="suppress_file")
    if args.check:
        return _check_file(args, listed)
    with open_ledger(args, make=True) as ledger, StatusLine(f"Reading {args.file}"):
        try:
            new = import_suppressions(ledger, listed, args.reason or args.file)
        except DamagedRows as damaged:
            raise Refused(str(damaged), Exit.FAILED) from None
    note(f"{new:,} numbers are new on the suppression list.")
    return Exit.DONE


def _check_file(args: argparse.Namespace, listed: FileAudience) -> Exit:
    with open_ledger(args, make=True) as ledger, StatusLine(f"Reading {args.file}"):
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
        note(
            f"Rows that may be damaged numbers: {', '.join(found.rows)}{more} ({LEGEND}). A send with this list stops until they "
            "are mended or deleted."
        )
    elif found.others and not found.numbers:
        note("Not one row is a mobile number: a send with this list stops.")
    stops = found.damaged or (found.others and not found.numbers)
    return Exit.FAILED if stops else Exit.DONE


def list_suppressed(args: argparse.Namespace) -> Exit:
    """List the suppressed numbers."""
    with open_ledger(args) as ledger, StatusLine("Reading the suppression list") as line:
        if args.file:
            rows = line.count(suppressions.suppressed(ledger), "numbers written")
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
        note(f"There are more than {args.most:,}: raise --most, or write all of them with --file.")
    return Exit.DONE if found else Exit.NOTHING
