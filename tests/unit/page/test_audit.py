"""What is recorded of a person who acts."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from airflow_provider_caixin.ledger import Ledger

from .conftest import A, B, Browser


def test_a_number_in_a_reason_stays_out_of_the_logs(
    browser: Callable[..., Browser],
    home_ledger: Ledger,
    audited: Callable[[], list[tuple[str, str, str]]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """People type what they have before them; the list keeps it as it is."""
    assert home_ledger.uuid
    reason = f"{B[:3]} {B[3:7]}-{B[7:]} asked on 2026-11-26"
    with caplog.at_level("INFO"):
        done = browser("admin").post("/recipient/suppress", {"number": A, "reason": reason})
    assert done["suppressed"]["reason"] == reason
    ((_, _, extra),) = audited()
    assert json.loads(extra)["reason"] == "*** asked on 2026-11-26"
    assert B[7:] not in caplog.text
