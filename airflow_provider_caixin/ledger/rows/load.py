"""The rows of loads: which are complete, and which recipients are visible."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.schema import FAR_AHEAD, digest
from airflow_provider_caixin.vocabulary import State

_LAST: Final = 2**63 - 1

BROKEN_OFF: Final = "broken off/"


def complete_sources(connection: Connection, campaign: int) -> list[str]:
    """
    Give the sources of a campaign's complete loads.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    """
    table = schema.load
    done = sa.select(table.c.source).where(table.c.campaign == campaign, table.c.done)
    return list(connection.execute(done).scalars())


def is_of(source: str, loader: str) -> bool:
    """
    Tell whether a source is a loader's, whatever it loaded.

    :param source: a load's.
    :param loader: who loads; behind it a slash parts what is loaded.
    """
    return source.startswith(f"{loader}/")


def was_loaded(connection: Connection, campaign: int, loader: str) -> bool:
    """
    Tell whether a loader has completed any load of a campaign.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param loader: its sources without their fingerprint, which stands behind the last slash.
    """
    return any(source.rpartition("/")[0] == loader for source in complete_sources(connection, campaign))


def is_known(connection: Connection, campaign: int, source: str) -> bool:
    """
    Tell whether a campaign has a load of this name, complete or not.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param source: who loads what.
    """
    table = schema.load
    named = sa.select(table.c.id).where(table.c.campaign == campaign, table.c.hash == digest(source))
    return connection.execute(named).first() is not None


def being_loaded(connection: Connection, campaign: int, now: float) -> bool:
    """
    Tell whether a loader is at work on a campaign.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param now: the ledger's clock.
    """
    table = schema.load
    alive = sa.select(table.c.id).where(
        table.c.campaign == campaign,
        ~table.c.done,
        table.c.owner.is_not(None),
        table.c.lease.between(now, now + FAR_AHEAD),
    )
    return connection.execute(alive.limit(1)).first() is not None


def is_unfinished(connection: Connection, campaign: int) -> bool:
    """
    Tell whether some of a campaign's audience was to come when its loader was last heard of.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    """
    table = schema.load
    begun = sa.select(table.c.id).where(
        table.c.campaign == campaign, ~table.c.done, ~table.c.source.startswith(BROKEN_OFF, autoescape=True)
    )
    return connection.execute(begun.limit(1)).first() is not None


def skipped_by_load(connection: Connection, campaign: int, source: str) -> dict[str, int]:
    """
    Count the recipients of a complete load that it skipped, by reason.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param source: who loaded what.
    """
    load, rows = schema.load, schema.recipient
    known = sa.select(load.c.id).where(load.c.campaign == campaign, load.c.hash == digest(source))
    first, last = positions_of(connection.execute(known).scalar_one())
    per_reason = (
        sa.select(rows.c.reason, sa.func.count())
        .where(rows.c.campaign == campaign, rows.c.state == State.SKIPPED.value)
        .where(rows.c.position.between(first, last))
        .group_by(rows.c.reason)
    )
    return {str(reason): number for reason, number in connection.execute(per_reason)}


def visible_ranges(connection: Connection, campaign: int) -> list[tuple[int, int]]:
    """
    Give the positions that belong to complete loads, as (first, last) pairs in their order.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    """
    ranges, first = [], 0
    for hidden, last in _hidden(connection, campaign):
        if first < hidden:
            ranges.append((first, hidden - 1))
        first = last + 1
    return [*ranges, (first, _LAST)]


def _hidden(connection: Connection, campaign: int) -> list[tuple[int, int]]:
    table = schema.load
    unfinished = sa.select(table.c.id).where(table.c.campaign == campaign, ~table.c.done).order_by(table.c.id)
    return [positions_of(load) for load in connection.execute(unfinished).scalars()]


def is_alive(owner: str | None, lease: float, now: float) -> bool:
    """Return whether a load's owner still renews its lease."""
    return owner is not None and now <= lease <= now + FAR_AHEAD


def positions_of(load: int) -> tuple[int, int]:
    """Return the first and the last position of a load's rows."""
    return load << 32, ((load + 1) << 32) - 1


def hidden() -> sa.ColumnElement[bool]:
    """Give the condition that finds recipients of loads that are not complete, whatever their campaign."""
    table, rows = schema.load, schema.recipient
    first = table.c.id * (1 << 32)
    return sa.exists().where(
        table.c.campaign == rows.c.campaign,
        ~table.c.done,
        rows.c.position.between(first, first + ((1 << 32) - 1)),
    )


def count_states(connection: Connection, campaign: int) -> dict[State, int]:
    """
    Count a campaign's recipients by state, leaving out loads that are not complete.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    """
    table = schema.recipient
    counts = dict.fromkeys(State, 0)
    per_state = (
        sa.select(table.c.state, sa.func.count())
        .where(table.c.campaign == campaign, visible(connection, campaign))
        .group_by(table.c.state)
    )
    counts.update({State(state): number for state, number in connection.execute(per_state)})
    return counts


def visible(connection: Connection, campaign: int) -> sa.ColumnElement[bool]:
    """
    Give the condition that leaves out recipients of loads that are not complete.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    """
    ranges = visible_ranges(connection, campaign)
    if ranges == [(0, _LAST)]:
        return sa.true()
    return sa.or_(*(schema.recipient.c.position.between(*bounds) for bounds in ranges))
