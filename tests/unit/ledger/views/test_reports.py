from __future__ import annotations

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.views import reports
from tests.unit.ledger.loads import load, make

A, B, C = "13912345678", "13912345679", "13912345680"


def test_the_report_has_the_audience_s_order(ledger: Ledger) -> None:
    """Rows are merged in the order of their numbers, and read in the order they came in."""
    campaign = make(ledger)
    load(ledger, campaign, "s", [(C, None), (A, None), ("x", "invalid_number"), (B, None)])
    load(ledger, campaign, "t", [("13800000000", None)])
    with ledger.reading() as connection:
        assert [row.mobile for row in reports.read_report(connection, campaign, 0.0)] == [
            C,
            A,
            "x",
            B,
            "13800000000",
        ]
