from __future__ import annotations

from airflow_provider_caixin.audience.sources.patterns import pattern_of
from tests.unit.audience.sources.stored import A


def test_the_shape_of_a_row_of_another_width_says_its_width() -> None:
    """What is in it stays covered."""
    assert pattern_of(f"[5 cells under 4 headings] 甲,{A}") == "[5 cells under 4 headings] x,99999999999"
