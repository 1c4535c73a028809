from __future__ import annotations

from datetime import UTC, datetime

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.views import usage as usage_views
from airflow_provider_caixin.ledger.views.usage import Minute
from airflow_provider_caixin.vocabulary import State
from tests.unit.ledger.conftest import Past

NUMBERS = [str(13_900_000_000 + index) for index in range(9)]

# One second before and one after midnight in China.
EVENING = datetime(2026, 11, 24, 15, 59, 59, tzinfo=UTC).timestamp()

MORNING = EVENING + 2


def test_requests_by_minute(past: Past, ledger: Ledger) -> None:
    """What is in the air is none yet."""
    key = past.campaign("campaign", *NUMBERS)
    past.sent(key, {NUMBERS[0]: State.SENT, NUMBERS[1]: State.REJECTED, NUMBERS[2]: State.IN_FLIGHT}, EVENING)
    past.sent(key, {NUMBERS[3]: State.UNKNOWN, NUMBERS[4]: State.PENDING}, MORNING)
    first = int(EVENING // 60)
    with ledger.reading() as connection:
        assert usage_views.minutes(connection, key, MORNING) == [
            Minute(first, 1, 1, 0),
            Minute(first + 1, 0, 0, 1),
        ]
