"""Accounts: list them, stop them, limit them, rename and separate them."""

from __future__ import annotations

import argparse
import re
import shlex
from typing import Any

from airflow_provider_caixin.china_time import china_midnight
from airflow_provider_caixin.cli.lookup import account_of, no_such_account, open_ledger, peek_settings
from airflow_provider_caixin.cli.output import moment, show, show_one
from airflow_provider_caixin.cli.terminal import Exit, Refused, confirm, note
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import accounts, app_keys
from airflow_provider_caixin.ledger.admin.accounts import Account
from airflow_provider_caixin.ledger.rows import account_names

# The name of an account that was given none.
_MADE_OF_A_KEY = re.compile("[0-9a-f]{16}")


def list_accounts(args: argparse.Namespace) -> Exit:
    """List the ledger's accounts."""
    with open_ledger(args) as ledger, ledger.reading() as connection:
        now = ledger.now(connection)
        found = accounts.accounts(connection)
    show([_row(account, now) for account in found], args.output)
    return Exit.DONE if found else Exit.NOTHING


def show_account(args: argparse.Namespace) -> Exit:
    """Show an account."""
    wanted = account_of(args)
    with open_ledger(args) as ledger, ledger.reading() as connection:
        name, now = wanted.name_in(ledger), ledger.now(connection)
        found = next((account for account in accounts.accounts(connection) if account.name == name), None)
    if found is None:
        raise no_such_account(name)
    show_one(_row(found, now), args.output)
    return Exit.DONE


def pause(args: argparse.Namespace) -> Exit:
    """Pause an account."""
    wanted = account_of(args)
    with open_ledger(args, make=not args.account) as ledger:
        _refuse_unknown(ledger, args)
        name = wanted.name_in(ledger)
        accounts.pause_account(ledger, name)
    note(f"Account {name!r} is paused: all its campaigns stop, and none starts.")
    return Exit.DONE


def resume(args: argparse.Namespace) -> Exit:
    """Let an account go on."""
    wanted = account_of(args)
    with open_ledger(args) as ledger:
        _refuse_unknown(ledger, args)
        name = wanted.name_in(ledger)
        accounts.pause_account(ledger, name, paused=False)
    note(f"Account {name!r} goes on.")
    return Exit.DONE


def limit(args: argparse.Namespace) -> Exit:
    """Limit how many messages an account may send in a China day."""
    wanted, text = account_of(args), args.limit.strip().lower()
    if text != "none" and not (text.isascii() and text.isdigit()):
        raise Refused(f"{args.limit!r}: expected a whole number from 0, or none.")
    most = None if text == "none" else int(text)
    with open_ledger(args, make=not args.account) as ledger:
        _refuse_unknown(ledger, args)
        name = wanted.name_in(ledger)
        accounts.limit_account(ledger, name, most)
    what = "what its connections say" if most is None else f"{most:,} messages"
    note(f"Account {name!r} may send {what} in a China day.")
    return Exit.DONE


def rename(args: argparse.Namespace) -> Exit:
    """Rename an account, or merge it into the one that has the name."""
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
                f"There is an account {new!r} already. Merge {name!r} into it, with its campaigns, caps and count of the day? "
                "That cannot be undone.",
                yes=args.yes,
            )
            merged = accounts.merge_accounts(ledger, name, new)
        else:
            accounts.rename_account(ledger, name, new)
        if wanted.key is not None:
            app_keys.note_key(ledger, new, wanted.key)
        with ledger.reading() as connection:
            keyless = not app_keys.has_keys(connection, new)
    note(f"Account {name!r} is {new!r} now: put it into the extra account of all its connections.")
    if keyless and _MADE_OF_A_KEY.fullmatch(name):
        note(
            "Do so before anything is sent: the ledger knows no AppKey of it yet, so a connection that gives no account would "
            "begin a new one."
        )
    if merged is not None and merged.paused:
        note(f"It is paused, as one of the two was: account resume --account {shlex.quote(new)}")
    if merged is not None and merged.max_per_day is not None:
        note(f"It may send {merged.max_per_day:,} messages in a China day, the lower of the two limits.")
    return Exit.DONE


def separate(args: argparse.Namespace) -> Exit:
    """Give a connection's AppKey an account of its own, or another one that is there."""
    settings, new = peek_settings(args), _new_name(args)
    if settings is None:
        raise Refused("Whose AppKey? Name its connection with --conn-id.")
    key = settings.known_app_key()
    with open_ledger(args) as ledger:
        with ledger.reading() as connection:
            name = app_keys.owner_of(connection, key)
            existing = account_names.peek_account(connection, new) is not None
        whose = f"account {new!r}, which is there already," if existing else f"a new account {new!r}"
        confirm(
            f"Does the AppKey of connection {key.conn_id!r} belong to another account at Juhe than {name!r}? With {whose} it has "
            f"caps, volume and a rate apart from {name!r}; what it has sent so far stays with {name!r}: of the caps of the last "
            "7 days nothing goes along.",
            yes=args.yes,
        )
        app_keys.separate_account(ledger, key, new, existing=existing)
    note(f'The AppKey is that of account {new!r}: put "account": "{new}" into the extra of its connections.')
    return Exit.DONE


def _new_name(args: argparse.Namespace) -> str:
    new = str(args.new).strip()
    if not new:
        raise Refused("The new name is empty: expected a name.")
    return new


def _refuse_unknown(ledger: Ledger, args: argparse.Namespace) -> None:
    """Refuse a name that was typed and that the ledger does not know; a connection's own may be new."""
    if args.account:
        with ledger.reading() as connection:
            if account_names.peek_account(connection, args.account) is None:
                raise no_such_account(args.account)


def _row(account: Account, now: float) -> dict[str, Any]:
    # The count is that of the last day with messages.
    today = account.day_count if account.day == china_midnight(now) else 0
    return {
        "account": account.name,
        "paused": account.paused,
        "max_per_day": account.max_per_day,
        "messages_today": today,
        "share_of_rate": account.pace,
        "failures_in_a_row": account.failures,
        "last_sent_at": moment(account.last_sent_at),
    }
