"""The rows of traffic: requests by minute and outcome, so that charts and bills read no recipients."""

from __future__ import annotations

from collections import Counter
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger.schema import traffic
from airflow_provider_caixin.vocabulary import State

MINUTE_SECONDS: Final = 60
# What a request counts as; one that was not made counts as nothing.
OUTCOMES: Final = (State.SENT, State.REJECTED, State.UNKNOWN)

_ADD: Final = (
    sa.update(traffic)
    .where(traffic.c.campaign == sa.bindparam("key"), traffic.c.minute == sa.bindparam("at"))
    .values({state.value: traffic.c[state.value] + sa.bindparam(f"more_{state}") for state in OUTCOMES})
)

MinuteOutcome = tuple[int, State]
"""A minute since the epoch and an outcome."""


def minute_of(moment: float) -> int:
    """Return in which minute since the epoch a moment is."""
    return int(moment // MINUTE_SECONDS)


def add_requests(connection: Connection, campaign_key: int, changes: Counter[MinuteOutcome]) -> None:
    """Add to a campaign's minutes.

    :param changes: how many more (or less) requests of a minute had an outcome.
    """
    for minute in sorted({minute for minute, _ in changes}):
        more = {state: changes[minute, state] for state in OUTCOMES}
        if not any(more.values()):
            continue
        values = {"key": campaign_key, "at": minute}
        values |= {f"more_{state}": number for state, number in more.items()}
        if not connection.execute(_ADD, values).rowcount:
            row = {
                "campaign": campaign_key,
                "minute": minute,
                **{state.value: n for state, n in more.items()},
            }
            connection.execute(sa.insert(traffic).values(row))
