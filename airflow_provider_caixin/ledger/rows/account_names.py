"""The account that a connection sends by: found by name, by AppKey, and by what it sent by last."""

from __future__ import annotations

import logging
import shlex
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.errors import KeyOfAnotherAccount, LedgerUnavailable
from airflow_provider_caixin.ledger.schema import digest

log = logging.getLogger(__name__)

_account: Final = schema.account

_LOCK_ALL: Final = sa.select(schema.meta.c.value).where(schema.meta.c.name == "uuid").with_for_update()


class KnownAppKey(NamedTuple):
    """What the ledger knows of a connection's AppKey, which is never the key itself.

    :param fingerprint: a digest of the key, as hexadecimal digits.
    :param unnamed: what an account of this key is called whose connections give it no name.
    """

    fingerprint: str
    conn_id: str
    unnamed: str


def find_account(ledger: Ledger, connection: Connection, name: str) -> int:
    """Return the key of the account of a name, making its row when there is none."""
    connection.execute(ledger.insert_if_absent(schema.account), {"hash": digest(name), "name": name})
    key = sa.select(_account.c.id).where(_account.c.hash == digest(name))
    return int(connection.execute(key).scalar_one())


def peek_account(connection: Connection, name: str) -> int | None:
    """Return the key of the account of a name; None: there is none."""
    key = sa.select(_account.c.id).where(_account.c.hash == digest(name))
    return connection.execute(key).scalar_one_or_none()


def resolve_account(connection: Connection, name: str, app_key: KnownAppKey | None) -> int | None:
    """Return the key of the account that a connection sends by, writing nothing; None: it is not there yet.

    A name that the connection gives has to be that of its AppKey's account. Without one the account is the
    AppKey's, and a new AppKey goes on with the account that the connection sent by so far.

    :param name: the account's name, as the connection says.
    :param app_key: None: only the name counts.
    :raises KeyOfAnotherAccount: when the AppKey belongs to an account of another name.
    """
    if app_key is None:
        return peek_account(connection, name)
    return _Seen.of(connection, name, app_key).account(connection, name, app_key)


def open_account(ledger: Ledger, connection: Connection, name: str, app_key: KnownAppKey | None) -> int:
    """Return :func:`resolve_account`, making the account when there is none, and note whose the AppKey is.

    :param app_key: None: only the name counts, and nothing is noted.
    :raises KeyOfAnotherAccount: when the AppKey belongs to an account of another name.
    """
    if app_key is None:
        return find_account(ledger, connection, name)
    seen = _Seen.of(connection, name, app_key)
    found = seen.account(connection, name, app_key)
    if found is None or seen.owner is None or seen.last != found:
        # Whoever has something to note does it alone: in rows that are yet to be made two would lock each
        # other out.
        connection.execute(_LOCK_ALL)
    lock = sa.select(_account.c.name).where(_account.c.id == sa.bindparam("key")).with_for_update()
    while True:
        seen = _Seen.of(connection, name, app_key)
        found = seen.account(connection, name, app_key)
        account_key = find_account(ledger, connection, name) if found is None else found
        # It may have been merged into another meanwhile.
        if locked := connection.execute(lock, {"key": account_key}).one_or_none():
            break
    if seen.owner is None:
        connection.execute(sa.insert(schema.app_key).values(hash=app_key.fingerprint, account=account_key))
    table, connection_hash = schema.account_connection, digest(app_key.conn_id)
    if seen.last is None:
        values = {"hash": connection_hash, "conn_id": app_key.conn_id, "account": account_key}
        connection.execute(sa.insert(table).values(values))
    elif seen.last != account_key:
        change = sa.update(table).where(table.c.hash == connection_hash)
        connection.execute(change.values(account=account_key))
    if seen.owner is None and seen.last is not None:
        has_name = name != app_key.unnamed
        _log_new_key(connection, app_key, seen.last, account_key, locked.name, has_name=has_name)
    return account_key


def name_in_force(connection: Connection, name: str, app_key: KnownAppKey | None) -> str:
    """Return what the account is called that a connection sends by, or would: see :func:`resolve_account`.

    :raises KeyOfAnotherAccount: when the AppKey belongs to an account of another name.
    """
    found = resolve_account(connection, name, app_key)
    return name if found is None else name_of(connection, found)


def name_of(connection: Connection, account_key: int) -> str:
    """Return the name of an account.

    :raises LedgerUnavailable: when the account is no more.
    """
    name = sa.select(_account.c.name).where(_account.c.id == account_key)
    found = connection.execute(name).scalar_one_or_none()
    if found is None:
        raise LedgerUnavailable("The account was merged into another this very moment.")
    return str(found)


def refuse_if_separated(connection: Connection, campaign_key: int, app_key: KnownAppKey | None) -> None:
    """Check that an AppKey still belongs to the account of a campaign that was opened with it.

    :param app_key: None: only the name counts.
    :raises KeyOfAnotherAccount: when it was given to another account meanwhile.
    """
    if app_key is None:
        return
    whose = sa.select(schema.campaign.c.account).where(schema.campaign.c.id == campaign_key).scalar_subquery()
    owner, account_key = connection.execute(sa.select(owner_query(app_key), whose)).one()
    if owner is not None and owner != account_key:
        raise KeyOfAnotherAccount(
            f"The AppKey of connection {app_key.conn_id!r} was given to account {name_of(connection, owner)!r} meanwhile, and "
            f"the campaign is one of account {name_of(connection, account_key)!r}: cancel it and give a new one its own "
            "campaign_id."
        )


def owner_query(app_key: KnownAppKey) -> sa.ScalarSelect[int]:
    """Return the query for the account that an AppKey belongs to."""
    table = schema.app_key
    return sa.select(table.c.account).where(table.c.hash == app_key.fingerprint).scalar_subquery()


class _Seen(NamedTuple):
    """What is known of a name and an AppKey, read at one moment: keys of accounts.

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
    def of(cls, connection: Connection, name: str, app_key: KnownAppKey) -> _Seen:
        """Read it in one statement: in several, what others do meanwhile would contradict itself."""
        by_name, by_key = (
            sa.select(_account.c.id).where(_account.c.hash == digest(one)) for one in (name, app_key.unnamed)
        )
        # A row that a command made and that says nothing is nobody's account yet.
        had = sa.exists().where(schema.campaign.c.account == _account.c.id)
        used = sa.or_(had, _account.c.paused, _account.c.max_per_day.is_not(None))
        named, unnamed = by_name.scalar_subquery(), by_key.where(used).scalar_subquery()
        table = schema.account_connection
        last = sa.select(table.c.account).where(table.c.hash == digest(app_key.conn_id)).scalar_subquery()
        return cls(*connection.execute(sa.select(named, owner_query(app_key), unnamed, last)).one())

    def account(self, connection: Connection, name: str, app_key: KnownAppKey) -> int | None:
        """Return which account that is, see :func:`resolve_account`."""
        gives_none = name == app_key.unnamed and self.named is None
        # Ledgers of older versions know no keys, but a name that was made of this one.
        owner = self.unnamed if self.owner is None else self.owner
        if owner is None:
            return self.last if gives_none else self.named
        if owner == self.named or gives_none:
            return owner
        raise KeyOfAnotherAccount(_refusal(connection, owner, name, app_key, merge=self.named is not None))


def _refusal(connection: Connection, owner: int, name: str, app_key: KnownAppKey, *, merge: bool) -> str:
    """Return the sentence why a name is refused, with the ways out."""
    theirs = name_of(connection, owner)
    if merge and name == app_key.unnamed:
        ways = f"Merge the two: {_rename_command(name, theirs)}"
    elif merge:
        ways = f"Merge the two: {_rename_command(theirs, name)}"
    else:
        ways = (
            f'Put "account": "{theirs}" into the extra of connection {app_key.conn_id!r}, or give the account the new name: '
            f"{_rename_command(theirs, name)}"
        )
    keys = sa.select(schema.app_key.c.hash).where(schema.app_key.c.account == owner).limit(2)
    if len(connection.execute(keys).all()) > 1:
        ways += (
            f" If the key is not one of account {theirs!r}, take it out: {_separate_command(name, app_key)}"
        )
    return (
        f"account {name!r}: the AppKey of connection {app_key.conn_id!r} belongs to account {theirs!r} of this ledger, and one AppKey "
        f"is one account: rate, caps and volume are counted once. {ways}"
    )


def _rename_command(name: str, new: str) -> str:
    return f"airflow caixin account rename {shlex.quote(new)} --account {shlex.quote(name)}"


def _separate_command(name: str, app_key: KnownAppKey) -> str:
    return f"airflow caixin account separate {shlex.quote(name)} --conn-id {shlex.quote(app_key.conn_id)}"


def _log_new_key(
    connection: Connection, app_key: KnownAppKey, last: int, account_key: int, name: str, *, has_name: bool
) -> None:
    """Write to the log that an AppKey is new to the ledger, on a connection that has sent before."""
    if account_key != last:
        log.warning(
            "Connection %r has a new AppKey and sent by account %r so far; by account %r it has other caps and another rate. If "
            "both are one account of Juhe's, merge them: %s",
            *(app_key.conn_id, name_of(connection, last), name),
            _rename_command(name_of(connection, last), name),
        )
    elif has_name:
        log.info("Connection %r has a new AppKey; account %r goes on.", app_key.conn_id, name)
    else:
        log.warning(
            "Connection %r has a new AppKey and gives its account no name; account %r, by which it sent so far, goes on with its "
            'campaigns, caps and volume. Put "account": "%s" into the extra of every connection with this AppKey, so that it '
            "stays so. If it is another account of Juhe's, separate it: %s",
            *(app_key.conn_id, name, name),
            _separate_command("NAME", app_key),
        )
