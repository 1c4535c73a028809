"""When, how fast and how often: the send window, the rate and the frequency cap."""

from __future__ import annotations

from airflow_provider_caixin.rules.cap import FrequencyCap, china_midnight, start_of
from airflow_provider_caixin.rules.rate import DEFAULT_RATE, GATEWAY_RATE
from airflow_provider_caixin.rules.window import CHINA, CLOSING_GUARD, OPENING_GUARD, SendWindow, in_china

__all__ = [
    "CHINA",
    "CLOSING_GUARD",
    "DEFAULT_RATE",
    "GATEWAY_RATE",
    "OPENING_GUARD",
    "FrequencyCap",
    "SendWindow",
    "china_midnight",
    "in_china",
    "start_of",
]
