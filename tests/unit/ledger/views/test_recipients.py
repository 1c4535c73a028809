from __future__ import annotations

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.views import recipients as recipient_views
from airflow_provider_caixin.vocabulary import State
from tests.unit.ledger.conftest import Past

A, B = "13912345678", "13912345679"

DAY = 86_400.0

NOW = 1_795_400_000.0


def test_every_message_to_a_recipient(past: Past, ledger: Ledger) -> None:
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
