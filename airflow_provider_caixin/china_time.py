"""China's time and its days, by which every rule goes: UTC+8, without summer time since 1991."""

from __future__ import annotations

from datetime import date, datetime

import pendulum

CHINA = pendulum.timezone("Asia/Shanghai")

DAY_SECONDS = 24 * 3600

UTC_OFFSET_SECONDS = 8 * 3600


def in_china(moment: datetime) -> pendulum.DateTime:
    """Return a moment in Asia/Shanghai; one without a zone is taken as Asia/Shanghai."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=CHINA)
    return pendulum.instance(aware).in_timezone(CHINA)


def seconds_of_day(now: float) -> float:
    """Return the seconds since China's midnight at a moment, which is in seconds since the epoch."""
    return (now + UTC_OFFSET_SECONDS) % DAY_SECONDS


def china_midnight(now: float) -> float:
    """Return China's midnight at or before a moment; both are in seconds since the epoch."""
    return now - seconds_of_day(now)


def start_of_day(day: date) -> float:
    """Return the start of a calendar day in China, in seconds since the epoch."""
    return datetime(day.year, day.month, day.day, tzinfo=CHINA).timestamp()
