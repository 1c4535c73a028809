from __future__ import annotations

from datetime import timedelta

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_caixin.china_time import CHINA, china_midnight
from airflow_provider_caixin.rules import FrequencyCap

NOON = pendulum.datetime(2026, 11, 23, 12, tz=CHINA).timestamp()
HOUR = 3600.0
DAY = 24 * HOUR


def test_a_day_is_a_calendar_day_in_china() -> None:
    """Yesterday evening does not count today, though it is less than 24 hours ago."""
    cap = FrequencyCap(per_day=1)
    assert cap.allows(NOON, [NOON - 13 * HOUR])
    assert not cap.allows(NOON, [NOON - 11 * HOUR])
    assert cap.since(NOON) == NOON - 12 * HOUR


def test_a_rolling_day_is_24_hours() -> None:
    """Rolling, yesterday evening counts."""
    cap = FrequencyCap(per_day=1, rolling=True)
    assert not cap.allows(NOON, [NOON - 13 * HOUR])
    assert cap.allows(NOON, [NOON - 24 * HOUR - 1])


def test_a_week_is_any_seven_days() -> None:
    """Three messages in seven consecutive calendar days are enough; the eighth day is another week."""
    cap = FrequencyCap.parse("games_health")
    assert not cap.allows(NOON, [NOON - 6 * DAY, NOON - 3 * DAY, NOON - DAY])
    assert cap.allows(NOON, [NOON - 7 * DAY, NOON - 3 * DAY, NOON - DAY])
    assert cap.since(NOON) == NOON - 12 * HOUR - 6 * DAY


def test_presets() -> None:
    """The document's two kinds of business."""
    assert FrequencyCap.parse("member_marketing") == FrequencyCap(per_day=1)
    assert FrequencyCap.parse("games_health") == FrequencyCap(per_day=1, per_week=3)
    assert FrequencyCap.parse('{"per_week": 2, "rolling": true}') == FrequencyCap(None, 2, rolling=True)
    assert FrequencyCap.parse({"per_day": 2}) == FrequencyCap(2)


@pytest.mark.parametrize(
    "value",
    ["member", "", "3", {}, {"per_month": 1}, {"per_day": 0}, {"per_day": True}, {"per_day": "1"}, 7, ["1"]],
)
def test_a_bad_cap_is_refused_with_a_sentence(value: object) -> None:
    """The sentence names the field and what was expected."""
    with pytest.raises(ValueError, match=r"frequency_cap.*expected.*member_marketing"):
        FrequencyCap.parse(value)  # type: ignore[arg-type]  # bad on purpose
    with pytest.raises(ValueError, match="neither per_day nor per_week"):
        FrequencyCap(per_day=None)


@pytest.mark.parametrize(
    ("cap", "default", "looser"),
    [
        (FrequencyCap(2), FrequencyCap(1), True),
        (FrequencyCap(1), FrequencyCap(1), False),
        (FrequencyCap(1, 3), FrequencyCap(1), False),
        (FrequencyCap(1), FrequencyCap(1, 3), True),
        (FrequencyCap(None, 3), FrequencyCap(1), True),
        (FrequencyCap(None, 1), FrequencyCap(1), False),
    ],
)
def test_looser(cap: FrequencyCap, default: FrequencyCap, looser: bool) -> None:
    """A cap is looser when it lets more pass in a day or in a week."""
    assert cap.looser_than(default) is looser


@given(st.lists(st.floats(0, 30 * DAY), max_size=30), st.booleans())
def test_keeping_the_cap_keeps_every_day_and_week(offsets: list[float], rolling: bool) -> None:
    """Messages let through one after the other never exceed the cap, wherever the days are cut."""
    cap = FrequencyCap(per_day=2, per_week=5, rolling=rolling)
    sent: list[float] = []
    for moment in sorted(NOON + offset for offset in offsets):
        if cap.allows(moment, sent):
            sent.append(moment)
    for moment in sent:
        start = moment if rolling else china_midnight(moment)
        day = [one for one in sent if start <= one < start + DAY]
        week = [one for one in sent if start <= one < start + timedelta(days=7).total_seconds()]
        assert len(day) <= 2
        assert len(week) <= 5
