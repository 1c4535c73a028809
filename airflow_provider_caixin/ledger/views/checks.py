"""What a ledger holds, and whether its counts agree with its recipients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.rows import lease as lease_rows
from airflow_provider_caixin.ledger.rows import tally as tallies
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.schema import campaign as _campaign
from airflow_provider_caixin.ledger.schema import recipient as _recipient
from airflow_provider_caixin.ledger.views import usage as usage_views
from airflow_provider_caixin.vocabulary import State


@dataclass(frozen=True, slots=True)
class Info:
    """What a ledger is and holds.

    :param uuid: its own id; a copy has the same.
    :param version: of its tables.
    :param rows: how many rows each table has, without its prefix.
    """

    uuid: str
    dialect: str
    version: int
    rows: dict[str, int]


def info(ledger: Ledger) -> Info:
    """Return what a ledger is and holds; counting takes a while with millions of recipients."""
    with ledger.reading() as connection:
        rows = {
            table.name.removeprefix("caixin_"): connection.execute(
                sa.select(sa.func.count()).select_from(table)
            ).scalar_one()
            for table in schema.metadata.sorted_tables
            if table is not schema.meta
        }
    return Info(ledger.uuid, ledger.dialect, schema.SCHEMA_VERSION, rows)


def disagreements(ledger: Ledger) -> Iterator[str]:
    """Count everything anew, each campaign under its lock; yield a sentence for each count that is wrong."""
    with ledger.reading() as connection:
        keys = sa.select(_campaign.c.id, _campaign.c.campaign_id).where(_campaign.c.purged_at.is_(None))
        known = connection.execute(keys.order_by(_campaign.c.id)).all()
    for key, name in known:
        with ledger.writing() as connection:
            row, now = CampaignRow.lock(connection, key), ledger.now(connection)
            # As of now, which nobody may have written yet; nor does this.
            row.move(State.IN_FLIGHT, State.UNKNOWN, lease_rows.run_out(connection, key, now))
            counted: Counter[str] = Counter()
            for line in tallies.count(connection, key, now):
                counted[line.state] += line.number
            charted = _requests_by_minutes(connection, key, now)
            requests = _requests_by_recipients(connection, key, now)
        for state in State:
            if counted[state] != row.counts[state]:
                yield f"campaign {name!r}: its row says {row.counts[state]} {state}, and {counted[state]} recipients are."
        for state in (State.SENT, State.UNKNOWN):
            if charted[state] != requests[state]:
                yield f"campaign {name!r}: its minutes say {charted[state]} requests {state}, its recipients {requests[state]}."


def _requests_by_minutes(connection: Connection, campaign_key: int, now: float) -> dict[State, int]:
    """Return how many requests were sent and are unknown, as a campaign's minutes count them."""
    minutes = usage_views.minutes(connection, campaign_key, now)
    return {
        State.SENT: sum(minute.sent for minute in minutes),
        State.UNKNOWN: sum(minute.unknown for minute in minutes),
    }


def _requests_by_recipients(connection: Connection, campaign_key: int, now: float) -> dict[State, int]:
    """Return how many requests recipients stand for; one that was sent to once more stands for two."""
    sent_twice = sa.and_(_recipient.c.doubt_at.is_not(None), _recipient.c.doubt_at != _recipient.c.sent_at)
    statement = sa.select(
        sa.func.count(sa.case((_recipient.c.state == State.SENT.value, 1))),
        sa.func.count(sa.case((lease_rows.is_in(State.UNKNOWN, now), 1)))
        + sa.func.count(sa.case((sent_twice, 1))),
    ).where(_recipient.c.campaign == campaign_key)
    sent, unknown = connection.execute(statement).one()
    return {State.SENT: sent, State.UNKNOWN: unknown}
