from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.views import usage as usage_views
from airflow_provider_caixin.ledger.views.usage import Usage
from airflow_provider_caixin.vocabulary import State
from tests.unit.ledger.conftest import Past

NUMBERS = [str(13_900_000_000 + index) for index in range(9)]

# One second before and one after midnight in China.
EVENING = datetime(2026, 11, 24, 15, 59, 59, tzinfo=UTC).timestamp()

MORNING = EVENING + 2


def test_usage(past: Past, ledger: Ledger) -> None:
    """Days are China's; rejected requests are not billed; a span ends before its end."""
    spring = past.campaign("spring", *NUMBERS, tpl_id=1)
    summer = past.campaign("夏", *NUMBERS, tpl_id=2, dag=None, account="other")
    past.sent(
        spring, {NUMBERS[0]: State.SENT, NUMBERS[1]: State.REJECTED, NUMBERS[2]: State.UNKNOWN}, EVENING
    )
    past.sent(spring, {NUMBERS[3]: State.SENT}, MORNING)
    past.sent(summer, dict.fromkeys(NUMBERS[:5], State.SENT), MORNING)
    span = (EVENING - 59, MORNING + 60, MORNING)
    with ledger.reading() as connection:
        other = account_names.peek_account(connection, "other")
        assert usage_views.usage(connection, "day", *span) == [
            Usage("2026-11-24", 1, 1),
            Usage("2026-11-25", 6, 0),
        ]
        assert usage_views.usage(connection, "template", *span) == [Usage("2", 5, 0), Usage("1", 2, 1)]
        assert usage_views.usage(connection, "campaign", *span) == [Usage("夏", 5, 0), Usage("spring", 2, 1)]
        assert usage_views.usage(connection, "dag", *span) == [Usage(None, 5, 0), Usage("dag", 2, 1)]
        assert usage_views.usage(connection, "day", span[0], MORNING, MORNING) == [Usage("2026-11-24", 1, 1)]
        assert usage_views.usage(connection, "day", *span, account_key=other) == [Usage("2026-11-25", 5, 0)]
        assert usage_views.usage(connection, "template", *span, dag_ids={"dag"}) == [Usage("1", 2, 1)]
        assert usage_views.usage(connection, "template", *span, dag_ids=set()) == []


def test_a_chart_has_no_more_points_than_asked_for(past: Past, ledger: Ledger) -> None:
    """However long a campaign took: wider points that begin on the clock, and the same sums."""
    key, other = past.campaign("long", "13912345678"), past.campaign("other", "13912345679")
    with ledger.reading() as connection:
        assert usage_views.chart(connection, key, MORNING) == (1, [])
    first = 29_000_003
    rows = [
        {"campaign": one, "minute": first + minute, "sent": 3, "rejected": 2, "unknown": 1}
        for one in (key, other)
        for minute in range(0, 3_000, 2)
    ]
    with ledger.writing() as connection:
        connection.execute(sa.insert(schema.traffic), rows)
    with ledger.reading() as connection:
        for most, width in ((5_000, 1), (1_502, 2), (1_500, 5), (300, 15), (4, 1440), (3, 2880)):
            found, points = usage_views.chart(connection, key, MORNING, most)
            assert found == width
            assert len(points) <= most
            assert all(point.minute % width == 0 for point in points)
            assert points[0].minute <= first < points[0].minute + width
            assert points == sorted(points)
            sums = [sum(column) for column in list(zip(*points, strict=True))[1:]]
            assert sums == [3 * 1_500, 2 * 1_500, 1_500]


def test_the_latest_requests_and_the_oldest_unknown_outcome(past: Past, ledger: Ledger) -> None:
    """Of the campaigns that are asked for, by their minutes."""
    first, second = (
        past.campaign("first", "13912345678", "13912345679"),
        past.campaign("second", "13912345678"),
    )
    past.sent(first, {"13912345678": State.UNKNOWN}, 6_000.0)
    past.sent(first, {"13912345679": State.REJECTED}, 6_070.0)
    past.sent(second, {"13912345678": State.SENT}, 6_070.0)
    with ledger.reading() as connection:
        assert usage_views.recent(connection, [first, second], 6_060.0, 7_000.0) == {
            first: {101: 1},
            second: {101: 1},
        }
        assert usage_views.recent(connection, [first], 0.0, 7_000.0) == {first: {100: 1, 101: 1}}
        assert usage_views.recent(connection, [], 0.0, 7_000.0) == {}
        assert usage_views.unknown_since(connection, [first, second], 7_000.0) == {first: 6_000.0}


def test_usage_of_some_dags(past: Past, ledger: Ledger) -> None:
    """With and without the command line's campaigns."""
    numbers = ("13912345678", "13912345679")
    for name, dag in (("a", "one"), ("b", "two"), ("c", None)):
        past.sent(past.campaign(name, *numbers, dag=dag), dict.fromkeys(numbers, State.SENT), 6_000.0)
    with ledger.reading() as connection:

        def names(*dags: str, without_dag: bool) -> set[str | None]:
            found = usage_views.usage(
                connection, "campaign", 0.0, 7_000.0, 7_000.0, dag_ids=set(dags), without_dag=without_dag
            )
            return {row.name for row in found}

        assert names("one", without_dag=False) == {"a"}
        assert names("one", "two", without_dag=True) == {"a", "b", "c"}
        assert names(without_dag=False) == set()
        assert usage_views.usage(connection, "template", 0.0, 7_000.0, 7_000.0) == [
            usage_views.Usage("65535", 6, 0)
        ]
