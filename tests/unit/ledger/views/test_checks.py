from __future__ import annotations

import time

import sqlalchemy as sa

from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.views import checks
from airflow_provider_caixin.vocabulary import State
from tests.unit.ledger.conftest import Past

NUMBERS = [str(13_900_000_000 + index) for index in range(8)]

NOW = float(int(time.time()))


def test_what_a_ledger_holds(past: Past, ledger: Ledger) -> None:
    """Its id, its tables' version, and its rows."""
    past.campaign("campaign", *NUMBERS)
    found = checks.info(ledger)
    assert (found.uuid, found.dialect, found.version) == (ledger.uuid, ledger.dialect, schema.SCHEMA_VERSION)
    assert (found.rows["recipient"], found.rows["campaign"], found.rows["traffic"]) == (8, 1, 0)


def test_counts_that_disagree_are_told(past: Past, ledger: Ledger) -> None:
    """Of a campaign's row and of its minutes."""
    key = past.campaign("campaign", *NUMBERS)
    past.sent(key, {NUMBERS[0]: State.SENT}, NOW)
    assert list(checks.disagreements(ledger)) == []
    with ledger.writing() as connection:
        connection.execute(sa.update(schema.campaign).values(pending=6))
        connection.execute(sa.update(schema.traffic).values(sent=2))
    assert list(checks.disagreements(ledger)) == [
        "campaign 'campaign': its row says 6 pending, and 7 recipients are.",
        "campaign 'campaign': its minutes say 2 requests sent, its recipients 1.",
    ]
