from __future__ import annotations

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.queue import bulk_update
from tests.unit.ledger.conftest import Past

NUMBERS = [str(13_900_000_000 + index) for index in range(7)]


@pytest.mark.parametrize("together", [1, 3, 7, 50])
def test_each_row_gets_its_own_values(
    past: Past, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    """However many rows a statement has; texts, numbers and nothing, in rows of any order."""
    monkeypatch.setattr(bulk_update, "_STATEMENT_ROWS", together)
    past.campaign("campaign", *NUMBERS)
    table = schema.recipient
    columns = sa.select(table.c.id, table.c.reason, table.c.code, table.c.sent_at).order_by(table.c.id)
    with ledger.writing() as connection:
        ids = [row.id for row in connection.execute(columns)]
        wanted = [(key, f"余额 {key}" if key % 2 else None, key, key + 0.5) for key in ids[:-1]]
        rows = [dict(zip(("id", "reason", "code", "sent_at"), one, strict=True)) for one in wanted]
        bulk_update.write_each(connection, rows[::-1])
        bulk_update.write_each(connection, [])
        assert [tuple(row) for row in connection.execute(columns)] == [*wanted, (ids[-1], None, None, None)]
