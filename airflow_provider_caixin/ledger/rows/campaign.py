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
    PURGED_MEANWHILE,
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
    # What was tallied does not hold any more: reasons change also where counts do not.
    .values(tallied=None)
)

# A run that sends, or waits for an answer, ticks every quarter of a second; a ledger may be silent for a few.
ACTIVE_SECONDS: Final = 15.0

# In place of a classifier's fingerprint: a restored ledger does not know whom other rules let pass since.
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
    def lock(cls, connection: Connection, campaign_key: int) -> CampaignRow:
        """Lock a campaign's row."""
        return cls._of(connection.execute(_LOCK, {"key": campaign_key}).one()._mapping)

    @classmethod
    def read(cls, connection: Connection, campaign_key: int) -> CampaignRow:
        """Return a campaign's row without a lock."""
        row = sa.select(schema.campaign).where(schema.campaign.c.id == campaign_key)
        found = connection.execute(row).one()
        return cls._of(found._mapping)

    @classmethod
    def _of(cls, row: sa.RowMapping) -> CampaignRow:
        plain = {name: row[name] for name in cls.__slots__ if name != "counts"}
        return cls(**plain, counts={state: row[state.value] for state in State})

    def refuse_if_purged(self) -> None:
        """Check that the campaign's recipients are there.

        :raises CampaignPurged: when they were forgotten, also while this transaction waited for the lock.
        """
        if self.purged_at is not None:
            raise CampaignPurged(PURGED_MEANWHILE)

    def refuse_if_over(self, instead: str) -> None:
        """Check that the campaign may yet send something.

        :param instead: what can be done instead.
        :raises CampaignPurged: when the campaign's recipients were forgotten.
        :raises CancelledForGood: when the campaign was cancelled.
        """
        self.refuse_if_purged()
        if self.cancelled:
            raise CancelledForGood(f"The campaign was cancelled and sends nothing any more: {instead}.")

    def move(self, old: State | str, new: State | str, number: int = 1) -> None:
        """Count recipients that change their state."""
        self.counts[State(old)] -= number
        self.counts[State(new)] += number

    def save(self, connection: Connection) -> None:
        """Write counts and marks back, in the transaction that locked the row."""
        counts = {f"new_{state}": self.counts[state] for state in State}
        marks = {"new_quota_since": self.quota_since, "new_active_at": self.active_at}
        connection.execute(_SAVE, {"key": self.id, **marks, **counts})


def find_campaign(
    ledger: Ledger, connection: Connection, campaign_id: str, account_key: int, tpl_id: int, now: float
) -> int:
    """Return a campaign's key, making the campaign when there is none.

    :param now: the host's clock, kept as the time of making.
    :raises CampaignMismatch: when the id belongs to another template or account.
    :raises CampaignPurged: when its recipients were forgotten.
    """
    values = {
        "hash": digest(campaign_id),
        "campaign_id": campaign_id,
        "account": account_key,
        "tpl_id": tpl_id,
        "created_at": now,
    }
    connection.execute(ledger.insert_if_absent(schema.campaign), values)
    key = peek_campaign(connection, campaign_id, account_key, tpl_id)
    if key is None:
        raise LedgerError(
            f"campaign_id {campaign_id!r} vanished while it was being made: was the ledger emptied?"
        )
    return key


def peek_campaign(
    connection: Connection, campaign_id: str, account_key: int | None, tpl_id: int
) -> int | None:
    """Return a campaign's key; None: there is no such campaign.

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
    elif found.account != account_key:
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
    connection: Connection, campaign_key: int, origin: Origin | None, rate: float, loosened: Sequence[str]
) -> None:
    """Write who runs a campaign and how, for those who look at it.

    :param origin: the task; None: the command line, which takes a campaign from no task.
    :param rate: messages a second that the run is set to.
    :param loosened: a sentence for each rule that the run loosens.
    """
    values: dict[str, object] = {"rate": rate, "loosened": "\n".join(loosened) or None}
    if origin is not None:
        values |= origin._asdict()
    change = sa.update(schema.campaign).where(schema.campaign.c.id == campaign_key)
    connection.execute(change.values(values))


def note_classifier(ledger: Ledger, campaign_key: int, fingerprint: str) -> None:
    """Write which rules judged a load; loads that were judged by different ones are looked at again."""
    table = schema.campaign
    same = table.c.classified_by.in_([fingerprint, AS_RESTORED])
    noted = sa.case(
        (table.c.classified_by.is_(None), fingerprint), (same, table.c.classified_by), else_="mixed"
    )
    with ledger.writing() as connection:
        connection.execute(sa.update(table).where(table.c.id == campaign_key).values(classified_by=noted))


def set_classifier(ledger: Ledger, campaign_key: int, fingerprint: str) -> None:
    """Write that all of a campaign was judged by these rules."""
    change = sa.update(schema.campaign).where(schema.campaign.c.id == campaign_key)
    with ledger.writing() as connection:
        connection.execute(change.values(classified_by=fingerprint))


def known_campaign(connection: Connection, campaign_id: str) -> int:
    """Return the key of a campaign, whatever its template and account.

    :raises NoSuchCampaign: when the ledger has no such campaign.
    """
    key = sa.select(schema.campaign.c.id).where(schema.campaign.c.hash == digest(campaign_id))
    found = connection.execute(key).scalar_one_or_none()
    if found is None:
        raise NoSuchCampaign(
            f"campaign_id {campaign_id!r}: this ledger has no such campaign; check the name and the ledger."
        )
    return int(found)
