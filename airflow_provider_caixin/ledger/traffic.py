"""Requests by minute and outcome: what charts and bills are made of, so that they read no recipients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Any, Final, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.catalogue import of_dags
from airflow_provider_caixin.ledger.schema import State

MINUTE: Final = 60
OUTCOMES: Final = (State.SENT, State.REJECTED, State.UNKNOWN)
# China has had no summer time since 1991.
_UTC_OFFSET_MINUTES: Final = 8 * 60
_DAY_MINUTES: Final = 24 * 60

# Widths that a chart's points may have, in minutes: each a whole part of the next longer clock time.
_WIDTHS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 1440)

_table: Final = schema.traffic
_ADD: Final = (
    sa.update(_table)
    .where(_table.c.campaign == sa.bindparam("key"), _table.c.minute == sa.bindparam("at"))
    .values({state.value: _table.c[state.value] + sa.bindparam(f"more_{state}") for state in OUTCOMES})
)

Change = tuple[int, State]
"""A minute since the epoch and an outcome."""


class Minute(NamedTuple):
    """What a campaign's requests of one minute came to; ``minute`` counts from the epoch."""

    minute: int
    sent: int
    rejected: int
    unknown: int


class Usage(NamedTuple):
    """
    Messages billed and possibly billed.

    :param name: the day (2026-11-25), template, campaign or Dag; of a Dag None: the command line.
    """

    name: str | None
    billed: int
    possibly: int


def minute_of(moment: float) -> int:
    """
    Say in which minute since the epoch a moment is.

    :param moment: seconds since the epoch.
    """
    return int(moment // MINUTE)


def add(connection: Connection, campaign: int, changes: Counter[Change]) -> None:
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
            connection.execute(sa.insert(_table).values(row))


def recount(connection: Connection) -> None:
    """
    Count the requests of a ledger that kept no minutes so far.

    :param connection: a writing transaction.
    """
    one = schema.recipient
    minute = _whole(connection, one.c.sent_at / MINUTE).label("minute")
    counted = (
        sa.select(one.c.campaign, minute, *(sa.func.sum(sa.case((one.c.state == state.value, 1), else_=0)) for state in OUTCOMES))
        .where(one.c.sent_at.is_not(None), one.c.state.in_([state.value for state in OUTCOMES]))
        .group_by(one.c.campaign, sa.literal_column("minute"))
    )  # fmt: skip
    names = ["campaign", "minute", *(state.value for state in OUTCOMES)]
    connection.execute(sa.insert(_table).from_select(names, counted))


def minutes(connection: Connection, campaign: int) -> list[Minute]:
    """
    Give a campaign's minutes in their order; one without requests is not among them.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    """
    columns = (_table.c.minute, *(_table.c[state.value] for state in OUTCOMES))
    rows = sa.select(*columns).where(_table.c.campaign == campaign).order_by(_table.c.minute)
    return [Minute(*row) for row in connection.execute(rows)]


def chart(connection: Connection, campaign: int, most: int = 1500) -> tuple[int, list[Minute]]:
    """
    Give a campaign's requests over time in no more than so many points; one without requests is not among them.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param most: how many points at the most.
    :return: how many minutes a point is wide, and the points in their order, each with its first minute.
    """
    ends = sa.select(sa.func.min(_table.c.minute), sa.func.max(_table.c.minute))
    first, last = connection.execute(ends.where(_table.c.campaign == campaign)).one()
    if first is None:
        return 1, []
    # One more than the span holds, because the first point may begin earlier.
    width = next((one for one in _WIDTHS if (last - first) // one + 2 <= most), 0)
    width = width or ((last - first) // ((most - 1) * _DAY_MINUTES) + 1) * _DAY_MINUTES
    if width == 1:
        return 1, minutes(connection, campaign)
    place = _whole(connection, _table.c.minute / sa.cast(width, sa.Double)).label("place")
    sums = (sa.func.sum(_table.c[state.value]) for state in OUTCOMES)
    rows = (
        sa.select(place, *sums)
        .where(_table.c.campaign == campaign)
        .group_by(sa.literal_column("place"))
        .order_by(sa.literal_column("place"))
    )
    return width, [Minute(row[0] * width, *map(int, row[1:])) for row in connection.execute(rows)]


def recent(connection: Connection, campaigns: Iterable[int], since: float) -> dict[int, dict[int, int]]:
    """
    Count the latest requests of campaigns by minute, whatever became of them.

    :param connection: any transaction.
    :param campaigns: the campaigns' keys.
    :param since: from the minute of this moment, in seconds since the epoch.
    :return: for each campaign that has any the minutes and how many.
    """
    requests = sum((_table.c[state.value] for state in OUTCOMES[1:]), _table.c[OUTCOMES[0].value])
    rows = sa.select(_table.c.campaign, _table.c.minute, requests.label("requests")).where(
        _table.c.campaign.in_(list(campaigns)), _table.c.minute >= minute_of(since)
    )
    found: dict[int, dict[int, int]] = {}
    for row in connection.execute(rows):
        found.setdefault(row.campaign, {})[row.minute] = row.requests
    return found


def in_doubt_since(connection: Connection, campaigns: Iterable[int]) -> dict[int, float]:
    """
    Say when the oldest doubt of campaigns arose, to the minute.

    :param connection: any transaction.
    :param campaigns: the campaigns' keys.
    :return: seconds since the epoch, for each campaign that has a doubt.
    """
    rows = (
        sa.select(_table.c.campaign, sa.func.min(_table.c.minute))
        .where(_table.c.campaign.in_(list(campaigns)), _table.c.unknown > 0)
        .group_by(_table.c.campaign)
    )
    return {campaign: float(minute * MINUTE) for campaign, minute in connection.execute(rows)}


def usage(
    connection: Connection,
    by: Literal["day", "template", "campaign", "dag"],
    since: float,
    until: float,
    *,
    account: int | None = None,
    dag_ids: AbstractSet[str] | None = None,
    without_dag: bool = False,
) -> list[Usage]:
    """
    Add up what was billed and what may have been, by days in the order of time, else the most first.

    Every request counts by itself: a doubt that was sent once more is one more.

    :param connection: any transaction.
    :param by: what to add up by; days are those of Asia/Shanghai.
    :param since: from the minute of this moment, in seconds since the epoch.
    :param until: up to the minute before this moment.
    :param account: of this account's key only.
    :param dag_ids: of these Dags only.
    :param without_dag: with ``dag_ids``: also of the command line.
    """
    owner = schema.campaign
    day = _whole(connection, (_table.c.minute + _UTC_OFFSET_MINUTES) / sa.cast(_DAY_MINUTES, sa.Double))
    # Numbers are what is grouped by: a name of any length makes MySQL write a table to the disk.
    group = day.label("place") if by == "day" else _table.c.campaign.label("place")
    sums = (
        sa.select(
            group, sa.func.sum(_table.c.sent).label("billed"), sa.func.sum(_table.c.unknown).label("possibly")
        )
        .where(_table.c.minute >= minute_of(since), _table.c.minute < minute_of(until))
        .group_by(sa.literal_column("place") if by == "day" else _table.c.campaign)
    )
    wanted = [owner.c.account == account] if account is not None else []
    if dag_ids is not None:
        wanted.append(of_dags(dag_ids, without_dag=without_dag))
    if wanted:
        sums = sums.where(_table.c.campaign.in_(sa.select(owner.c.id).where(*wanted)))
    if by == "day":
        days = [
            Usage(_day(row.place), int(row.billed), int(row.possibly)) for row in connection.execute(sums)
        ]
        return sorted((row for row in days if row.billed or row.possibly), key=lambda row: str(row.name))
    found = sums.subquery()
    name = {"template": owner.c.tpl_id, "campaign": owner.c.campaign_id, "dag": owner.c.dag_id}[by]
    named = sa.select(name.label("name"), found.c.billed, found.c.possibly).join_from(
        found, owner, owner.c.id == found.c.place
    )
    billed: Counter[str | None] = Counter()
    possibly: Counter[str | None] = Counter()
    for row in connection.execute(named):
        key = None if row.name is None else str(row.name)
        billed[key] += int(row.billed)
        possibly[key] += int(row.possibly)
    rows = [Usage(key, billed[key], possibly[key]) for key in billed if billed[key] or possibly[key]]
    return sorted(rows, key=lambda row: (-row.billed - row.possibly, str(row.name)))


def _whole(connection: Connection, number: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """Round a positive number down: a cast rounds to the nearest in two databases, and SQLite may have no floor()."""
    if connection.dialect.name != "sqlite":
        number = sa.func.floor(number)
    return sa.cast(number, sa.BigInteger)


def _day(number: int) -> str:
    from datetime import date, timedelta

    return (date(1970, 1, 1) + timedelta(days=int(number))).isoformat()
