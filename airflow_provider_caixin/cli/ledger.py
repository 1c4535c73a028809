"""The ledger's books: accounts, usage, and looking after the ledger itself."""

from __future__ import annotations

import argparse
import re
import shlex
import time
from datetime import datetime
from typing import Any

from airflow_provider_caixin.china_time import CHINA, DAY_SECONDS, china_midnight, start_of_day
from airflow_provider_caixin.cli.lookup import account_of, open_ledger, peek_settings
from airflow_provider_caixin.cli.output import moment, show, show_one
from airflow_provider_caixin.cli.terminal import Exit, Refused, StatusLine, confirm, note
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import accounts as ledger_accounts
from airflow_provider_caixin.ledger.admin import restore, retention
from airflow_provider_caixin.ledger.admin.accounts import Account
from airflow_provider_caixin.ledger.rows import names as account_names
from airflow_provider_caixin.ledger.views import checks
from airflow_provider_caixin.ledger.views import usage as usage_views

# What the rules for SMS services (通信短信息服务管理规定) ask to be kept.
KEPT_DAYS = 153
# The name of an account that was given none.
_MADE_OF_A_KEY = re.compile("[0-9a-f]{16}")


def accounts(args: argparse.Namespace) -> Exit:
    """
    List the ledger's accounts.

    :param args: the command's.
    """
    with open_ledger(args) as ledger, ledger.reading() as connection:
        now = ledger.now(connection)
        found = ledger_accounts.accounts(connection)
    show([_line(one, now) for one in found], args.output)
    return Exit.DONE if found else Exit.NOTHING


def show_account(args: argparse.Namespace) -> Exit:
    """
    Show an account.

    :param args: the command's.
    """
    wanted = account_of(args)
    with open_ledger(args) as ledger, ledger.reading() as connection:
        name, now = wanted.name_in(ledger), ledger.now(connection)
        found = next((one for one in ledger_accounts.accounts(connection) if one.name == name), None)
    if found is None:
        raise _no_account(name)
    show_one(_line(found, now), args.output)
    return Exit.DONE


def pause_account(args: argparse.Namespace) -> Exit:
    """
    Pause an account.

    :param args: the command's.
    """
    wanted = account_of(args)
    with open_ledger(args, make=not args.account) as ledger:
        _refuse_unknown(ledger, args)
        name = wanted.name_in(ledger)
        ledger_accounts.pause_account(ledger, name)
    note(f"Account {name!r} is paused: all its campaigns stop, and none starts.")
    return Exit.DONE


def resume_account(args: argparse.Namespace) -> Exit:
    """
    Let an account go on.

    :param args: the command's.
    """
    wanted = account_of(args)
    with open_ledger(args) as ledger:
        _refuse_unknown(ledger, args)
        name = wanted.name_in(ledger)
        ledger_accounts.pause_account(ledger, name, paused=False)
    note(f"Account {name!r} goes on.")
    return Exit.DONE


def rename_account(args: argparse.Namespace) -> Exit:
    """
    Rename an account, or merge it into the one that has the name.

    :param args: the command's.
    """
    wanted, new = account_of(args), _new_name(args)
    merged: Account | None = None
    with open_ledger(args) as ledger:
        name = wanted.name_in(ledger)
        if name == new:
            raise Refused(f"Account {name!r} has that name already: expected another one.")
        with ledger.reading() as connection:
            both = all(account_names.peek_account(connection, one) is not None for one in (name, new))
        if both:
            confirm(
                f"There is an account {new!r} already. Merge {name!r} into it, with its campaigns, caps and count of the day? That "
                "cannot be undone.",
                yes=args.yes,
            )
            merged = ledger_accounts.merge_accounts(ledger, name, new)
        else:
            ledger_accounts.rename_account(ledger, name, new)
        if wanted.key is not None:
            ledger_accounts.note_key(ledger, new, wanted.key)
        with ledger.reading() as connection:
            keyless = not ledger_accounts.has_keys(connection, new)
    note(f"Account {name!r} is {new!r} now: put it into the extra account of all its connections.")
    if keyless and _MADE_OF_A_KEY.fullmatch(name):
        note(
            "Do so before anything is sent: the ledger knows no AppKey of it yet, so a connection that gives no account would begin "
            "a new one."
        )
    if merged is not None and merged.paused:
        note(f"It is paused, as one of the two was: account resume --account {shlex.quote(new)}")
    if merged is not None and merged.max_per_day is not None:
        note(
            f"It may send {merged.max_per_day:,} messages in a China day, the lower of the limits that were set."
        )
    return Exit.DONE


def separate_account(args: argparse.Namespace) -> Exit:
    """
    Give a connection's AppKey an account of its own, or another one that is there.

    :param args: the command's.
    """
    settings, new = peek_settings(args), _new_name(args)
    if settings is None:
        raise Refused("Whose AppKey? Name its connection with --conn-id.")
    key = settings.account_key()
    with open_ledger(args) as ledger:
        with ledger.reading() as connection:
            name = account_names.owner_of(connection, key)
            existing = account_names.peek_account(connection, new) is not None
        whose = f"account {new!r}, which is there already," if existing else f"a new account {new!r}"
        confirm(
            f"Is the AppKey of connection {key.conn_id!r} that of another account of Juhe's than {name!r} is? With {whose} it has "
            f"caps, volume and a rate apart from {name!r}; what it has sent so far stays with {name!r}: of the caps of the last 7 "
            "days nothing goes along.",
            yes=args.yes,
        )
        ledger_accounts.separate_account(ledger, key, new, existing=existing)
    note(f'The AppKey is that of account {new!r}: put "account": "{new}" into the extra of its connections.')
    return Exit.DONE


def _new_name(args: argparse.Namespace) -> str:
    new = str(args.new).strip()
    if not new:
        raise Refused("The new name is empty: expected a name.")
    return new


def limit_account(args: argparse.Namespace) -> Exit:
    """
    Limit an account's day.

    :param args: the command's.
    """
    wanted, text = account_of(args), args.limit.strip().lower()
    if text != "none" and not (text.isascii() and text.isdigit()):
        raise Refused(f"{args.limit!r}: expected a whole number from 0, or none.")
    limit = None if text == "none" else int(text)
    with open_ledger(args, make=not args.account) as ledger:
        _refuse_unknown(ledger, args)
        name = wanted.name_in(ledger)
        ledger_accounts.limit_account(ledger, name, limit)
    what = "what its connections say" if limit is None else f"{limit:,} messages"
    note(f"Account {name!r} may send {what} in a China day.")
    return Exit.DONE


def usage(args: argparse.Namespace) -> Exit:
    """
    Add up what was billed and what may have been.

    :param args: the command's.
    """
    today = datetime.now(CHINA).date()
    last = args.last or today
    first = args.first or last.replace(day=1)
    if first > last:
        raise Refused(f"--from {first} is after --to {last}: expected them in their order.")
    with open_ledger(args) as ledger, StatusLine("Adding up"), ledger.reading() as connection:
        account = None
        if args.account:
            account = account_names.peek_account(connection, args.account)
            if account is None:
                raise _no_account(args.account)
        span, now = (start_of_day(first), start_of_day(last) + DAY_SECONDS), ledger.now(connection)
        rows = usage_views.usage(connection, args.by, *span, now, account=account)
    named: list[dict[str, Any]] = [
        {args.by: row.name, "billed": row.billed, "possibly_billed": row.possibly} for row in rows
    ]
    if args.output in ("table", "plain"):
        for row in named:
            row[args.by] = row[args.by] or "(command line)"
        if named:
            sums = {name: sum(row[name] for row in named) for name in ("billed", "possibly_billed")}
            named.append({args.by: "total", **sums})
    show(named, args.output)
    return Exit.DONE if named else Exit.NOTHING


def info(args: argparse.Namespace) -> Exit:
    """
    Say what the ledger is and holds.

    :param args: the command's.
    """
    with open_ledger(args) as ledger, StatusLine("Counting the rows"):
        found = checks.info(ledger)
        place = ledger.engine.url.render_as_string(hide_password=True)
    record = {"ledger": place, "uuid": found.uuid, "dialect": found.dialect, "version": found.version}
    people = [{"property": name, "value": value} for name, value in {**record, **found.rows}.items()]
    show_one({**record, "rows": found.rows}, args.output, people)
    return Exit.DONE


def check(args: argparse.Namespace) -> Exit:
    """
    Count everything anew.

    :param args: the command's.
    """
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
    """
    Forget the recipients of finished campaigns.

    :param args: the command's.
    """
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
        doubts = sum(one.unknown for one in found)
        forgotten = (
            f" {doubts:,} of them are in doubt and could never be resolved any more." if doubts else ""
        )
        confirm(
            f"Forget {recipients:,} recipients of {len(found):,} campaigns, finished by {moment(before)}?{forgotten} Their counts stay.",
            yes=args.yes,
        )
        if args.older_than < KEPT_DAYS:
            confirm(
                f"{args.older_than} days are less than the 5 months for which records of messages have to be kept "
                "(通信短信息服务管理规定). Really?",
                yes=args.yes and args.recent,
                option="--yes --recent",
            )
        with StatusLine("Forgetting") as busy:
            purged = list(busy.count(retention.purge(ledger, before), "campaigns"))
    recipients = sum(one.recipients for one in purged)
    note(f"{recipients:,} recipients of {len(purged):,} campaigns are forgotten.")
    return Exit.DONE


def restored(args: argparse.Namespace) -> Exit:
    """
    Doubt what a ledger from a backup would still send.

    :param args: the command's.
    """
    with open_ledger(args) as ledger:
        confirm(
            "Did this ledger come back from a backup? Whoever it would still send to may have got the message since, becomes "
            "unknown, and is sent nothing before somebody resolves it. Stop all tasks that send first, and let none go on whose "
            "campaign was begun, or given more people, after the backup: the ledger does not know of that. Go on?",
            yes=args.yes,
        )
        with StatusLine("Doubting what would be sent"):
            found = restore.restored(ledger, china_midnight(time.time()))
    for name in found.campaigns:
        note(f"Campaign {name!r} has recipients in doubt: unknown list {name}")
    for name in found.paused:
        note(
            f"Campaign {name!r} was being loaded when the backup was taken, and is paused: look at it before you resume it. Whom of "
            "it is in doubt shows when its audience has been loaded."
        )
    note(f"{found.recipients:,} recipients in {len(found.campaigns):,} campaigns became unknown.")
    return Exit.DONE


def _line(one: Account, now: float) -> dict[str, Any]:
    # The count is that of the last day with messages.
    today = one.day_count if one.day == china_midnight(now) else 0
    return {
        "account": one.name,
        "paused": one.paused,
        "max_per_day": one.max_per_day,
        "messages_today": today,
        "share_of_rate": one.pace,
        "failures_in_a_row": one.failures,
        "last_sent_at": moment(one.last_sent_at),
    }


def _refuse_unknown(ledger: Ledger, args: argparse.Namespace) -> None:
    """Refuse a name that a person typed and the ledger does not know; a connection's own may be new."""
    if args.account:
        with ledger.reading() as connection:
            if account_names.peek_account(connection, args.account) is None:
                raise _no_account(args.account)


def _no_account(name: str) -> Refused:
    return Refused(f"account {name!r}: this ledger has no such account; see account list.")
