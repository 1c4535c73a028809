from __future__ import annotations

from tests.unit.audience.kinds import KINDS


def test_the_prefixes_are_all_there_are() -> None:
    """No number is of two kinds, and none of no kind."""
    for thousand in range(1300, 2000):
        assert sum(str(thousand).startswith(prefix) for _, prefix in KINDS) == 1, thousand
