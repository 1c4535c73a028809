"""Accounts in the ledger: listed, paused, limited, renamed, merged."""

from __future__ import annotations

from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.errors import AccountExists, LedgerUnavailable, NoSuchAccount
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows.account import AccountRow
from airflow_provider_caixin.ledger.schema import digest

_account: Final = schema.account


class Account(NamedTuple):
    """An account as it stands.

    :param id: its key.
    :param pace: the share of the configured rate that is in force.
    :param failures: channel failures in a row.
    :param last_sent_at: when the gateway last accepted a message.
    :param day: start of the China day that ``day_count`` counts.
    :param day_count: messages of that day that were, may have been or may yet be billed.
    :param max_per_day: what was set instead of the connections' own limit; None: nothing.
    """

    id: int
    name: str
    pace: float
    failures: int
    last_sent_at: float | None
    day: float
    day_count: int
    paused: bool
    max_per_day: int | None


def accounts(connection: Connection) -> list[Account]:
    """Return all accounts in the order of their names."""
    rows = connection.execute(sa.select(*(_account.c[name] for name in Account._fields)))
    return sorted((Account(*row) for row in rows), key=lambda account: account.name)


def pause_account(ledger: Ledger, name: str, *, paused: bool = True) -> None:
    """Pause or resume all campaigns of an account, also those that are yet to start.

    The account's row is made when there is none, so that a first campaign finds it paused.
    """
    with ledger.writing() as connection:
        change_account(connection, account_names.find_account(ledger, connection, name), name, paused=paused)


def limit_account(ledger: Ledger, name: str, max_per_day: int | None) -> None:
    """Set how many messages an account may send in a China day, also for campaigns that run: 量级：动态调整.

    It holds instead of ``max_per_day`` of the connections, whether it is more or less.

    :param max_per_day: from 0; None: the connections' own holds again.
    :raises ValueError: when it is below 0.
    """
    if max_per_day is not None and max_per_day < 0:
        raise ValueError(f"max_per_day {max_per_day}: expected a whole number from 0.")
    with ledger.writing() as connection:
        account_key = account_names.find_account(ledger, connection, name)
        change_account(connection, account_key, name, max_per_day=max_per_day)


def rename_account(ledger: Ledger, name: str, new: str) -> None:
    """Change the name of an account; its campaigns, caps, rate and AppKeys go along.

    :raises NoSuchAccount: when there is none of the old name.
    :raises AccountExists: when there is one of the new name; :func:`merge_accounts` makes the two one.
    """
    with ledger.writing() as connection:
        account_key = known_account(connection, name)
        if account_names.peek_account(connection, new) is not None:
            raise AccountExists(f"account {new!r} is there already: merge the two, or take another name.")
        change_account(connection, account_key, name, name=new, hash=digest(new))


def merge_accounts(ledger: Ledger, name: str, into: str) -> Account:
    """Merge an account into another, also while campaigns run: campaigns, AppKeys, caps and the day's count.

    Of rate, limits and pause the stricter one holds.

    :param name: the account that is no more afterwards.
    :param into: the one that stays.
    :return: the latter, as it is now.
    :raises NoSuchAccount: when there is none of either name.
    :raises ValueError: when both are one.
    """
    if name == into:
        raise ValueError(f"account {name!r} cannot be merged into itself.")
    with ledger.writing() as connection:
        both = sorted(known_account(connection, one) for one in (name, into))
        lock = sa.select(_account.c.id).where(_account.c.id.in_(both))
        connection.execute(lock.order_by(_account.c.id).with_for_update()).all()
        # Others may have renamed or merged them before the locks were there.
        gone, kept = known_account(connection, name), known_account(connection, into)
        if sorted((gone, kept)) != both:
            raise LedgerUnavailable(f"Accounts {name!r} and {into!r} were renamed this very moment.")
        row = AccountRow.open(connection, kept)
        row.absorb(AccountRow.open(connection, gone))
        row.save(connection)
        change_account(connection, kept, into, paused=row.paused, max_per_day=row.max_per_day)
        for table in (schema.app_key, schema.account_connection, schema.campaign):
            connection.execute(sa.update(table).where(table.c.account == gone).values(account=kept))
        connection.execute(sa.delete(_account).where(_account.c.id == gone))
        return next(one for one in accounts(connection) if one.id == kept)


def change_account(connection: Connection, account_key: int, known_as: str, /, **values: object) -> None:
    """Write columns of an account that was looked up by its name a moment ago.

    :raises LedgerUnavailable: when it has another name by now, or is no more.
    """
    same = (_account.c.id == account_key, _account.c.hash == digest(known_as))
    if not connection.execute(sa.update(_account).where(*same).values(values)).rowcount:
        raise LedgerUnavailable(f"Account {known_as!r} was renamed or merged this very moment.")


def known_account(connection: Connection, name: str) -> int:
    """Return the key of the account of a name.

    :raises NoSuchAccount: when there is none.
    """
    account_key = account_names.peek_account(connection, name)
    if account_key is None:
        raise NoSuchAccount(
            f"account {name!r}: this ledger has no such account; check the name and the ledger."
        )
    return account_key
