"""AppKeys in the ledger: whose each one is, noted and changed."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.admin.accounts import change_account, known_account
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.errors import (
    AccountExists,
    CampaignsUnderWay,
    LedgerUnavailable,
    NoSuchAccount,
    OnlyKey,
)
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows import load as load_rows
from airflow_provider_caixin.ledger.rows.account import AccountRow
from airflow_provider_caixin.ledger.rows.account_names import KnownAppKey
from airflow_provider_caixin.ledger.rows.campaign import ACTIVE_SECONDS
from airflow_provider_caixin.ledger.schema import digest


def has_keys(connection: Connection, name: str) -> bool:
    """Return whether the ledger knows an AppKey of the account of a name."""
    keys, accounts = schema.app_key, schema.account
    known = sa.select(keys.c.hash).join(accounts, accounts.c.id == keys.c.account)
    return connection.execute(known.where(accounts.c.hash == digest(name))).first() is not None


def owner_of(connection: Connection, app_key: KnownAppKey) -> str:
    """Return what the account is called that an AppKey belongs to, whatever its connection says.

    :raises NoSuchAccount: when nothing was sent with this AppKey.
    """
    return account_names.name_of(connection, _owner_key(connection, app_key))


def note_key(ledger: Ledger, name: str, app_key: KnownAppKey) -> None:
    """Note whose an AppKey is that the ledger does not know yet; one that is known stays whose it is.

    :raises NoSuchAccount: when there is none of the name.
    """
    with ledger.writing() as connection:
        values = {"hash": app_key.fingerprint, "account": known_account(connection, name)}
        connection.execute(ledger.insert_if_absent(schema.app_key), values)


def separate_account(ledger: Ledger, app_key: KnownAppKey, new: str, *, existing: bool = False) -> None:
    """Move an AppKey to another account, because it is the key of another account of Juhe's.

    What it has sent so far, and with it the caps, stays with the account that it leaves, while none of its
    campaigns is under way. Of pause, limit, rate and slow-down of the two the stricter holds for the other
    account.

    :param new: the other account's name.
    :param existing: it may be there already.
    :raises NoSuchAccount: when nothing was sent with this AppKey.
    :raises AccountExists: when there is an account of that name, and it may not be, or has the AppKey
        already.
    :raises OnlyKey: when the account has no other AppKey: it would begin anew.
    :raises CampaignsUnderWay: when a campaign of the account would go on with both AppKeys.
    """
    keys, connections = schema.app_key, schema.account_connection
    with ledger.writing() as connection:
        owner, there = _owner_key(connection, app_key), account_names.peek_account(connection, new)
        if there is not None and (not existing or there == owner):
            raise AccountExists(f"account {new!r} is there already: expected another name.")
        other = account_names.find_account(ledger, connection, new) if there is None else there
        rows = {one: AccountRow.open(connection, one) for one in sorted((owner, other))}
        # Others may have changed them before the locks were there.
        now_owner, now_there = _owner_key(connection, app_key), account_names.peek_account(connection, new)
        if (owner, other) != (now_owner, now_there):
            raise LedgerUnavailable(
                f"The AppKey of connection {app_key.conn_id!r} or account {new!r} changed this very moment."
            )
        more = sa.select(keys.c.hash).where(keys.c.account == owner, keys.c.hash != app_key.fingerprint)
        if connection.execute(more).first() is None:
            raise OnlyKey(
                f"account {account_names.name_of(connection, owner)!r} has no AppKey but that of connection {app_key.conn_id!r}, "
                "and one AppKey is one account. Rename it instead, or, where its own AppKey has not sent yet, let that one send "
                "first."
            )
        _refuse_if_under_way(connection, owner, ledger.now(connection))
        row = rows[other]
        row.absorb(replace(rows[owner], failures=0, last_sent_at=None, day=0.0, day_count=0))
        row.save(connection)
        change_account(connection, other, new, paused=row.paused, max_per_day=row.max_per_day)
        moved = sa.update(keys).where(keys.c.hash == app_key.fingerprint)
        connection.execute(moved.values(account=other))
        last = (connections.c.hash == digest(app_key.conn_id), connections.c.account == owner)
        connection.execute(sa.update(connections).where(*last).values(account=other))


def _owner_key(connection: Connection, app_key: KnownAppKey) -> int:
    owner = connection.execute(sa.select(account_names.owner_query(app_key))).scalar_one()
    if owner is None:
        raise NoSuchAccount(f"connection {app_key.conn_id!r}: nothing was sent with its AppKey.")
    return int(owner)


def _refuse_if_under_way(connection: Connection, account_key: int, now: float) -> None:
    campaign, load = schema.campaign, schema.load
    loading = sa.exists().where(load.c.campaign == campaign.c.id, load_rows.under_way(now))
    # With nobody pending a run may still send once more to those whose outcome is unknown.
    may_resend = sa.and_(campaign.c.unknown > 0, campaign.c.active_at > now - ACTIVE_SECONDS)
    goes_on = sa.or_(campaign.c.pending > 0, campaign.c.in_flight > 0, may_resend, loading)
    names = sa.select(campaign.c.campaign_id).where(
        campaign.c.account == account_key, campaign.c.purged_at.is_(None), goes_on
    )
    found = connection.execute(names.order_by(campaign.c.id).limit(1)).scalar_one_or_none()
    if found is not None:
        raise CampaignsUnderWay(
            f"campaign {found!r} of account {account_names.name_of(connection, account_key)!r} is under way: let it end, or "
            "cancel it, before the AppKey gets another account."
        )
