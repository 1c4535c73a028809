"""China's time and days: every rule goes by them."""

from __future__ import annotations

from datetime import date, datetime

import pendulum

CHINA = pendulum.timezone("Asia/Shanghai")

DAY_SECONDS = 24 * 3600

UTC_OFFSET_SECONDS = 8 * 3600


def seconds_of_day(now: float) -> float:
    """
    Say how far into its calendar day in Asia/Shanghai a moment is (UTC+8, no summer time since 1991).

    :param now: a moment, in seconds since the epoch.
    """
    return (now + UTC_OFFSET_SECONDS) % DAY_SECONDS


def in_china(moment: datetime) -> pendulum.DateTime:
    """
    Read a moment in Asia/Shanghai.

    :param moment: any moment; one without a zone is taken as Asia/Shanghai.
    """
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=CHINA)
    return pendulum.instance(aware).in_timezone(CHINA)


def china_midnight(now: float) -> float:
    """
    Reckon the start of a moment's calendar day in Asia/Shanghai.

    :param now: a moment, in seconds since the epoch.
    """
    return now - seconds_of_day(now)


def start_of_day(day: date) -> float:
    """
    Give the start of a calendar day in Asia/Shanghai, in seconds since the epoch.

    :param day: the day.
    """
    return datetime(day.year, day.month, day.day, tzinfo=CHINA).timestamp()
