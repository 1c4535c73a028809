"""Leases of recipients in flight; one whose lease ran out *is* ``unknown``, written or not."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.schema import FAR_AHEAD_SECONDS
from airflow_provider_caixin.vocabulary import State

NO_ANSWER: Final = "no answer was recorded before the lease ran out"

_table: Final = schema.recipient

Moment = float | sa.ColumnElement[float]


def has_ended(due: float, now: float) -> bool:
    """Return whether a lease has run out, or ends so far ahead that it is of before a clock went back."""
    return due < now or due > now + FAR_AHEAD_SECONDS


def _ended(now: Moment) -> sa.ColumnElement[bool]:
    """Return :func:`has_ended` as a condition; without OR, for which SQLite would use two indexes."""
    return ~_table.c.due.between(now, now + FAR_AHEAD_SECONDS)


def ran_out(now: Moment) -> sa.ColumnElement[bool]:
    """Return the condition that finds recipients whose lease ran out without a run that wrote so."""
    return sa.and_(_table.c.state == State.IN_FLIGHT.value, _ended(now))


def is_in(state: State, now: float) -> sa.ColumnElement[bool]:
    """Return the condition that finds recipients by their state as of now."""
    if state is State.UNKNOWN:
        # Both states are named first, so that an index finds them; who is unknown has no lease.
        either = _table.c.state.in_([State.UNKNOWN.value, State.IN_FLIGHT.value])
        return sa.and_(either, sa.or_(_table.c.state == State.UNKNOWN.value, _ended(now)))
    there = _table.c.state == state.value
    return sa.and_(there, ~_ended(now)) if state is State.IN_FLIGHT else there


def state_as_of(now: float) -> sa.ColumnElement[str]:
    """Return the expression for a recipient's state as of now."""
    return sa.case((ran_out(now), State.UNKNOWN.value), else_=_table.c.state)


def reason_as_of(now: float) -> sa.ColumnElement[str | None]:
    """Return the expression for a recipient's reason as of now."""
    return sa.case((ran_out(now), NO_ANSWER), else_=_table.c.reason)


def run_out_of_each(now: float) -> sa.ColumnElement[int]:
    """Return the expression, in a statement on campaigns, for how many of each one's leases ran out.

    As many fewer are in flight, and more unknown, than its row says. No recipient is read where none is in
    flight.
    """
    owner = schema.campaign
    number = sa.select(sa.func.count(_table.c.id)).where(_table.c.campaign == owner.c.id, ran_out(now))
    return sa.case((owner.c.in_flight > 0, number.correlate(owner).scalar_subquery()), else_=0)


def run_out(connection: Connection, campaign_key: int, now: float) -> int:
    """Return how many leases ran out in a campaign without a run that wrote so."""
    number = sa.select(sa.func.count(_table.c.id)).where(_table.c.campaign == campaign_key, ran_out(now))
    return connection.execute(number).scalar_one()
