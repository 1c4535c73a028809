"""Accounts in the ledger: found, claimed by their AppKeys, paused, limited, renamed, merged."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.errors import (
    AccountExists,
    CampaignsUnderWay,
    LedgerUnavailable,
    NoSuchAccount,
    OnlyKey,
)
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows.account import AccountRow
from airflow_provider_caixin.ledger.rows.account_names import KnownAppKey
from airflow_provider_caixin.ledger.schema import digest
from airflow_provider_caixin.ledger.views.campaigns import ACTIVE_FOR

log = logging.getLogger(__name__)

_table: Final = schema.account


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
        key = account_names.find_account(ledger, connection, name)
        _change(connection, key, name, paused=paused)


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
        key = account_names.find_account(ledger, connection, name)
        _change(connection, key, name, max_per_day=max_per_day)


def _change(connection: Connection, account: int, known_as: str, /, **values: object) -> None:
    """Write columns of an account that was looked up by its name a moment ago."""
    same = (_table.c.id == account, _table.c.hash == digest(known_as))
    if not connection.execute(sa.update(_table).where(*same).values(values)).rowcount:
        raise LedgerUnavailable(f"Account {known_as!r} was renamed or merged this very moment.")


def has_keys(connection: Connection, name: str) -> bool:
    """
    Tell whether the ledger knows an AppKey of an account.

    :param connection: any transaction.
    :param name: the account's name.
    """
    table = schema.account_key
    known = sa.select(table.c.hash).join(_table, _table.c.id == table.c.account)
    return connection.execute(known.where(_table.c.hash == digest(name))).first() is not None


def note_key(ledger: Ledger, name: str, key: KnownAppKey) -> None:
    """
    Note whose an AppKey is that has not sent since the ledger knows of keys; one that is known stays whose it is.

    :param ledger: the ledger.
    :param name: the account's name.
    :param key: the AppKey of a connection that sends by it.
    :raises NoSuchAccount: when there is none of the name.
    """
    with ledger.writing() as connection:
        values = {"hash": key.fingerprint, "account": _known(connection, name)}
        connection.execute(ledger.insert_if_absent(schema.account_key), values)


def rename_account(ledger: Ledger, name: str, new: str) -> None:
    """
    Give an account another name; its campaigns, caps, rate and AppKeys go along.

    :param ledger: the ledger.
    :param name: the account's name.
    :param new: the name to take.
    :raises NoSuchAccount: when there is none of the old name.
    :raises AccountExists: when there is one of the new name; :func:`merge_accounts` makes the two one.
    """
    with ledger.writing() as connection:
        key = _known(connection, name)
        if account_names.peek_account(connection, new) is not None:
            raise AccountExists(f"account {new!r} is there already: merge the two, or take another name.")
        _change(connection, key, name, name=new, hash=digest(new))


def merge_accounts(ledger: Ledger, name: str, into: str) -> Account:
    """
    Merge an account into another, also while their campaigns run: campaigns, AppKeys, caps and the day's count become one.

    Of rate, limits and pause the stricter one holds.

    :param ledger: the ledger.
    :param name: the account that is no more afterwards.
    :param into: the one that stays.
    :return: the latter, as it is now.
    :raises NoSuchAccount: when there is none of either name.
    :raises ValueError: when both are one.
    """
    if name == into:
        raise ValueError(f"account {name!r} cannot be merged into itself.")
    with ledger.writing() as connection:
        both = sorted(_known(connection, one) for one in (name, into))
        lock = sa.select(_table.c.id).where(_table.c.id.in_(both)).order_by(_table.c.id).with_for_update()
        connection.execute(lock).all()
        # Others may have renamed or merged them before the locks were there.
        old, kept = _known(connection, name), _known(connection, into)
        if sorted((old, kept)) != both:
            raise LedgerUnavailable(f"Accounts {name!r} and {into!r} were renamed this very moment.")
        gate = AccountRow.open(connection, kept)
        gate.absorb(AccountRow.open(connection, old))
        gate.save(connection)
        _change(connection, kept, into, paused=gate.paused, max_per_day=gate.max_per_day)
        for table in (schema.account_key, schema.account_connection, schema.campaign):
            connection.execute(sa.update(table).where(table.c.account == old).values(account=kept))
        connection.execute(sa.delete(_table).where(_table.c.id == old))
        return next(one for one in accounts(connection) if one.id == kept)


def separate_account(ledger: Ledger, key: KnownAppKey, new: str, *, existing: bool = False) -> None:
    """
    Give an AppKey another account: what went on with its connection's account is another account of Juhe's.

    What it has sent so far, and with it the caps, stays with the account that it leaves, while none of its campaigns is under
    way. Of pause, limit, rate and slow-down of the two the stricter holds for the other account.

    :param ledger: the ledger.
    :param key: the connection's AppKey.
    :param new: the other account's name.
    :param existing: it may be there already.
    :raises NoSuchAccount: when nothing was sent with this AppKey.
    :raises AccountExists: when there is an account of that name, and it may not be, or has the AppKey already.
    :raises OnlyKey: when the account has no other AppKey: it would begin anew.
    :raises CampaignsUnderWay: when a campaign of the account would go on with both AppKeys.
    """
    table = schema.account_key
    with ledger.writing() as connection:
        owner, there = (
            account_names.owned_account(connection, key),
            account_names.peek_account(connection, new),
        )
        if there is not None and (not existing or there == owner):
            raise AccountExists(f"account {new!r} is there already: expected another name.")
        account = account_names.find_account(ledger, connection, new) if there is None else there
        gates = {one: AccountRow.open(connection, one) for one in sorted((owner, account))}
        if (owner, account) != (
            account_names.owned_account(connection, key),
            account_names.peek_account(connection, new),
        ):
            raise LedgerUnavailable(
                f"The AppKey of connection {key.conn_id!r} or account {new!r} changed this very moment."
            )
        others = sa.select(table.c.hash).where(table.c.account == owner, table.c.hash != key.fingerprint)
        if connection.execute(others).first() is None:
            raise OnlyKey(
                f"account {account_names.name_of(connection, owner)!r} has no AppKey but that of connection {key.conn_id!r}, and one AppKey "
                "is one account. Rename it instead, or, where its own AppKey has not sent yet, let that one send first."
            )
        _refuse_if_under_way(connection, owner, ledger.now(connection))
        gate = gates[account]
        gate.absorb(replace(gates[owner], failures=0, last_sent_at=None, day=0.0, day_count=0))
        gate.save(connection)
        _change(connection, account, new, paused=gate.paused, max_per_day=gate.max_per_day)
        connection.execute(sa.update(table).where(table.c.hash == key.fingerprint).values(account=account))
        last = schema.account_connection
        mine = (last.c.hash == digest(key.conn_id), last.c.account == owner)
        connection.execute(sa.update(last).where(*mine).values(account=account))


def _refuse_if_under_way(connection: Connection, account: int, now: float) -> None:
    table, load = schema.campaign, schema.load
    loading = sa.exists().where(
        load.c.campaign == table.c.id, ~load.c.done, load.c.lease.between(now, now + schema.FAR_AHEAD)
    )
    # With nobody pending a run may still ask for doubts once more.
    doubting = sa.and_(table.c.unknown > 0, table.c.active_at > now - ACTIVE_FOR)
    under_way = sa.or_(table.c.pending > 0, table.c.in_flight > 0, doubting, loading)
    names = sa.select(table.c.campaign_id).where(
        table.c.account == account, table.c.purged_at.is_(None), under_way
    )
    found = connection.execute(names.order_by(table.c.id).limit(1)).scalar_one_or_none()
    if found is not None:
        raise CampaignsUnderWay(
            f"campaign {found!r} of account {account_names.name_of(connection, account)!r} is under way: let it end, or cancel it, before the "
            "AppKey gets another account."
        )


def _known(connection: Connection, name: str) -> int:
    key = account_names.peek_account(connection, name)
    if key is None:
        raise NoSuchAccount(
            f"account {name!r}: this ledger has no such account; check the name and the ledger."
        )
    return key
