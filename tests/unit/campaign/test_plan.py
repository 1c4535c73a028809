from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pendulum
import pytest

from airflow_provider_caixin.campaign import Plan
from airflow_provider_caixin.campaign.clocks import Moments
from airflow_provider_caixin.campaign.plan import Hours
from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.rules import SendWindow

OFFICE = SendWindow("09:00-18:00")
LOADED = pendulum.datetime(2026, 11, 23, 20, tz=CHINA)


def plan(**fields: Any) -> Plan:
    """Make a plan of which only some fields matter."""
    return Plan(**{"campaign_id": "c", "tpl_id": 65535, "account": "a", **fields})


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("campaign_id", " ", "names the campaign"),
        ("tpl_id", "65535", "the template's number"),
        ("tpl_id", True, "the template's number"),
        ("rate", 0, "above 0 and at most 300"),
        ("rate", 301, "above 0 and at most 300"),
        ("max_messages", -1, "a whole number from 0"),
        ("max_messages", "9", "a whole number from 0"),
        ("max_per_day", 1.5, "a whole number from 0"),
        ("max_consecutive_failures", 0, "a whole number from 1"),
        ("max_failure_ratio", 0, "above 0 and at most 1"),
        ("max_failure_ratio", 50, "above 0 and at most 1"),
        ("on_unknown", "retry", '"hold" or "resend"'),
        ("expires_at", "tomorrow", '"close"'),
        ("expires_at", "close", "needs a send_window"),
        ("window", SendWindow("09:00:00-09:00:15"), "too short"),
    ],
)
def test_a_bad_field_is_refused_with_a_sentence(field: str, value: object, expected: str) -> None:
    """It says what was expected."""
    with pytest.raises(ValueError, match=expected) as refused:
        plan(**{field: value})
    name = {"rate": "messages_per_second", "window": "send_window"}.get(field, field)
    assert str(refused.value).startswith(name)


@pytest.mark.parametrize(
    ("expires_at", "moment"),
    [
        (None, None),
        (timedelta(hours=2), LOADED.add(hours=2)),
        (datetime(2026, 11, 23, 21, 30), pendulum.datetime(2026, 11, 23, 21, 30, tz=CHINA)),  # noqa: DTZ001  # no zone on purpose
        (datetime(2026, 11, 23, 14, tzinfo=UTC), pendulum.datetime(2026, 11, 23, 22, tz=CHINA)),
        ("close", pendulum.datetime(2026, 11, 24, 18, tz=CHINA)),
    ],
)
def test_expiry(expires_at: Any, moment: pendulum.DateTime | None) -> None:
    """A moment without a zone is China's; the first closing after a load in the evening is tomorrow's."""
    expiry = plan(expires_at=expires_at, window=SendWindow("09:00-18:00")).expiry(LOADED.timestamp())
    assert expiry == (None if moment is None else moment.timestamp())


@pytest.mark.parametrize(
    ("window", "moment"),
    [
        (None, pendulum.datetime(2026, 11, 24, tz=CHINA)),
        (SendWindow("00:00-24:00"), pendulum.datetime(2026, 11, 24, tz=CHINA)),
        (SendWindow("09:00-18:00"), pendulum.datetime(2026, 11, 24, 9, tz=CHINA)),
    ],
)
def test_what_is_used_up_today_comes_back_on_another_day(
    window: SendWindow | None, moment: pendulum.DateTime
) -> None:
    """Also where the window opens once more today."""
    for hour in (1, 12, 20):
        assert (
            plan(window=window).next_day(pendulum.datetime(2026, 11, 23, hour, tz=CHINA).timestamp())
            == moment
        )


@pytest.mark.parametrize(
    ("window", "moment", "wait", "opens"),
    [
        (None, "23:59:45", 0, None),
        (None, "23:59:50", 12, None),
        ("00:00-24:00", "23:59:50", 12, None),
        ("00:00-24:00", "00:00:01", 1, None),
        ("00:00-18:00", "23:59:59.5", 2.5, "00:00"),
        ("09:00-24:00", "23:59:46", 9 * 3600 + 16, "09:00"),
        ("09:00-18:00", "18:00:00", 15 * 3600 + 2, "09:00"),
    ],
)
def test_what_leaves_arrives_inside_the_window_and_on_the_same_day(
    window: str | None, moment: str, wait: float, opens: str | None
) -> None:
    """Whatever the window; where it opens again at midnight a run waits, and does not end."""
    one = plan(window=SendWindow(window) if window else None)
    now = pendulum.parse(f"2026-11-23 {moment}", tz=CHINA).timestamp()  # type: ignore[union-attr]  # a moment
    assert one.seconds_to_post(now) == pytest.approx(wait, abs=1e-6)
    found = one.opening(now)
    assert (found and f"{found:%H:%M}") == opens
    assert one.opening(now, patience=wait) is None


def at(text: str) -> float:
    """Return a moment in China."""
    return float(pendulum.parse(text, tz=CHINA).timestamp())  # type: ignore[union-attr]  # a moment


def test_a_message_may_leave_when_both_clocks_say_so() -> None:
    """In the open window, before the expiry by the host's clock, and while both name one day."""
    noon, closed, midnight = at("2026-11-23 12:00"), at("2026-11-23 08:59"), at("2026-11-24 00:00")
    hours = Hours(plan(window=OFFICE), expires=noon + 10)
    assert hours.may_post(Moments(noon, noon))
    assert not hours.may_post(Moments(closed, noon))
    assert not hours.may_post(Moments(noon, closed))
    assert hours.may_post(Moments(closed, noon), within=62.0)
    assert not hours.may_post(Moments(noon, closed), within=61.0)
    assert hours.may_post(Moments(noon, noon + 20))
    assert not hours.may_post(Moments(noon + 10, noon), within=9e9)
    assert (hours.have_expired(noon + 9), hours.have_expired(noon + 10)) == (False, True)
    assert Hours(plan()).seconds_to_post(Moments(midnight + 5, midnight + 9)) == 0
    assert Hours(plan()).seconds_to_post(Moments(midnight + 5, midnight - 3)) == pytest.approx(5.0)
    assert Hours(plan()).seconds_to_post(Moments(midnight - 3, midnight + 5)) == pytest.approx(5.0)
