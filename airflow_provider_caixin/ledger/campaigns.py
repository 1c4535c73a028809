"""Campaigns in the ledger: who owns an id, its flags, and its counts by state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.database import Ledger, LedgerError
from airflow_provider_caixin.ledger.schema import State, digest

_LOCK: Final = sa.select(schema.campaign).where(schema.campaign.c.id == sa.bindparam("key")).with_for_update()
_SAVE: Final = (
    sa.update(schema.campaign)
    .where(schema.campaign.c.id == sa.bindparam("key"))
    .values({state.value: sa.bindparam(f"new_{state}") for state in State})
    .values(quota_since=sa.bindparam("new_quota_since"))
)


class CampaignMismatch(LedgerError):
    """The campaign id belongs to a campaign with another template or account."""


@dataclass(slots=True)
class CampaignRow:
    """A campaign's row, locked for the length of one transaction when :meth:`lock` made it."""

    id: int
    account: int
    paused: bool
    cancelled: bool
    loaded_at: float | None
    created_at: float
    quota_since: float | None
    classified_by: str | None
    counts: dict[State, int] = field(default_factory=dict)

    @classmethod
    def lock(cls, connection: Connection, key: int) -> CampaignRow:
        """
        Lock a campaign's row; the gate's row is locked before it, the recipients' after it.

        :param connection: a writing transaction.
        :param key: the campaign's surrogate key.
        """
        return cls._of(connection.execute(_LOCK, {"key": key}).one()._mapping)

    @classmethod
    def read(cls, connection: Connection, key: int) -> CampaignRow:
        """
        Read a campaign's row without a lock.

        :param connection: any transaction.
        :param key: the campaign's surrogate key.
        """
        found = connection.execute(sa.select(schema.campaign).where(schema.campaign.c.id == key)).one()
        return cls._of(found._mapping)

    @classmethod
    def _of(cls, row: sa.RowMapping) -> CampaignRow:
        plain = {name: row[name] for name in cls.__slots__ if name != "counts"}
        return cls(**plain, counts={state: row[state.value] for state in State})

    def move(self, old: State | str, new: State | str, number: int = 1) -> None:
        """
        Count recipients that change their state.

        :param old: the state they leave.
        :param new: the state they take.
        :param number: how many.
        """
        self.counts[State(old)] -= number
        self.counts[State(new)] += number

    def save(self, connection: Connection) -> None:
        """
        Write counts and quota mark back.

        :param connection: the transaction that locked the row.
        """
        counts = {f"new_{state}": self.counts[state] for state in State}
        connection.execute(_SAVE, {"key": self.id, "new_quota_since": self.quota_since, **counts})


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


def find_campaign(
    ledger: Ledger, connection: Connection, campaign_id: str, account: int, tpl_id: int, now: float
) -> int:
    """
    Find a campaign's key, making the campaign when there is none.

    :param ledger: the ledger.
    :param connection: a writing transaction.
    :param campaign_id: the campaign's name, of any length.
    :param account: the account's key.
    :param tpl_id: the template.
    :param now: the host's clock, kept as the time of making.
    :raises CampaignMismatch: when the id belongs to another template or account.
    """
    table = schema.campaign
    values = {"hash": digest(campaign_id), "campaign_id": campaign_id, "account": account, "tpl_id": tpl_id}
    connection.execute(ledger.insert_if_absent(table), {**values, "created_at": now})
    key = peek_campaign(connection, campaign_id, account, tpl_id)
    if key is None:
        raise LedgerError(
            f"campaign_id {campaign_id!r} vanished while it was being made: was the ledger emptied?"
        )
    return key


def peek_account(connection: Connection, name: str) -> int | None:
    """
    Find an account's key without making its gate row.

    :param connection: any transaction.
    :param name: the account's name.
    """
    key = sa.select(schema.account.c.id).where(schema.account.c.hash == digest(name))
    return connection.execute(key).scalar_one_or_none()


def peek_campaign(connection: Connection, campaign_id: str, account: int | None, tpl_id: int) -> int | None:
    """
    Find a campaign's key without making the campaign.

    :param connection: any transaction.
    :param campaign_id: the campaign's name.
    :param account: the account's key.
    :param tpl_id: the template.
    :raises CampaignMismatch: when the id belongs to another template or account.
    """
    table = schema.campaign
    owner = sa.select(table.c.id, table.c.tpl_id, table.c.account).where(table.c.hash == digest(campaign_id))
    found = connection.execute(owner).one_or_none()
    if found is None:
        return None
    if found.tpl_id != tpl_id:
        other = f"template {found.tpl_id}, not {tpl_id}"
    elif found.account != account:
        other = "another account"
    else:
        return int(found.id)
    raise CampaignMismatch(
        f"campaign_id {campaign_id!r} belongs to a campaign with {other}. A campaign has one template and one "
        "account: cancel that campaign, take the report of who is left as the next audience_file, and give "
        "the new campaign its own campaign_id."
    )


def note_classifier(ledger: Ledger, campaign: int, fingerprint: str) -> None:
    """
    Remember which rules judged a load; loads that were judged by different ones are looked at again.

    :param ledger: the ledger.
    :param campaign: the campaign's key.
    :param fingerprint: the classifier's.
    """
    table = schema.campaign
    others = sa.case((table.c.classified_by == fingerprint, fingerprint), else_="mixed")
    noted = sa.case((table.c.classified_by.is_(None), fingerprint), else_=others)
    with ledger.writing() as connection:
        connection.execute(sa.update(table).where(table.c.id == campaign).values(classified_by=noted))


def set_classifier(ledger: Ledger, campaign: int, fingerprint: str) -> None:
    """
    Remember that all of a campaign was judged by these rules.

    :param ledger: the ledger.
    :param campaign: the campaign's key.
    :param fingerprint: the classifier's.
    """
    table = schema.campaign
    with ledger.writing() as connection:
        connection.execute(sa.update(table).where(table.c.id == campaign).values(classified_by=fingerprint))
