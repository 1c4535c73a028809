"""When, how fast and how often: the send window, the rate and the frequency cap."""

from __future__ import annotations

from airflow_provider_caixin.rules.cap import FrequencyCap
from airflow_provider_caixin.rules.rate import DEFAULT_RATE, GATEWAY_RATE
from airflow_provider_caixin.rules.window import CLOSING_GUARD, OPENING_GUARD, SendWindow

__all__ = [
    "CLOSING_GUARD",
    "DEFAULT_RATE",
    "GATEWAY_RATE",
    "OPENING_GUARD",
    "FrequencyCap",
    "SendWindow",
]
