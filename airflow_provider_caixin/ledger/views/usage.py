"""Requests by minute and outcome: what charts and bills are made of, so that they read no recipients."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.china_time import DAY_SECONDS, UTC_OFFSET_SECONDS
from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.rows import lease as lease_rows
from airflow_provider_caixin.ledger.rows.traffic import MINUTE_SECONDS, OUTCOMES, minute_of
from airflow_provider_caixin.ledger.views.campaigns import of_dags
from airflow_provider_caixin.vocabulary import State

_UTC_OFFSET_MINUTES: Final = UTC_OFFSET_SECONDS // MINUTE_SECONDS
_DAY_MINUTES: Final = DAY_SECONDS // MINUTE_SECONDS

# How wide a chart's points may be: each a whole part of the next longer clock time.
_WIDTHS_MINUTES: Final = (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 1440)


_Requests = sa.FromClause
"""Rows with the columns of the table of minutes."""

_Asked: TypeAlias = "sa.Select[*tuple[Any, ...]]"
"""What is asked of them."""


class Minute(NamedTuple):
    """What a campaign's requests of one minute came to; ``minute`` counts from the epoch."""

    minute: int
    sent: int
    rejected: int
    unknown: int


class Usage(NamedTuple):
    """Messages billed and possibly billed.

    :param name: the day (2026-11-25), template, campaign or Dag; of a Dag None: the command line.
    """

    name: str | None
    billed: int
    possibly: int


def minutes(connection: Connection, campaign_key: int, now: float) -> list[Minute]:
    """Return a campaign's minutes in their order; one without requests is not among them."""

    def ask(table: _Requests) -> _Asked:
        columns = (table.c.minute, *(table.c[state.value] for state in OUTCOMES))
        return sa.select(*columns).where(table.c.campaign == campaign_key)

    return _by_minute(_asked_of_all(connection, now, ask))


def chart(
    connection: Connection, campaign_key: int, now: float, most: int = 1500
) -> tuple[int, list[Minute]]:
    """Return a campaign's requests over time in at most ``most`` points; those without requests are left out.

    :return: how many minutes a point is wide, and the points in their order, each with its first minute.
    """

    def ends(table: _Requests) -> _Asked:
        span = sa.select(sa.func.min(table.c.minute), sa.func.max(table.c.minute))
        return span.where(table.c.campaign == campaign_key)

    spans = [span for span in _asked_of_all(connection, now, ends) if span[0] is not None]
    if not spans:
        return 1, []
    first, last = min(span[0] for span in spans), max(span[1] for span in spans)
    # One more than the span holds, because the first point may begin earlier.
    width = next((one for one in _WIDTHS_MINUTES if (last - first) // one + 2 <= most), 0)
    width = width or ((last - first) // ((most - 1) * _DAY_MINUTES) + 1) * _DAY_MINUTES
    if width == 1:
        return 1, minutes(connection, campaign_key, now)

    def points(table: _Requests) -> _Asked:
        place = _whole(connection, table.c.minute / sa.cast(width, sa.Double)).label("place")
        sums = (sa.func.sum(table.c[state.value]) for state in OUTCOMES)
        wanted = sa.select(place, *sums).where(table.c.campaign == campaign_key)
        return wanted.group_by(sa.literal_column("place"))

    found = _by_minute(_asked_of_all(connection, now, points))
    return width, [point._replace(minute=point.minute * width) for point in found]


def recent(
    connection: Connection, campaign_keys: Iterable[int], since: float, now: float
) -> dict[int, dict[int, int]]:
    """Return how many requests campaigns made in each of the latest minutes, whatever became of them.

    :param since: from the minute of this moment.
    :return: for each campaign that has any the minutes and how many.
    """
    keys = list(campaign_keys)

    def ask(table: _Requests) -> _Asked:
        requests = sum((table.c[state.value] for state in OUTCOMES[1:]), table.c[OUTCOMES[0].value])
        columns = (table.c.campaign, table.c.minute, requests.label("requests"))
        return sa.select(*columns).where(table.c.campaign.in_(keys), table.c.minute >= minute_of(since))

    found: dict[int, dict[int, int]] = {}
    for campaign, minute, requests in _asked_of_all(connection, now, ask):
        of_campaign = found.setdefault(campaign, {})
        of_campaign[minute] = of_campaign.get(minute, 0) + requests
    return found


def unknown_since(connection: Connection, campaign_keys: Iterable[int], now: float) -> dict[int, float]:
    """Return when the oldest request of campaigns left whose outcome is unknown, to the minute.

    :return: the moment for each campaign that has one.
    """
    keys = list(campaign_keys)

    def ask(table: _Requests) -> _Asked:
        first = sa.select(table.c.campaign, sa.func.min(table.c.minute))
        return first.where(table.c.campaign.in_(keys), table.c.unknown > 0).group_by(table.c.campaign)

    found: dict[int, float] = {}
    for campaign, minute in _asked_of_all(connection, now, ask):
        found[campaign] = min(found.get(campaign, math.inf), float(minute * MINUTE_SECONDS))
    return found


def usage(
    connection: Connection,
    by: Literal["day", "template", "campaign", "dag"],
    since: float,
    until: float,
    now: float,
    *,
    account_key: int | None = None,
    dag_ids: AbstractSet[str] | None = None,
    without_dag: bool = False,
) -> list[Usage]:
    """Return what was billed and what may have been, by days in the order of time, else the most first.

    Every request counts by itself: a recipient whose outcome was unknown and that was sent to once more
    counts twice.

    :param by: what to add up by; days are those of Asia/Shanghai.
    :param since: from the minute of this moment.
    :param until: up to the minute before this moment.
    :param account_key: of this account only.
    """
    owner = schema.campaign
    names = {"template": owner.c.tpl_id, "campaign": owner.c.campaign_id, "dag": owner.c.dag_id}
    wanted = [owner.c.account == account_key] if account_key is not None else []
    if dag_ids is not None:
        wanted.append(of_dags(dag_ids, without_dag=without_dag))

    def ask(table: _Requests) -> _Asked:
        day = _whole(connection, (table.c.minute + _UTC_OFFSET_MINUTES) / sa.cast(_DAY_MINUTES, sa.Double))
        # Numbers are what is grouped by: a name of any length makes MySQL write a table to the disk.
        group = day.label("place") if by == "day" else table.c.campaign.label("place")
        billed, possibly = (sa.func.sum(table.c[state]) for state in ("sent", "unknown"))
        sums = (
            sa.select(group, billed.label("billed"), possibly.label("possibly"))
            .where(table.c.minute >= minute_of(since), table.c.minute < minute_of(until))
            .group_by(sa.literal_column("place") if by == "day" else table.c.campaign)
        )
        if wanted:
            sums = sums.where(table.c.campaign.in_(sa.select(owner.c.id).where(*wanted)))
        if by == "day":
            return sums
        found = sums.subquery()
        named = sa.select(names[by], found.c.billed, found.c.possibly)
        return named.join_from(found, owner, owner.c.id == found.c.place)

    billed: Counter[str | None] = Counter()
    possibly: Counter[str | None] = Counter()
    for place, its_billed, its_possibly in _asked_of_all(connection, now, ask):
        name = None if place is None else _day(place) if by == "day" else str(place)
        billed[name] += int(its_billed)
        possibly[name] += int(its_possibly)
    rows = [Usage(name, billed[name], possibly[name]) for name in billed if billed[name] or possibly[name]]
    if by == "day":
        return sorted(rows, key=lambda row: str(row.name))
    return sorted(rows, key=lambda row: (-row.billed - row.possibly, str(row.name)))


def _asked_of_all(
    connection: Connection, now: float, ask: Callable[[_Requests], _Asked]
) -> Sequence[Sequence[Any]]:
    """Ask the minutes, and requests that turned unknown unwritten, in one statement: none is in both."""
    one, owner = schema.recipient, schema.campaign
    nothing = sa.literal_column("0", sa.BigInteger)
    columns = {
        "campaign": one.c.campaign,
        "minute": _whole(connection, one.c.sent_at / MINUTE_SECONDS),
        State.SENT.value: nothing,
        State.REJECTED.value: nothing,
        State.UNKNOWN.value: sa.literal_column("1", sa.BigInteger),
    }
    # No join: SQLite would begin with the recipients and read them all.
    some = sa.select(owner.c.id).where(owner.c.in_flight > 0)
    late = sa.select(*(column.label(name) for name, column in columns.items())).where(
        one.c.campaign.in_(some), lease_rows.ran_out(now)
    )
    return connection.execute(sa.union_all(ask(schema.traffic), ask(late.subquery("late")))).all()


def _by_minute(rows: Iterable[Sequence[Any]]) -> list[Minute]:
    """Return outcomes added up by minute."""
    found: dict[int, list[int]] = {}
    for minute, *numbers in rows:
        before = found.get(minute, [0] * len(OUTCOMES))
        found[minute] = [was + int(more) for was, more in zip(before, numbers, strict=True)]
    return [Minute(minute, *found[minute]) for minute in sorted(found)]


def _day(number: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=int(number))).isoformat()


def _whole(connection: Connection, number: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """Return a positive number rounded down: two databases cast to the nearest, SQLite may lack floor()."""
    if connection.dialect.name != "sqlite":
        number = sa.func.floor(number)
    return sa.cast(number, sa.BigInteger)
