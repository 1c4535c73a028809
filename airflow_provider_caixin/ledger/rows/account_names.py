"""Whose an AppKey is, and which account a connection last sent by."""

from __future__ import annotations

import logging
import shlex
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.errors import KeyOfAnotherAccount, LedgerUnavailable, NoSuchAccount
from airflow_provider_caixin.ledger.schema import digest

log = logging.getLogger(__name__)

_table: Final = schema.account

NOTING: Final = sa.select(schema.meta.c.value).where(schema.meta.c.name == "uuid").with_for_update()


class KnownAppKey(NamedTuple):
    """
    What the ledger knows of a connection's AppKey, which is never the key itself.

    :param fingerprint: a digest of the key, as hexadecimal digits.
    :param conn_id: the connection's id.
    :param unnamed: what an account of this key is called whose connections give it no name.
    """

    fingerprint: str
    conn_id: str
    unnamed: str


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


def resolve_account(connection: Connection, name: str, key: KnownAppKey | None) -> int | None:
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


def open_account(ledger: Ledger, connection: Connection, name: str, key: KnownAppKey | None) -> int:
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
        connection.execute(NOTING)
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


def name_in_force(connection: Connection, name: str, key: KnownAppKey | None) -> str:
    """
    Say what the account is called that a connection sends by, or would.

    :param connection: any transaction.
    :param name: the account's name, as the connection says.
    :param key: the connection's AppKey; None: only the name counts.
    :raises KeyOfAnotherAccount: when the AppKey belongs to an account of another name.
    """
    found = resolve_account(connection, name, key)
    return name if found is None else name_of(connection, found)


def name_of(connection: Connection, account: int) -> str:
    """Return the name of an account."""
    found = connection.execute(sa.select(_table.c.name).where(_table.c.id == account)).scalar_one_or_none()
    if found is None:
        raise LedgerUnavailable("The account was merged into another this very moment.")
    return str(found)


def owner_of(connection: Connection, key: KnownAppKey) -> str:
    """
    Say what the account is called that an AppKey belongs to, whatever its connection says.

    :param connection: any transaction.
    :param key: the connection's AppKey.
    :raises NoSuchAccount: when nothing was sent with this AppKey.
    """
    return name_of(connection, owned_account(connection, key))


def refuse_if_separated(connection: Connection, campaign: int, key: KnownAppKey | None) -> None:
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
    owner, account = connection.execute(sa.select(owner_query(key), whose)).one()
    if owner is not None and owner != account:
        raise KeyOfAnotherAccount(
            f"The AppKey of connection {key.conn_id!r} was given to account {name_of(connection, owner)!r} meanwhile, and the "
            f"campaign is one of account {name_of(connection, account)!r}: cancel it and give a new one its own campaign_id."
        )


def owned_account(connection: Connection, key: KnownAppKey) -> int:
    """Return the key of the account that an AppKey belongs to."""
    owner = connection.execute(sa.select(owner_query(key))).scalar_one()
    if owner is None:
        raise NoSuchAccount(f"connection {key.conn_id!r}: nothing was sent with its AppKey.")
    return int(owner)


def owner_query(key: KnownAppKey) -> sa.ScalarSelect[int]:
    """Build the query for the account that an AppKey belongs to."""
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
    def of(cls, connection: Connection, name: str, key: KnownAppKey) -> _Seen:
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
        return cls(*connection.execute(sa.select(named, owner_query(key), unnamed, last)).one())

    def account(self, connection: Connection, name: str, key: KnownAppKey) -> int | None:
        """Say which account that is, see :func:`resolve_account`."""
        gives_none = name == key.unnamed and self.named is None
        # Ledgers of older versions know no keys, but a name that was made of this one.
        owner = self.unnamed if self.owner is None else self.owner
        if owner is None:
            return self.last if gives_none else self.named
        if owner == self.named or gives_none:
            return owner
        raise KeyOfAnotherAccount(_one_account(connection, owner, name, key, merge=self.named is not None))


def _one_account(connection: Connection, owner: int, name: str, key: KnownAppKey, *, merge: bool) -> str:
    """Say why a name is refused, and the ways out."""
    theirs = name_of(connection, owner)
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


def _separate(name: str, key: KnownAppKey) -> str:
    return f"airflow caixin account separate {shlex.quote(name)} --conn-id {shlex.quote(key.conn_id)}"


def _tell(
    connection: Connection, key: KnownAppKey, last: int, account: int, name: str, *, named: bool
) -> None:
    """Tell of an AppKey that is new to the ledger, on a connection that has sent before."""
    if account != last:
        log.warning(
            "Connection %r has a new AppKey and sent by account %r so far; by account %r it has other caps and another rate. If "
            "both are one account of Juhe's, merge them: %s",
            *(key.conn_id, name_of(connection, last), name),
            _rename(name_of(connection, last), name),
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
