from __future__ import annotations

import os
import subprocess
import sys
from collections import UserList, deque
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from uuid import UUID

import pytest

from airflow_provider_caixin.audience import audience_from, digest_of

A, B = "13912340001", "13912340002"


class Elided(list[int]):
    """A table that shows its size only, as those of pandas, numpy and what Airflow fetches item by item."""

    def __repr__(self) -> str:
        return f"<{len(self)} rows>"


class Table:
    """The same, and no sequence."""

    def __init__(self, *rows: int) -> None:
        self.rows = rows

    def __repr__(self) -> str:
        return "<a table>"


def test_digests_of_what_shows_little_of_itself() -> None:
    """Other contents are another value, whatever the text says."""
    assert digest_of(UserList([1, 2])) == digest_of(UserList([1, 2])) != digest_of(UserList([1, 3]))
    assert digest_of(Elided([1, 2])) == digest_of(Elided([1, 2])) != digest_of(Elided([1, 3]))
    assert digest_of(Table(1, 2)) == digest_of(Table(1, 2)) != digest_of(Table(1, 3))
    assert digest_of(date(2026, 11, 25)) == digest_of(date(2026, 11, 25)) != digest_of(date(2026, 11, 26))


def test_digests() -> None:
    """Equal values have equal digests, in whatever order; objects without a text count by their type."""
    assert digest_of({"a": 1, "b": {2, 3}}) == digest_of({"b": {3, 2}, "a": 1})
    assert digest_of([object()]) == digest_of((object(),))
    assert len({digest_of(value) for value in ("1", 1, [1], {"1": 1}, {1}, Decimal(1), None)}) == 7
    assert digest_of({(1, 2): "x"}) != digest_of({(1, 3): "x"})


@pytest.mark.parametrize(
    ("value", "digest"),
    [
        ("SELECT 1", "b57001b2119079ff"),
        (None, "74234e98afe7498f"),
        (["db", None, "SELECT 1", [1, "a"], None], "3795223ebefdbc49"),
        ({"b": 1, "a": [2, {"c": 3.5}]}, "74f550c1eba78136"),
        ({3, 1, 2}, "f30f50fc859babd6"),
        ([date(2026, 11, 25), datetime(2026, 11, 25, tzinfo=UTC), timedelta(1)], "09fcd472cc8f90dd"),
        ([Decimal("1.10"), PurePosixPath("/a"), UUID(int=1), b"x", True], "7e4991d27c0845ee"),
        (Fraction(1, 3), "7b29916722d56db4"),
        (range(3), "1d226b8db3e15d55"),
        (1 + 2j, "f16fa1b06f9dede5"),
        (deque([1, 2]), "3a316d6d3226f84c"),
        ({"a": 1}.keys(), "4f5e230f8d2e7ab4"),
        (object(), "cb7fd8669277e611"),
        ({(1, 2): 3}, "f07c07ab46672b32"),
        (slice(1, 2), "a6fd4424f70e630f"),
        (len, "b479519b9e107c4b"),
    ],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,  # a repr may hold an address
)
def test_digests_that_ledgers_hold(value: object, digest: str) -> None:
    """Another one would read an audience again, and call a function again, whose campaign has it."""
    assert digest_of(value).startswith(digest)


@pytest.mark.parametrize(
    ("numbers", "digest"),
    [
        (A, "7bce5b1ef3519cf1"),
        ([int(A), B], "8c678465269ed0f7"),
        ((B, A), "8bdf0995818e997c"),
        ({int(A), int(B)}, "8c678465269ed0f7"),
        ({A: 1}.keys(), "7bce5b1ef3519cf1"),
    ],
    ids=["one", "list", "tuple", "numbers", "keys"],
)
def test_lists_that_ledgers_hold(numbers: object, digest: str) -> None:
    """The same for lists."""
    assert audience_from(numbers).fingerprint.startswith(digest)


# What a Dag's arguments may hold, each item in a process whose texts have hashes of their own.
SOURCES = """
import functools
from collections import UserDict
from dataclasses import dataclass, field
from airflow_provider_caixin.audience import audience_from, digest_of

WORDS = ["ash", "birch", "cedar", "fir", "larch", "oak"]

@dataclass
class Filter:
    tags: set = field(default_factory=lambda: set(WORDS))
    inner: list = field(default_factory=lambda: [frozenset(WORDS), {"a": set(WORDS)}])

class Tags(set):
    pass

def function(): ...

for value in (
    set(WORDS), [frozenset(WORDS)], {"tags": {*WORDS}}, {frozenset(WORDS): 1}, {(1, frozenset(WORDS)): 1}, {(1, 2): {frozenset(WORDS)}},
    Filter(), [Filter()], {Filter}, Tags(WORDS), UserDict(tags=set(WORDS)), functools.partial(function, set(WORDS)),
    functools.partial(function, 1), function, lambda: 1, Filter().__repr__, [object()],
):
    print(digest_of(value))
listed = [f"1391234{last:04}" for last in range(9)]
for numbers in (set(listed), frozenset(listed), repr(set(listed)), {*listed, 13912349999}):
    print(audience_from(numbers).fingerprint)
print(digest_of(Filter({"ash"})) != digest_of(Filter({"oak"})) != digest_of(Filter()))
"""


def test_a_source_is_the_same_in_every_process() -> None:
    """Sets have another order in each, and objects lie elsewhere."""
    told = [
        subprocess.run(
            [sys.executable, "-c", SOURCES],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]
    assert (len(told[0]), told[0][-1]) == (22, "True")
