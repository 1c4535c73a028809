"""The rows of loads: which are complete, and which recipients are visible."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.errors import PURGED_MEANWHILE, CampaignPurged
from airflow_provider_caixin.ledger.schema import FAR_AHEAD_SECONDS, digest
from airflow_provider_caixin.vocabulary import State

# Begins the source of a load that was broken off.
BROKEN_OFF: Final = "broken off/"
_LAST_POSITION: Final = 2**63 - 1
# A load's rows have positions of their own.
_POSITIONS: Final = 1 << 32

_load: Final = schema.load
_recipient: Final = schema.recipient


def complete_loads(connection: Connection, campaign_key: int) -> dict[int, str]:
    """Return the complete loads of a campaign in their order: by each one's key its source."""
    done = sa.select(_load.c.id, _load.c.source).where(_load.c.campaign == campaign_key, _load.c.done)
    return {row.id: row.source for row in connection.execute(done.order_by(_load.c.id))}


def is_of(source: str, loader: str) -> bool:
    """Return whether a source is a loader's; what it loaded stands behind the loader and a slash."""
    return source.startswith(f"{loader}/")


def was_loaded(connection: Connection, campaign_key: int, loader: str) -> bool:
    """Return whether a loader has completed any load of a campaign.

    :param loader: its sources without their fingerprint, which stands behind the last slash.
    """
    sources = complete_loads(connection, campaign_key).values()
    return any(source.rpartition("/")[0] == loader for source in sources)


def is_known(connection: Connection, campaign_key: int, source: str) -> bool:
    """Return whether a campaign has a load of this source, complete or not."""
    return connection.execute(_of_source(campaign_key, source)).first() is not None


def being_loaded(connection: Connection, campaign_key: int, now: float) -> bool:
    """Return whether a loader is at work on a campaign."""
    alive = sa.select(_load.c.id).where(_load.c.campaign == campaign_key, under_way(now))
    return connection.execute(alive.limit(1)).first() is not None


def under_way(now: float) -> sa.ColumnElement[bool]:
    """Return the condition that finds loads which a loader is at work on."""
    is_held = sa.and_(_load.c.owner.is_not(None), _load.c.lease.between(now, now + FAR_AHEAD_SECONDS))
    return sa.and_(~_load.c.done, is_held)


def is_unfinished(connection: Connection, campaign_key: int) -> bool:
    """Return whether some of a campaign's audience was to come when its loader was last heard of."""
    broken_off = _load.c.source.startswith(BROKEN_OFF, autoescape=True)
    begun = sa.select(_load.c.id).where(_load.c.campaign == campaign_key, ~_load.c.done, ~broken_off)
    return connection.execute(begun.limit(1)).first() is not None


def skipped_by_load(connection: Connection, campaign_key: int, source: str) -> dict[str, int]:
    """Return how many recipients a complete load skipped, by reason.

    :raises CampaignPurged: when they were forgotten since it was complete.
    """
    load_key = connection.execute(_of_source(campaign_key, source)).scalar_one_or_none()
    if load_key is None:
        raise CampaignPurged(PURGED_MEANWHILE)
    first, last = positions_of(load_key)
    per_reason = (
        sa.select(_recipient.c.reason, sa.func.count())
        .where(_recipient.c.campaign == campaign_key, _recipient.c.state == State.SKIPPED.value)
        .where(_recipient.c.position.between(first, last))
        .group_by(_recipient.c.reason)
    )
    return {str(reason): number for reason, number in connection.execute(per_reason)}


def _of_source(campaign_key: int, source: str) -> sa.Select[Any]:
    return sa.select(_load.c.id).where(_load.c.campaign == campaign_key, _load.c.hash == digest(source))


def is_alive(owner: str | None, lease: float, now: float) -> bool:
    """Return whether a load's owner still renews its lease."""
    return owner is not None and now <= lease <= now + FAR_AHEAD_SECONDS


def positions_of(load_key: int) -> tuple[int, int]:
    """Return the first and the last position of a load's rows."""
    return load_key * _POSITIONS, (load_key + 1) * _POSITIONS - 1


def visible_ranges(connection: Connection, campaign_key: int) -> list[tuple[int, int]]:
    """Return the positions that belong to complete loads, as (first, last) pairs in their order."""
    unfinished = sa.select(_load.c.id).where(_load.c.campaign == campaign_key, ~_load.c.done)
    ranges, first = [], 0
    for load_key in connection.execute(unfinished.order_by(_load.c.id)).scalars():
        hidden_first, hidden_last = positions_of(load_key)
        if first < hidden_first:
            ranges.append((first, hidden_first - 1))
        first = hidden_last + 1
    return [*ranges, (first, _LAST_POSITION)]


def visible(connection: Connection, campaign_key: int) -> sa.ColumnElement[bool]:
    """Return the condition that leaves out a campaign's recipients of loads that are not complete."""
    ranges = visible_ranges(connection, campaign_key)
    if ranges == [(0, _LAST_POSITION)]:
        return sa.true()
    return sa.or_(*(_recipient.c.position.between(*bounds) for bounds in ranges))


def hidden() -> sa.ColumnElement[bool]:
    """Return the condition that finds recipients of loads that are not complete, whatever their campaign."""
    first = _load.c.id * _POSITIONS
    return sa.exists().where(
        _load.c.campaign == _recipient.c.campaign,
        ~_load.c.done,
        _recipient.c.position.between(first, first + (_POSITIONS - 1)),
    )


def count_states(connection: Connection, campaign_key: int) -> dict[State, int]:
    """Return how many visible recipients of a campaign are in each state."""
    per_state = (
        sa.select(_recipient.c.state, sa.func.count())
        .where(_recipient.c.campaign == campaign_key, visible(connection, campaign_key))
        .group_by(_recipient.c.state)
    )
    found = {State(state): number for state, number in connection.execute(per_state)}
    return dict.fromkeys(State, 0) | found
