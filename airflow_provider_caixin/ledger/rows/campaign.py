"""Campaigns in the ledger: who owns an id, its flags, and its counts by state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.errors import (
    CampaignMismatch,
    CampaignPurged,
    CancelledForGood,
    LedgerError,
    LedgerUnavailable,
    NoSuchCampaign,
)
from airflow_provider_caixin.ledger.schema import digest
from airflow_provider_caixin.vocabulary import State

_LOCK: Final = sa.select(schema.campaign).where(schema.campaign.c.id == sa.bindparam("key")).with_for_update()
_SAVE: Final = (
    sa.update(schema.campaign)
    .where(schema.campaign.c.id == sa.bindparam("key"))
    .values({state.value: sa.bindparam(f"new_{state}") for state in State})
    .values(quota_since=sa.bindparam("new_quota_since"), active_at=sa.bindparam("new_active_at"))
    # Whatever was tallied is another's business from now on: reasons change also where counts do not.
    .values(tallied=None)
)


# In place of a classifier's fingerprint: a restored ledger does not know whom other rules have let pass since.
AS_RESTORED: Final = "as restored"


class Origin(NamedTuple):
    """The task of Airflow that runs a campaign."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


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
    active_at: float | None
    purged_at: float | None
    tallied: float | None
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

    def refuse_if_purged(self) -> None:
        """
        Make sure that the campaign's recipients are there.

        :raises CampaignPurged: when they were forgotten, also while this transaction waited for the lock.
        """
        if self.purged_at is not None:
            raise CampaignPurged(
                "The campaign's recipients were purged meanwhile; it sends nothing any more."
            )

    def refuse_if_over(self, instead: str) -> None:
        """
        Make sure that somebody can be sent something yet.

        :param instead: what a person may do.
        :raises CampaignPurged: when the campaign's recipients were forgotten.
        :raises CancelledForGood: when the campaign was cancelled.
        """
        self.refuse_if_purged()
        if self.cancelled:
            raise CancelledForGood(f"The campaign was cancelled and sends nothing any more: {instead}.")

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
        Write counts and marks back.

        :param connection: the transaction that locked the row.
        """
        counts = {f"new_{state}": self.counts[state] for state in State}
        marks = {"new_quota_since": self.quota_since, "new_active_at": self.active_at}
        connection.execute(_SAVE, {"key": self.id, **marks, **counts})


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
    :raises CampaignPurged: when its recipients were forgotten.
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


def peek_campaign(connection: Connection, campaign_id: str, account: int | None, tpl_id: int) -> int | None:
    """
    Find a campaign's key without making the campaign.

    :param connection: any transaction.
    :param campaign_id: the campaign's name.
    :param account: the account's key.
    :param tpl_id: the template.
    :raises CampaignMismatch: when the id belongs to another template or account.
    :raises CampaignPurged: when its recipients were forgotten.
    """
    table = schema.campaign
    columns = (table.c.id, table.c.tpl_id, table.c.account, table.c.purged_at)
    owner = sa.select(*columns).where(table.c.hash == digest(campaign_id))
    found = connection.execute(owner).one_or_none()
    if found is None:
        return None
    if found.purged_at is not None:
        raise CampaignPurged(
            f"campaign_id {campaign_id!r} belongs to a campaign that is over and whose recipients were purged from the ledger: "
            "whom it reached is not known any more, so it sends nothing. Give the new campaign its own campaign_id."
        )
    if found.tpl_id != tpl_id:
        other = f"template {found.tpl_id}, not {tpl_id}"
    elif found.account != account:
        whose = sa.select(schema.account.c.name).where(schema.account.c.id == found.account)
        name = connection.execute(whose).scalar_one_or_none()
        if name is None:
            raise LedgerUnavailable("The campaign's account was merged into another this very moment.")
        other = f"another account, {name!r}"
    else:
        return int(found.id)
    raise CampaignMismatch(
        f"campaign_id {campaign_id!r} belongs to a campaign with {other}. A campaign has one template and one "
        "account: cancel that campaign, take the report of who is left as the next audience_file, and give "
        "the new campaign its own campaign_id."
    )


def note_run(
    connection: Connection, campaign: int, origin: Origin | None, rate: float, loosened: Sequence[str]
) -> None:
    """
    Remember who runs a campaign and how, for people who look at it.

    :param connection: a writing transaction.
    :param campaign: the campaign's key.
    :param origin: the task; None: the command line, which takes a campaign from no task.
    :param rate: messages a second that the run is set to.
    :param loosened: a sentence for each rule that the run loosens.
    """
    values: dict[str, object] = {"rate": rate, "loosened": "\n".join(loosened) or None}
    if origin is not None:
        values |= origin._asdict()
    change = sa.update(schema.campaign).where(schema.campaign.c.id == campaign)
    connection.execute(change.values(values))


def note_classifier(ledger: Ledger, campaign: int, fingerprint: str) -> None:
    """
    Remember which rules judged a load; loads that were judged by different ones are looked at again.

    :param ledger: the ledger.
    :param campaign: the campaign's key.
    :param fingerprint: the classifier's.
    """
    table = schema.campaign
    same = table.c.classified_by.in_([fingerprint, AS_RESTORED])
    noted = sa.case(
        (table.c.classified_by.is_(None), fingerprint), (same, table.c.classified_by), else_="mixed"
    )
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


def known_campaign(connection: Connection, campaign_id: str) -> int:
    """
    Find the key of a campaign that is there, whatever its template and account.

    :param connection: any transaction.
    :param campaign_id: the campaign's name.
    :raises NoSuchCampaign: when the ledger has no such campaign.
    """
    key = sa.select(schema.campaign.c.id).where(schema.campaign.c.hash == digest(campaign_id))
    found = connection.execute(key).scalar_one_or_none()
    if found is None:
        raise NoSuchCampaign(
            f"campaign_id {campaign_id!r}: this ledger has no such campaign; check the name and the ledger."
        )
    return int(found)
