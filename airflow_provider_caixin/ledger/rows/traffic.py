"""The rows of traffic: requests by minute and outcome, so that charts and bills read no recipients."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.vocabulary import State

MINUTE_SECONDS: Final = 60

OUTCOMES: Final = (State.SENT, State.REJECTED, State.UNKNOWN)

_minutes: Final = schema.traffic

_ADD: Final = (
    sa.update(_minutes)
    .where(_minutes.c.campaign == sa.bindparam("key"), _minutes.c.minute == sa.bindparam("at"))
    .values({state.value: _minutes.c[state.value] + sa.bindparam(f"more_{state}") for state in OUTCOMES})
)

Change = tuple[int, State]
"""A minute since the epoch and an outcome."""


def minute_of(moment: float) -> int:
    """
    Say in which minute since the epoch a moment is.

    :param moment: seconds since the epoch.
    """
    return int(moment // MINUTE_SECONDS)


def add_requests(connection: Connection, campaign: int, changes: Counter[Change]) -> None:
    """
    Add to a campaign's minutes.

    :param connection: a transaction that holds the campaign's lock.
    :param campaign: the campaign's key.
    :param changes: how many more (or less) requests of a minute had an outcome.
    """
    for minute in sorted({minute for minute, _ in changes}):
        more = {state: changes[minute, state] for state in OUTCOMES}
        if not any(more.values()):
            continue
        values = {
            "key": campaign,
            "at": minute,
            **{f"more_{state}": number for state, number in more.items()},
        }
        if not connection.execute(_ADD, values).rowcount:
            row = {"campaign": campaign, "minute": minute, **{state.value: n for state, n in more.items()}}
            connection.execute(sa.insert(_minutes).values(row))


def recount_requests(connection: Connection) -> None:
    """
    Count the requests of a ledger that kept no minutes so far.

    :param connection: a writing transaction.
    """
    one = schema.recipient
    minute = whole(connection, one.c.sent_at / MINUTE_SECONDS).label("minute")
    counted = (
        sa.select(one.c.campaign, minute, *(sa.func.sum(sa.case((one.c.state == state.value, 1), else_=0)) for state in OUTCOMES))
        .where(one.c.sent_at.is_not(None), one.c.state.in_([state.value for state in OUTCOMES]))
        .group_by(one.c.campaign, sa.literal_column("minute"))
    )  # fmt: skip
    names = ["campaign", "minute", *(state.value for state in OUTCOMES)]
    connection.execute(sa.insert(_minutes).from_select(names, counted))


def whole(connection: Connection, number: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """Round a positive number down: a cast rounds to the nearest in two databases, and SQLite may have no floor()."""
    if connection.dialect.name != "sqlite":
        number = sa.func.floor(number)
    return sa.cast(number, sa.BigInteger)
