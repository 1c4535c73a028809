"""Accounts in the ledger: found, paused, limited, renamed."""

from __future__ import annotations

from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.database import Ledger, LedgerError
from airflow_provider_caixin.ledger.schema import digest

_table: Final = schema.account


class NoSuchAccount(LedgerError):
    """The ledger has no account of that name."""


class AccountExists(LedgerError):
    """An account of that name is there already."""


class Account(NamedTuple):
    """
    An account as it stands.

    :param id: its key.
    :param pace: the share of the configured rate that is in force.
    :param failures: channel failures in a row.
    :param last_sent_at: when the gateway last accepted a message.
    :param day: start of the China day that ``day_count`` counts.
    :param day_count: messages of that day that were, may have been or may yet be billed.
    :param max_per_day: what a person set instead of the connections' own limit; None: nothing.
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


def find_account(ledger: Ledger, connection: Connection, name: str) -> int:
    """
    Find an account's key, making its gate row when there is none.

    :param ledger: the ledger.
    :param connection: a writing transaction.
    :param name: the account's name: the connection's ``account``, else a hash of the AppKey.
    """
    connection.execute(ledger.insert_if_absent(schema.account), {"hash": digest(name), "name": name})
    key = sa.select(schema.account.c.id).where(schema.account.c.hash == digest(name))
    return int(connection.execute(key).scalar_one())


def peek_account(connection: Connection, name: str) -> int | None:
    """
    Find an account's key without making its gate row.

    :param connection: any transaction.
    :param name: the account's name.
    """
    key = sa.select(schema.account.c.id).where(schema.account.c.hash == digest(name))
    return connection.execute(key).scalar_one_or_none()


def accounts(connection: Connection) -> list[Account]:
    """
    Give all accounts in the order of their names.

    :param connection: any transaction.
    """
    columns = [_table.c[name] for name in Account._fields]
    rows = connection.execute(sa.select(*columns))
    return sorted((Account(*row) for row in rows), key=lambda account: account.name)


def pause_account(ledger: Ledger, name: str, *, paused: bool = True) -> None:
    """
    Pause or resume all campaigns of an account, also those that are yet to start.

    :param ledger: the ledger.
    :param name: the account's name; its row is made when there is none, so that a first campaign finds it paused.
    :param paused: False: go on.
    """
    with ledger.writing() as connection:
        key = find_account(ledger, connection, name)
        connection.execute(sa.update(_table).where(_table.c.id == key).values(paused=paused))


def limit_account(ledger: Ledger, name: str, max_per_day: int | None) -> None:
    """
    Set how many messages an account may send in a China day, also for campaigns that run: 量级：动态调整.

    It holds instead of ``max_per_day`` of the connections, whether it is more or less.

    :param ledger: the ledger.
    :param name: the account's name.
    :param max_per_day: from 0; None: the connections' own holds again.
    :raises ValueError: when it is below 0.
    """
    if max_per_day is not None and max_per_day < 0:
        raise ValueError(f"max_per_day {max_per_day}: expected a whole number from 0.")
    with ledger.writing() as connection:
        key = find_account(ledger, connection, name)
        connection.execute(sa.update(_table).where(_table.c.id == key).values(max_per_day=max_per_day))


def rename_account(ledger: Ledger, name: str, new: str) -> None:
    """
    Give an account another name; its campaigns, caps and rate go along.

    An account without a name of its own is called by a hash of its AppKey, so that a new key is a new account until it is renamed.

    :param ledger: the ledger.
    :param name: the account's name.
    :param new: the name to take.
    :raises NoSuchAccount: when there is none of the old name.
    :raises AccountExists: when there is one of the new name: two histories cannot become one.
    """
    with ledger.writing() as connection:
        key = peek_account(connection, name)
        if key is None:
            raise NoSuchAccount(
                f"account {name!r}: this ledger has no such account; check the name and the ledger."
            )
        if peek_account(connection, new) is not None:
            raise AccountExists(
                f"account {new!r} is there already, with campaigns of its own: give the connection's extra "
                f'"account" the value {name!r} instead.'
            )
        change = sa.update(_table).where(_table.c.id == key)
        connection.execute(change.values(name=new, hash=digest(new)))
