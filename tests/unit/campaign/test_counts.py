from __future__ import annotations

import pytest

from airflow_provider_caixin.campaign import Counts


def test_counts_add_up() -> None:
    """Every recipient is counted once, in-flight ones as pending, codes as text, reasons in a fixed order."""
    counts = Counts("c", 65535)
    assert counts.failure_ratio == 0
    counts.add(
        [
            ("sent", None, None, 5),
            ("unknown", None, None, 1),
            ("skipped", "duplicate", None, 2),
            ("skipped", "blocked_region", None, 1),
            ("rejected", None, 236306, 2),
            ("pending", None, None, 3),
            ("in_flight", None, None, 4),
        ]
    )
    assert counts.as_result("s3://reports/c.csv") == {
        "campaign_id": "c",
        "tpl_id": 65535,
        "total": 18,
        "sent": 5,
        "skipped": {"blocked_region": 1, "duplicate": 2},
        "rejected": {"236306": 2},
        "unknown": 1,
        "pending": 7,
        "report_file": "s3://reports/c.csv",
    }
    assert list(counts.as_result()["skipped"]) == ["blocked_region", "duplicate"]
    assert counts.failure_ratio == pytest.approx(3 / 8)
