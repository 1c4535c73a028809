"""When and how often: the send window and the frequency cap."""

from __future__ import annotations

from airflow_provider_caixin.rules.cap import FrequencyCap, china_midnight
from airflow_provider_caixin.rules.window import CHINA, OPENING_GUARD, SendWindow, in_china

__all__ = ["CHINA", "OPENING_GUARD", "FrequencyCap", "SendWindow", "china_midnight", "in_china"]
