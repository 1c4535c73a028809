"""The row of an account and its pacer, as tests make them."""

from __future__ import annotations

from airflow_provider_caixin.ledger.queue.pacer import Pacer
from airflow_provider_caixin.ledger.rows.account import AccountRow

NOW = 1_795_400_000.0
MIDNIGHT = NOW - 40_000


def account(**fields: object) -> AccountRow:
    """Make the row of an account that nobody has used."""
    values: dict[str, object] = {
        "id": 1, "next_slot": 0.0, "reach": None, "pace": 1.0, "paced_at": None, "slowest_since": None,
        "failures": 0, "last_sent_at": None, "day": MIDNIGHT, "day_count": 0, "paused": False,
        "max_per_day": None,
    }  # fmt: skip
    return AccountRow(**{**values, **fields})  # type: ignore[arg-type]  # fields of many types


def pacer(**fields: object) -> Pacer:
    """Make the pacer of such an account."""
    return Pacer(account(**fields))
