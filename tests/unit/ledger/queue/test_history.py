from __future__ import annotations

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.queue import history
from airflow_provider_caixin.ledger.queue.load import load_audience
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.rows import recipient as recipient_rows
from airflow_provider_caixin.machine import MACHINE
from airflow_provider_caixin.vocabulary import State

NOW = 1_795_400_000.0


def test_who_had_the_template(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in batches of those who wait to be sent, as long as there is time."""
    monkeypatch.setattr(recipient_rows, "BATCH_ROWS", 4)
    numbers = [str(13_900_000_000 + place) for place in range(10)]
    with ledger.writing() as connection:
        account = account_names.find_account(ledger, connection, "account")
        keys = [
            campaign_rows.find_campaign(ledger, connection, name, account, 65535, 0.0)
            for name in ("first", "second")
        ]
    for key in keys:
        load_audience(ledger, key, "source", lambda: [(one, None) for one in numbers], lease=60)
    with ledger.writing() as connection:
        table = schema.recipient
        sent = sa.update(table).where(table.c.campaign == keys[0], table.c.number.in_(numbers[3:]))
        connection.execute(sent.values(state=State.SENT))
        row = campaign_rows.CampaignRow.lock(connection, keys[0])
        row.move(State.PENDING, State.SENT, 7)
        row.save(connection)
        assert history.count_had_template(MACHINE, connection, keys[1], account, 65535) == (7, 10)
        assert history.count_had_template(MACHINE, connection, keys[1], account, 65535, seconds=0) == (0, 0)
        assert history.count_had_template(MACHINE, connection, keys[0], account, 65535) == (0, 0)
        assert history.count_had_template(MACHINE, connection, keys[1], account, 1) == (0, 0)


@pytest.mark.parametrize("many", [1, 14, 500])
def test_a_cap_reads_no_more_than_the_messages_to_these_numbers(sqlite_ledger: Ledger, many: int) -> None:
    """However many are asked for: SQLite knows no sizes and takes its plan from the words alone."""
    values = {
        "numbers": [str(13_900_000_000 + index) for index in range(many)],
        "account": 1,
        "since": NOW,
    }
    statement = history._HISTORY.params(values).compile(
        sqlite_ledger.engine, compile_kwargs={"literal_binds": True}
    )
    with sqlite_ledger.reading() as connection:
        plan = [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")]
    assert [step for step in plan if "caixin_recipient " in step and "number=?" not in step] == []
    assert any("caixin_recipient_person" in step for step in plan), plan
