"""When, how fast and how often: the send window, the rate and the frequency cap."""

from __future__ import annotations

from airflow_provider_caixin.rules.cap import FrequencyCap
from airflow_provider_caixin.rules.rate import DEFAULT_RATE, GATEWAY_RATE
from airflow_provider_caixin.rules.window import (
    ANY_TIME,
    CLOSING_GUARD_SECONDS,
    OPENING_GUARD_SECONDS,
    SendWindow,
)

__all__ = [
    "ANY_TIME",
    "CLOSING_GUARD_SECONDS",
    "DEFAULT_RATE",
    "GATEWAY_RATE",
    "OPENING_GUARD_SECONDS",
    "FrequencyCap",
    "SendWindow",
]
