from __future__ import annotations

import resource

import pytest

from airflow_provider_caixin.ledger import LedgerUnavailable
from airflow_provider_caixin.ledger.files import temporary_folder
from airflow_provider_caixin.ledger.queue.sorting import sorted_audience
from tests.unit.ledger.loads import Rows

A, B = "13912345678", "13912345679"


def test_sorting_streams_every_row_once() -> None:
    """Sorted by number, with its place, and occurrences counted."""
    rows: Rows = [(B, None), (A, "blocked_region"), (B, None), (A, None)]
    found = [
        (row["number"], row["occurrence"], row["position"], row["reason"]) for row in sorted_audience(rows)
    ]
    assert found == [
        (A, 1, 1, "blocked_region"),
        (A, 2, 3, "duplicate"),
        (B, 1, 0, None),
        (B, 2, 2, "duplicate"),
    ]


def test_a_temporary_folder_that_is_too_small() -> None:
    """The load says where the room is missing; an error of the audience's own source stays what it is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    rows = ((str(13_900_000_000 + (place * 7_919) % 100_003), None) for place in range(100_000))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(LedgerUnavailable, match=r"temporary folder .*SQLITE_TMPDIR or TMPDIR") as caught:
            list(sorted_audience(rows))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(temporary_folder()) in str(caught.value)
