from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.rules import SendWindow

OFFICE = SendWindow("09:00-18:00")
TIMEOUT = 10.0


def china(text: str) -> pendulum.DateTime:
    """Return a moment in Asia/Shanghai."""
    return pendulum.from_format(text, "YYYY-MM-DD HH:mm:ss", tz=CHINA)


@pytest.mark.parametrize(
    ("moment", "open_"),
    [
        ("2026-11-23 08:59:59", False),
        ("2026-11-23 09:00:00", True),
        ("2026-11-23 17:59:59", True),
        ("2026-11-23 18:00:00", False),
        ("2026-11-23 00:00:00", False),
    ],
)
def test_window_holds_its_opening_and_not_its_closing(moment: str, open_: bool) -> None:
    """Nine is inside, eighteen is not."""
    assert OFFICE.contains(china(moment)) is open_


def test_window_goes_by_china_time_whatever_zone_a_moment_has() -> None:
    """01:30 UTC is 09:30 in Shanghai; a moment without a zone is Shanghai's."""
    assert OFFICE.contains(datetime(2026, 11, 23, 1, 30, tzinfo=UTC))
    assert not OFFICE.contains(datetime(2026, 11, 23, 9, 30, tzinfo=UTC) + timedelta(hours=1))
    assert OFFICE.contains(datetime(2026, 11, 23, 9, 30))  # noqa: DTZ001  # no zone on purpose


@pytest.mark.parametrize(
    ("moment", "opening", "closing"),
    [
        ("2026-11-23 08:00:00", "2026-11-23 09:00:00", "2026-11-23 18:00:00"),
        ("2026-11-23 12:00:00", "2026-11-24 09:00:00", "2026-11-23 18:00:00"),
        ("2026-11-23 18:00:00", "2026-11-24 09:00:00", "2026-11-24 18:00:00"),
        ("2026-12-31 20:00:00", "2027-01-01 09:00:00", "2027-01-01 18:00:00"),
    ],
)
def test_next_opening_and_closing(moment: str, opening: str, closing: str) -> None:
    """Both are the first one after the moment."""
    assert OFFICE.next_opening(china(moment)) == china(opening)
    assert OFFICE.closes_at(china(moment)) == china(closing)


@pytest.mark.parametrize(
    ("moment", "wait"),
    [
        ("2026-11-23 09:00:00", 2),
        ("2026-11-23 09:00:02", 0),
        ("2026-11-23 17:59:45", 0),
        ("2026-11-23 17:59:46", 15 * 3600 + 16),
        ("2026-11-23 08:00:00", 3602),
    ],
)
def test_nothing_leaves_at_the_edges_of_the_window(moment: str, wait: float) -> None:
    """The first post leaves 2 s after the opening, the last a time-out and 5 s before the closing."""
    assert OFFICE.seconds_to_post(china(moment).timestamp(), TIMEOUT) == wait


@pytest.mark.parametrize(
    ("moment", "wait"),
    [("23:59:45", 0), ("23:59:46", 16), ("23:59:58", 4), ("00:00:00", 2), ("00:00:02", 0), ("12:00:00", 0)],
)
def test_nothing_leaves_that_may_arrive_on_another_day(moment: str, wait: float) -> None:
    """An all-day window waits some seconds at midnight, which is a closing like any other."""
    window = SendWindow("00:00-24:00")
    assert window.all_day
    assert window.seconds_to_post(china(f"2026-11-23 {moment}").timestamp(), TIMEOUT) == wait
    assert window.usable_seconds(TIMEOUT) == 86_400 - 2 - 15


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("25:99-26:00", "'25:99' is not a time of day"),
        ("09:60-10:00", "'09:60' is not a time of day"),
        ("09:00-24:01", "'24:01' is not a time of day"),
        ("18:00-09:00", "ends before it begins"),
        ("09:00-09:00", "is empty"),
        ("", "is not a window"),
        ("nine to six", "is not a window"),
        ("09:00", "is not a window"),
        (9, "is not a window"),
        (None, "is not a window"),
        ("09:00-18:00-20:00", "is not a window"),
    ],
)
def test_a_bad_window_is_refused_with_a_sentence(text: object, sentence: str) -> None:
    """The sentence names the field, the value and what was expected."""
    with pytest.raises(ValueError, match="send_window") as refused:
        SendWindow.parse(text)  # type: ignore[arg-type]  # bad on purpose
    assert sentence in str(refused.value)
    assert '"09:00-18:00"' in str(refused.value)


def test_a_window_may_be_given_in_many_ways() -> None:
    """Text, two texts, two times and a window are the same window; its text reads back."""
    ways = [SendWindow("9:00 - 18:00"), SendWindow("09:00", "18:00"), SendWindow(time(9), time(18)), OFFICE]
    assert {str(SendWindow.parse(way)) for way in ways} == {"09:00-18:00"}
    assert len(set(ways)) == 1
    assert SendWindow(str(SendWindow("09:00:30-18:00:05"))) == SendWindow("09:00:30-18:00:05")
    assert repr(OFFICE) == 'SendWindow("09:00-18:00")'
    assert OFFICE != "09:00-18:00"


@given(
    opens=st.integers(0, 86_398),
    length=st.integers(1, 86_400),
    now=st.integers(1_577_836_800, 2_208_988_800),
)
def test_a_post_is_only_ever_inside(opens: int, length: int, now: int) -> None:
    """Whatever the window, what may leave now is inside, and waiting as told leads to a moment that may."""
    closes = min(86_400, opens + length)
    window = SendWindow(f"{_clock(opens)}-{_clock(closes)}")
    if window.usable_seconds(1) <= 0:
        return
    wait = window.seconds_to_post(now, 1)
    later = datetime.fromtimestamp(now + wait, tz=UTC)
    assert window.contains(later)
    assert window.seconds_to_post(now + wait, 1) == 0


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
