from __future__ import annotations

from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_caixin.china_time import (
    CHINA,
    DAY_SECONDS,
    UTC_OFFSET_SECONDS,
    china_midnight,
    in_china,
    seconds_of_day,
    start_of_day,
)

MOMENTS = st.floats(
    datetime(1992, 1, 1, tzinfo=UTC).timestamp(), datetime(2100, 1, 1, tzinfo=UTC).timestamp()
)


@given(MOMENTS)
def test_a_day_by_arithmetic_is_the_day_of_the_calendar(now: float) -> None:
    """Every request asks for the day, so it is reckoned without the calendar, whose answer is the same."""
    local = datetime.fromtimestamp(now, CHINA)
    assert abs(china_midnight(now) - start_of_day(local.date())) < 1e-3
    assert 0 <= seconds_of_day(now) <= DAY_SECONDS
    assert local.utcoffset().total_seconds() == UTC_OFFSET_SECONDS  # type: ignore[union-attr]


def test_a_day_begins_at_midnight_in_china() -> None:
    """Which is four in the afternoon of the day before, in UTC."""
    assert start_of_day(date(2026, 11, 30)) == datetime(2026, 11, 29, 16, tzinfo=UTC).timestamp()


def test_a_moment_without_a_zone_is_chinas() -> None:
    """Any other is the same moment, as clocks in China show it."""
    assert in_china(datetime(2026, 11, 30, 9)).isoformat() == "2026-11-30T09:00:00+08:00"  # noqa: DTZ001
    assert in_china(datetime(2026, 11, 30, 1, tzinfo=UTC)).isoformat() == "2026-11-30T09:00:00+08:00"
