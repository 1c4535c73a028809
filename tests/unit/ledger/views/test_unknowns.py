from __future__ import annotations

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.views import unknowns as unknown_views
from airflow_provider_caixin.vocabulary import State
from tests.unit.ledger.conftest import Past

NUMBERS = [str(13_900_000_000 + index) for index in range(6)]
NOW = 1_795_400_000.0


def test_unknown_outcomes_are_listed_in_pages(past: Past, ledger: Ledger) -> None:
    """In the order of their keys, before a moment, and by their numbers; of one campaign and no other."""
    key, other = past.campaign("campaign", *NUMBERS), past.campaign("other", *NUMBERS)
    past.sent(key, {NUMBERS[0]: State.UNKNOWN, NUMBERS[1]: State.SENT, NUMBERS[2]: State.UNKNOWN}, NOW - 60)
    past.sent(key, {NUMBERS[3]: State.UNKNOWN}, NOW - 30)
    past.sent(other, {NUMBERS[4]: State.UNKNOWN}, NOW - 90)
    with ledger.reading() as connection:

        def numbers(**wanted: float) -> list[str]:
            found = unknown_views.unknowns(connection, key, NOW, **wanted)  # type: ignore[arg-type]  # of two types
            return [one.number for one in found]

        first, *_ = unknown_views.unknowns(connection, key, NOW)
        assert (first.sent_at, first.doubt_at, first.twice) == (NOW - 60, None, False)
        assert numbers() == [NUMBERS[0], NUMBERS[2], NUMBERS[3]]
        assert numbers(most=2) == [NUMBERS[0], NUMBERS[2]]
        assert numbers(after=first.id) == [NUMBERS[2], NUMBERS[3]]
        assert numbers(before=NOW - 30) == [NUMBERS[0], NUMBERS[2]]
        assert unknown_views.oldest(connection, key, NOW) == NOW - 60
        assert unknown_views.oldest(connection, other, NOW) == NOW - 90
        assert list(unknown_views.find(connection, key, [NUMBERS[0], NUMBERS[1], NUMBERS[4]], NOW)) == [
            first.id
        ]
