"""What the commands print, in each format."""

from __future__ import annotations

import pytest

from .conftest import Run


@pytest.mark.parametrize("output", ["table", "plain", "yaml", "json"])
def test_outputs(run: Run, sent: str, output: str) -> None:
    """All four hold the same."""
    shown = run("campaigns", "-o", output)
    assert shown.status == 0
    assert sent in shown.out
    assert "65535" in shown.out
