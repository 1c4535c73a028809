"""Send windows for tests that wait for an opening, at any hour."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_provider_caixin.china_time import CHINA


def opening(seconds: int) -> tuple[datetime, str]:
    """Give a window that opens in so many seconds, or after midnight in China, and is closed until then."""
    opens = datetime.now(CHINA).replace(microsecond=0) + timedelta(seconds=seconds)
    if f"{opens:%H:%M}" >= "23:58":
        # What opens so late would close before a task is back.
        opens = opens.replace(hour=0, minute=0, second=3) + timedelta(days=1)
    # What opens on the next day is closed late on this one.
    return opens, f"{opens:%H:%M:%S}-{'18:00' if opens.hour < 12 else '24:00'}"
