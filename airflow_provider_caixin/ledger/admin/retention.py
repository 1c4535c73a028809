"""Retention: the recipients of finished campaigns are forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.rows import lease as lease_rows
from airflow_provider_caixin.ledger.rows import recipient as recipient_rows
from airflow_provider_caixin.ledger.rows import tally as tallies
from airflow_provider_caixin.ledger.rows import traffic as traffic_rows
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.rows.load import being_loaded
from airflow_provider_caixin.vocabulary import SkipReason, State

_BATCH_ROWS: Final = 5_000

_campaign: Final = schema.campaign
_recipient: Final = schema.recipient


@dataclass(frozen=True, slots=True)
class Candidate:
    """A finished campaign that may be purged.

    :param ended_at: the last sign of life.
    :param recipients: how many it has.
    :param unknown: how many of them have an unknown outcome, which could not be resolved any more.
    """

    key: int
    campaign_id: str
    ended_at: float
    recipients: int
    unknown: int


def purgeable(ledger: Ledger, before: float) -> list[Candidate]:
    """Return the finished campaigns without a sign of life since a moment."""
    # What a cancelled one has left is skipped by its next run, which may never come.
    none_left = sa.or_(_campaign.c.pending == 0, _campaign.c.cancelled)
    over = sa.and_(sa.or_(_campaign.c.loaded_at.is_not(None), _campaign.c.cancelled), none_left)
    last_minute = (
        sa.select(sa.func.max(schema.traffic.c.minute) * traffic_rows.MINUTE_SECONDS)
        .where(schema.traffic.c.campaign == _campaign.c.id)
        .scalar_subquery()
    )
    signs = (_campaign.c.created_at, _campaign.c.loaded_at, _campaign.c.active_at, last_minute)
    columns = (_campaign.c.id, _campaign.c.campaign_id, *(_campaign.c[state.value] for state in State))
    statement = sa.select(*columns, *(sign.label(f"sign_{n}") for n, sign in enumerate(signs)))
    with ledger.reading() as connection:
        late = lease_rows.run_out_of_each(ledger.now(connection)).label("late")
        over_now = statement.add_columns(late).where(over, _campaign.c.purged_at.is_(None))
        rows = connection.execute(over_now.order_by(_campaign.c.id)).all()
    found = []
    for row in rows:
        ended_at = max(float(getattr(row, f"sign_{n}") or 0.0) for n in range(len(signs)))
        if ended_at < before:
            total = sum(getattr(row, state.value) for state in State)
            found.append(Candidate(row.id, row.campaign_id, ended_at, total, row.unknown + row.late))
    return found


def purge(ledger: Ledger, before: float) -> Iterator[Candidate]:
    """Forget the recipients of finished campaigns, and yield each campaign that was purged.

    Its id, counts and minutes stay, it sends nothing any more, and suppressions stay. A purge that was broken
    off goes on with the next one.

    :param before: only campaigns without a sign of life since. Frequency caps look back 7 days.
    """
    for candidate in purgeable(ledger, before):
        with ledger.reading() as connection:
            cancelled = CampaignRow.read(connection, candidate.key).cancelled
        if cancelled:
            recipient_rows.skip_pending(ledger, candidate.key, SkipReason.CANCELLED)
        with ledger.writing() as connection:
            row = CampaignRow.lock(connection, candidate.key)
            now = ledger.now(connection)
            # No run may ever come that writes whose answer was lost.
            if recipient_rows.expire_leases(connection, row, now):
                row.save(connection)
            if row.counts[State.PENDING] or row.counts[State.IN_FLIGHT] or row.purged_at is not None:
                continue
            # Nor one that is being loaded: its new recipients are in no count before the load is complete.
            if being_loaded(connection, row.id, now):
                continue
            # Nor one that has gone on and ended again since the look without a lock.
            if max(row.created_at, row.loaded_at or 0.0, row.active_at or 0.0) >= before:
                continue
            tallies.store(connection, row, tallies.tally(connection, row.id, now), now)
            purged = sa.update(_campaign).where(_campaign.c.id == row.id)
            connection.execute(purged.values(purged_at=now))
        yield candidate
    with ledger.reading() as connection:
        purged_keys = list(
            connection.execute(sa.select(_campaign.c.id).where(_campaign.c.purged_at.is_not(None))).scalars()
        )
    for key in purged_keys:
        while _forget(ledger, key) == _BATCH_ROWS:
            pass


def _forget(ledger: Ledger, campaign_key: int) -> int:
    with ledger.writing() as connection:
        few = sa.select(_recipient.c.id).where(_recipient.c.campaign == campaign_key).limit(_BATCH_ROWS)
        ids = list(connection.execute(few).scalars())
        if ids:
            connection.execute(sa.delete(_recipient).where(_recipient.c.id.in_(ids)))
        if len(ids) < _BATCH_ROWS:
            # A load names its audience by a hash, and that of a single number is found by trying all of them.
            connection.execute(sa.delete(schema.load).where(schema.load.c.campaign == campaign_key))
    return len(ids)
