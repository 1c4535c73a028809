"""Accounts in the ledger: found, claimed by their AppKeys, paused, limited, renamed, merged."""

from __future__ import annotations

import logging
import shlex
from dataclasses import replace
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.catalogue import ACTIVE_FOR
from airflow_provider_caixin.ledger.database import Ledger, LedgerError, LedgerUnavailable
from airflow_provider_caixin.ledger.gate import Gate
from airflow_provider_caixin.ledger.schema import digest

log = logging.getLogger(__name__)

_table: Final = schema.account
_NOTING: Final = sa.select(schema.meta.c.value).where(schema.meta.c.name == "uuid").with_for_update()


class NoSuchAccount(LedgerError):
    """The ledger has no account of that name."""


class AccountExists(LedgerError):
    """An account of that name is there already."""


class KeyOfAnotherAccount(LedgerError):
    """The AppKey has sent under another account's name: one AppKey is one account."""


class OnlyKey(LedgerError):
    """The account has one AppKey, which cannot be taken from it."""


class CampaignsUnderWay(LedgerError):
    """A campaign of the account is not finished."""


class AccountKey(NamedTuple):
    """
    What the ledger knows of a connection's AppKey, which is never the key itself.

    :param fingerprint: a digest of the key, as hexadecimal digits.
    :param conn_id: the connection's id.
    :param unnamed: what an account of this key is called whose connections give it no name.
    """

    fingerprint: str
    conn_id: str
    unnamed: str


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


def resolve_account(connection: Connection, name: str, key: AccountKey | None) -> int | None:
    """
    Find the key of the account that a connection sends by, without making or noting anything; None: it is not there yet.

    A name that the connection gives has to be that of its AppKey's account. Without one the account is the AppKey's, and a
    new AppKey goes on with the account that the connection sent by so far.

    :param connection: any transaction.
    :param name: the account's name, as the connection says.
    :param key: the connection's AppKey; None: only the name counts.
    :raises KeyOfAnotherAccount: when the AppKey belongs to an account of another name.
    """
    if key is None:
        return peek_account(connection, name)
    seen = _Seen.of(connection, name, key)
    return seen.account(connection, name, key)


def open_account(ledger: Ledger, connection: Connection, name: str, key: AccountKey | None) -> int:
    """
    Find the key of the account that a connection is about to send by, making it when there is none, and note whose the AppKey is.

    :param ledger: the ledger.
    :param connection: a writing transaction.
    :param name: the account's name, as the connection says.
    :param key: the connection's AppKey; None: only the name counts, and nothing is noted.
    :raises KeyOfAnotherAccount: when the AppKey belongs to an account of another name.
    """
    if key is None:
        return find_account(ledger, connection, name)
    seen = _Seen.of(connection, name, key)
    found = seen.account(connection, name, key)
    if found is None or seen.owner is None or seen.last != found:
        # Whoever has something to note does it alone: in rows that are yet to be made two would lock each other out.
        connection.execute(_NOTING)
    lock = sa.select(_table.c.name).where(_table.c.id == sa.bindparam("key")).with_for_update()
    while True:
        seen = _Seen.of(connection, name, key)
        found = seen.account(connection, name, key)
        account = find_account(ledger, connection, name) if found is None else found
        # It may have been merged into another meanwhile.
        if locked := connection.execute(lock, {"key": account}).one_or_none():
            break
    if seen.owner is None:
        connection.execute(sa.insert(schema.account_key).values(hash=key.fingerprint, account=account))
    table, mine = schema.account_connection, digest(key.conn_id)
    if seen.last is None:
        connection.execute(sa.insert(table).values(hash=mine, conn_id=key.conn_id, account=account))
    elif seen.last != account:
        connection.execute(sa.update(table).where(table.c.hash == mine).values(account=account))
    if seen.owner is None and seen.last is not None:
        _tell(connection, key, seen.last, account, locked.name, named=name != key.unnamed)
    return account


def name_in_force(connection: Connection, name: str, key: AccountKey | None) -> str:
    """
    Say what the account is called that a connection sends by, or would.

    :param connection: any transaction.
    :param name: the account's name, as the connection says.
    :param key: the connection's AppKey; None: only the name counts.
    :raises KeyOfAnotherAccount: when the AppKey belongs to an account of another name.
    """
    found = resolve_account(connection, name, key)
    return name if found is None else _name_of(connection, found)


def _name_of(connection: Connection, account: int) -> str:
    found = connection.execute(sa.select(_table.c.name).where(_table.c.id == account)).scalar_one_or_none()
    if found is None:
        raise LedgerUnavailable("The account was merged into another this very moment.")
    return str(found)


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
        key = find_account(ledger, connection, name)
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


def note_key(ledger: Ledger, name: str, key: AccountKey) -> None:
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
        if peek_account(connection, new) is not None:
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
        gate = Gate.open(connection, kept)
        gate.absorb(Gate.open(connection, old))
        gate.save(connection)
        _change(connection, kept, into, paused=gate.paused, max_per_day=gate.max_per_day)
        for table in (schema.account_key, schema.account_connection, schema.campaign):
            connection.execute(sa.update(table).where(table.c.account == old).values(account=kept))
        connection.execute(sa.delete(_table).where(_table.c.id == old))
        return next(one for one in accounts(connection) if one.id == kept)


def owner_of(connection: Connection, key: AccountKey) -> str:
    """
    Say what the account is called that an AppKey belongs to, whatever its connection says.

    :param connection: any transaction.
    :param key: the connection's AppKey.
    :raises NoSuchAccount: when nothing was sent with this AppKey.
    """
    return _name_of(connection, _owned(connection, key))


def refuse_if_separated(connection: Connection, campaign: int, key: AccountKey | None) -> None:
    """
    Make sure that an AppKey still belongs to the account of a campaign that was opened with it.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param key: the connection's AppKey; None: only the name counts.
    :raises KeyOfAnotherAccount: when it was given to another account meanwhile.
    """
    if key is None:
        return
    whose = sa.select(schema.campaign.c.account).where(schema.campaign.c.id == campaign).scalar_subquery()
    owner, account = connection.execute(sa.select(_owner(key), whose)).one()
    if owner is not None and owner != account:
        raise KeyOfAnotherAccount(
            f"The AppKey of connection {key.conn_id!r} was given to account {_name_of(connection, owner)!r} meanwhile, and the "
            f"campaign is one of account {_name_of(connection, account)!r}: cancel it and give a new one its own campaign_id."
        )


def separate_account(ledger: Ledger, key: AccountKey, new: str, *, existing: bool = False) -> None:
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
        owner, there = _owned(connection, key), peek_account(connection, new)
        if there is not None and (not existing or there == owner):
            raise AccountExists(f"account {new!r} is there already: expected another name.")
        account = find_account(ledger, connection, new) if there is None else there
        gates = {one: Gate.open(connection, one) for one in sorted((owner, account))}
        if (owner, account) != (_owned(connection, key), peek_account(connection, new)):
            raise LedgerUnavailable(
                f"The AppKey of connection {key.conn_id!r} or account {new!r} changed this very moment."
            )
        others = sa.select(table.c.hash).where(table.c.account == owner, table.c.hash != key.fingerprint)
        if connection.execute(others).first() is None:
            raise OnlyKey(
                f"account {_name_of(connection, owner)!r} has no AppKey but that of connection {key.conn_id!r}, and one AppKey "
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
            f"campaign {found!r} of account {_name_of(connection, account)!r} is under way: let it end, or cancel it, before the "
            "AppKey gets another account."
        )


def _owned(connection: Connection, key: AccountKey) -> int:
    owner = connection.execute(sa.select(_owner(key))).scalar_one()
    if owner is None:
        raise NoSuchAccount(f"connection {key.conn_id!r}: nothing was sent with its AppKey.")
    return int(owner)


def _known(connection: Connection, name: str) -> int:
    key = peek_account(connection, name)
    if key is None:
        raise NoSuchAccount(
            f"account {name!r}: this ledger has no such account; check the name and the ledger."
        )
    return key


def _owner(key: AccountKey) -> sa.ScalarSelect[int]:
    table = schema.account_key
    return sa.select(table.c.account).where(table.c.hash == key.fingerprint).scalar_subquery()


class _Seen(NamedTuple):
    """
    What is known of a name and an AppKey, read at one moment: accounts' keys.

    :param named: the account of that name.
    :param owner: the AppKey's.
    :param unnamed: the one whose name was made of the AppKey, where it has campaigns, is paused or limited.
    :param last: the one that the connection sent by last.
    """

    named: int | None
    owner: int | None
    unnamed: int | None
    last: int | None

    @classmethod
    def of(cls, connection: Connection, name: str, key: AccountKey) -> _Seen:
        """Read it: in several statements what others do meanwhile would contradict itself."""
        by_name, by_key = (
            sa.select(_table.c.id).where(_table.c.hash == digest(one)) for one in (name, key.unnamed)
        )
        # A row that a command made and that says nothing is nobody's account yet.
        had = sa.exists().where(schema.campaign.c.account == _table.c.id)
        used = sa.or_(had, _table.c.paused, _table.c.max_per_day.is_not(None))
        named, unnamed = by_name.scalar_subquery(), by_key.where(used).scalar_subquery()
        table = schema.account_connection
        last = sa.select(table.c.account).where(table.c.hash == digest(key.conn_id)).scalar_subquery()
        return cls(*connection.execute(sa.select(named, _owner(key), unnamed, last)).one())

    def account(self, connection: Connection, name: str, key: AccountKey) -> int | None:
        """Say which account that is, see :func:`resolve_account`."""
        gives_none = name == key.unnamed and self.named is None
        # Ledgers of older versions know no keys, but a name that was made of this one.
        owner = self.unnamed if self.owner is None else self.owner
        if owner is None:
            return self.last if gives_none else self.named
        if owner == self.named or gives_none:
            return owner
        raise KeyOfAnotherAccount(_one_account(connection, owner, name, key, merge=self.named is not None))


def _one_account(connection: Connection, owner: int, name: str, key: AccountKey, *, merge: bool) -> str:
    """Say why a name is refused, and the ways out."""
    theirs = _name_of(connection, owner)
    if merge and name == key.unnamed:
        ways = f"Merge the two: {_rename(name, theirs)}"
    elif merge:
        ways = f"Merge the two: {_rename(theirs, name)}"
    else:
        ways = (
            f'Put "account": "{theirs}" into the extra of connection {key.conn_id!r}, or give the account the new name: '
            f"{_rename(theirs, name)}"
        )
    keys = sa.select(schema.account_key.c.hash).where(schema.account_key.c.account == owner).limit(2)
    if len(connection.execute(keys).all()) > 1:
        ways += f" If the key is not one of account {theirs!r}, take it out: {_separate(name, key)}"
    return (
        f"account {name!r}: the AppKey of connection {key.conn_id!r} belongs to account {theirs!r} of this ledger, and one AppKey "
        f"is one account: rate, caps and volume are counted once. {ways}"
    )


def _rename(name: str, new: str) -> str:
    return f"airflow caixin account rename {shlex.quote(new)} --account {shlex.quote(name)}"


def _separate(name: str, key: AccountKey) -> str:
    return f"airflow caixin account separate {shlex.quote(name)} --conn-id {shlex.quote(key.conn_id)}"


def _tell(
    connection: Connection, key: AccountKey, last: int, account: int, name: str, *, named: bool
) -> None:
    """Tell of an AppKey that is new to the ledger, on a connection that has sent before."""
    if account != last:
        log.warning(
            "Connection %r has a new AppKey and sent by account %r so far; by account %r it has other caps and another rate. If "
            "both are one account of Juhe's, merge them: %s",
            *(key.conn_id, _name_of(connection, last), name),
            _rename(_name_of(connection, last), name),
        )
    elif named:
        log.info("Connection %r has a new AppKey; account %r goes on.", key.conn_id, name)
    else:
        log.warning(
            "Connection %r has a new AppKey and gives its account no name; account %r, by which it sent so far, goes on with its "
            'campaigns, caps and volume. Put "account": "%s" into the extra of every connection with this AppKey, so that it '
            "stays so. If it is another account of Juhe's, separate it: %s",
            *(key.conn_id, name, name),
            _separate("NAME", key),
        )
