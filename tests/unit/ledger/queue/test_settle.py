from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.queue import claim as claims
from airflow_provider_caixin.ledger.queue import draw as drawing
from airflow_provider_caixin.ledger.queue import settle as settlements
from airflow_provider_caixin.ledger.queue.settle import Settlement
from airflow_provider_caixin.ledger.rows.account import AccountRow
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.views import checks
from airflow_provider_caixin.ledger.views import usage as usage_views
from airflow_provider_caixin.ledger.views.usage import Minute
from airflow_provider_caixin.vocabulary import State
from tests.unit.ledger.conftest import Past

NUMBERS = [str(13_900_000_000 + index) for index in range(9)]

# One second before and one after midnight in China.
EVENING = datetime(2026, 11, 24, 15, 59, 59, tzinfo=UTC).timestamp()

MORNING = EVENING + 2


@pytest.mark.parametrize("last", [State.REJECTED, State.SENT, State.PENDING])
def test_an_unknown_outcome_that_is_sent_once_more(past: Past, ledger: Ledger, last: State) -> None:
    """Each request counts by itself and once, also when it is settled again after a commit without answer."""
    key = past.campaign("campaign", NUMBERS[0])
    past.sent(key, {NUMBERS[0]: State.UNKNOWN}, EVENING)
    with ledger.writing() as connection:
        (drawn,) = drawing.draw_unknown(connection, key, MORNING, MORNING, 1)
        row = CampaignRow.lock(connection, key)
        claims.write_claims(connection, [(drawn, MORNING)], "again", MORNING + 60)
        row.move(State.UNKNOWN, State.IN_FLIGHT)
        row.save(connection)
    for _ in range(2):
        with ledger.writing() as connection:
            account = AccountRow.open(connection, CampaignRow.read(connection, key).account)
            row = CampaignRow.lock(connection, key)
            settlements.write_settlements(
                connection, account, row, [Settlement(drawn.id, "again", last, code=236309)]
            )
            row.save(connection)
    first = int(EVENING // 60)
    second = {
        State.REJECTED: [Minute(first + 1, 0, 1, 0)],
        State.SENT: [Minute(first + 1, 1, 0, 0)],
        State.PENDING: [],
    }
    with ledger.reading() as connection:
        assert usage_views.minutes(connection, key, MORNING) == [Minute(first, 0, 0, 1), *second[last]]
    assert past.counts(key) == ({"sent": 1} if last is State.SENT else {"unknown": 1})
    assert list(checks.disagreements(ledger)) == []
