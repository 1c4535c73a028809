"""What tests of whole campaigns share."""

from __future__ import annotations

import time
from collections.abc import Callable

import pendulum

from airflow_provider_caixin.campaign import Campaign
from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.rules import FrequencyCap, SendWindow

Make = Callable[..., Campaign]
# As the fixture has it.
LEASE = 7.0
OFFICE = SendWindow("09:00-18:00")
ONE_A_DAY = FrequencyCap(1)
BEIJING = "13910000001"


def numbers(count: int, start: int = 0) -> list[str]:
    """Make up numbers that every rule lets pass."""
    return [str(13_912_340_000 + start + index) for index in range(count)]


def clock_at(text: str) -> Callable[[], float]:
    """Make a clock that starts at a moment in China and runs on."""
    offset = pendulum.parse(text, tz=CHINA).timestamp() - time.time()  # type: ignore[union-attr]  # a moment
    return lambda: time.time() + offset
