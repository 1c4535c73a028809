"""What a ledger holds, and whether its counts agree with its recipients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.admin.retention import _campaign, _recipient
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.rows import lease as lease_rows
from airflow_provider_caixin.ledger.rows import tally as tallies
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.views import usage as usage_views
from airflow_provider_caixin.vocabulary import State


@dataclass(frozen=True, slots=True)
class Info:
    """
    What a ledger is and holds.

    :param uuid: its own id; a copy has the same.
    :param version: of its tables.
    :param rows: how many rows each table has, without its prefix.
    """

    uuid: str
    dialect: str
    version: int
    rows: dict[str, int]


def info(ledger: Ledger) -> Info:
    """
    Say what a ledger is and holds; counting takes a while with millions of recipients.

    :param ledger: the ledger.
    """
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
    """
    Count everything anew and yield a sentence for each count of the ledger that is another.

    :param ledger: the ledger; each campaign is locked while it is counted.
    """
    with ledger.reading() as connection:
        keys = sa.select(_campaign.c.id, _campaign.c.campaign_id).where(_campaign.c.purged_at.is_(None))
        known = connection.execute(keys.order_by(_campaign.c.id)).all()
    for key, name in known:
        with ledger.writing() as connection:
            row, now = CampaignRow.lock(connection, key), ledger.now(connection)
            # As of now, which nobody may have written yet; nor does this.
            row.move(State.IN_FLIGHT, State.UNKNOWN, lease_rows.run_out(connection, key, now))
            counted: Counter[str] = Counter()
            for state_now, _, _, number in tallies.count(connection, key, now):
                counted[state_now] += number
            charted = outcomes_of(connection, key, now)
            requests = requests_of(connection, key, now)
        for state in State:
            if counted[state] != row.counts[state]:
                yield f"campaign {name!r}: its row says {row.counts[state]} {state}, and {counted[state]} recipients are."
        for state in (State.SENT, State.UNKNOWN):
            if charted[state] != requests[state]:
                yield f"campaign {name!r}: its minutes say {charted[state]} requests {state}, its recipients {requests[state]}."


def outcomes_of(connection: Connection, campaign: int, now: float) -> dict[State, int]:
    """Return a campaign's requests by outcome, as its minutes count them."""
    counts = dict.fromkeys(State, 0)
    for minute in usage_views.minutes(connection, campaign, now):
        counts[State.SENT] += minute.sent
        counts[State.UNKNOWN] += minute.unknown
    return counts


def requests_of(connection: Connection, campaign: int, now: float) -> dict[State, int]:
    """Count the requests that recipients stand for; one in doubt that was sent once more stands for two."""
    doubted = sa.and_(_recipient.c.doubt_at.is_not(None), _recipient.c.doubt_at != _recipient.c.sent_at)
    statement = sa.select(
        sa.func.count(sa.case((_recipient.c.state == State.SENT.value, 1))),
        sa.func.count(sa.case((lease_rows.is_in(State.UNKNOWN, now), 1)))
        + sa.func.count(sa.case((doubted, 1))),
    ).where(_recipient.c.campaign == campaign)
    sent, unknown = connection.execute(statement).one()
    return {State.SENT: sent, State.UNKNOWN: unknown}
