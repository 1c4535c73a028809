from __future__ import annotations

import pytest

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.queue import history
from airflow_provider_caixin.ledger.views import recipients as recipient_views
from airflow_provider_caixin.vocabulary import State

from .conftest import Past

A, B = "13912345678", "13912345679"
DAY = 86_400.0
NOW = 1_795_400_000.0


def test_every_message_to_a_person(past: Past, ledger: Ledger) -> None:
    """The latest first, over all campaigns, or over those of some Dags."""
    for index, dag in enumerate(("spring", "summer")):
        key = past.campaign(f"campaign {index}", A, B, tpl_id=index, dag=dag)
        past.sent(key, {A: State.SENT, B: State.REJECTED}, NOW + index * DAY)
    past.campaign("not yet", A)
    with ledger.reading() as connection:
        found = recipient_views.history(connection, A, NOW)
        assert [one.campaign_id for one in found] == ["not yet", "campaign 1", "campaign 0"]
        assert [one.sent_at for one in found] == [None, NOW + DAY, NOW]
        assert (found[1].tpl_id, found[1].state, found[1].sid, found[1].dag_id) == (
            1,
            "sent",
            "sid",
            "summer",
        )
        assert [
            one.campaign_id for one in recipient_views.history(connection, A, NOW, dag_ids={"spring"})
        ] == ["campaign 0"]
        assert len(recipient_views.history(connection, A, NOW, most=1)) == 1
        assert [(one.state, one.code) for one in recipient_views.history(connection, B, NOW)] == [
            ("rejected", 236306)
        ] * 2
        assert recipient_views.history(connection, "13900000000", NOW) == []


@pytest.mark.parametrize("many", [1, 14, 500])
def test_a_cap_reads_no_more_than_these_people_s_messages(sqlite_ledger: Ledger, many: int) -> None:
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
