from __future__ import annotations

import sqlalchemy as sa

from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.queue import claim as claims
from airflow_provider_caixin.ledger.queue.draw import Recipient
from tests.unit.ledger.conftest import Past

NUMBERS = [str(13_900_000_000 + index) for index in range(120)]


def test_each_claimed_recipient_has_its_own_slot(past: Past, ledger: Ledger) -> None:
    """One lease and one claim for all; what an earlier answer left is gone; others stay as they were."""
    past.campaign("campaign", *NUMBERS)
    table = schema.recipient
    rows = sa.select(table).order_by(table.c.id)
    with ledger.writing() as connection:
        connection.execute(sa.update(table).values(reason="busy", code=236305))
        found = connection.execute(rows).all()
        drawn = [Recipient(row.id, row.number, row.busy, None if row.id % 2 else 5.0) for row in found[1:]]
        claims.write_claims(connection, [(one, 100.0 + one.id) for one in drawn], "claim", 160.0)
        first, *others = connection.execute(rows).all()
    assert first == found[0]
    for before, row in zip(drawn, others, strict=True):
        assert (row.state, row.claim, row.due, row.reason, row.code) == (
            "in_flight",
            "claim",
            160.0,
            None,
            None,
        )
        assert (row.number, row.sent_at, row.doubt_at) == (before.number, 100.0 + row.id, before.doubt_at)
