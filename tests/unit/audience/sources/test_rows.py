from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from airflow_provider_caixin.audience import AudienceError, QueryAudience, normalise

A, B = "13912340001", "13912340002"


def query(sql: str, column: str | None = None, opened: list[str] | None = None) -> QueryAudience:
    """Return the audience of a query on an empty SQLite database."""

    @contextmanager
    def execute() -> Iterator[Any]:
        if opened is not None:
            opened.append(sql)
        with closing(sqlite3.connect(":memory:")) as connection:
            yield connection.execute(sql)

    return QueryAudience(execute, column, identity=("db", sql, None))


@pytest.mark.parametrize(
    ("sql", "column"),
    [
        (f"SELECT {A} AS anything", None),
        (f"SELECT 'x' AS name, '{A}' AS MOBILE", None),
        (f"SELECT 'x' AS name, '{A}' AS 手机号", None),
        (f"SELECT '{B}' AS mobile, '{A}' AS Phone", "phone"),
    ],
    ids=["only", "mobile", "chinese", "named"],
)
def test_the_column(sql: str, column: str | None) -> None:
    """It is found as in a file."""
    assert [normalise(row) for row in query(sql, column)] == [A]


def test_all_rows() -> None:
    """More rows than are fetched at once, NULL among them, come in their order."""
    sql = f"WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 12000) SELECT CASE WHEN i THEN {A} + i END FROM n"
    rows = list(query(sql))
    assert (rows[0], rows[1], rows[-1], len(rows)) == (None, int(A) + 1, int(A) + 12_000, 12_001)


def test_nobody() -> None:
    """A result without rows is an audience of nobody."""
    assert list(query("SELECT 1 AS mobile WHERE 0")) == []


@pytest.mark.parametrize(
    ("sql", "column", "sentence"),
    [
        ("CREATE TABLE t (i)", None, "the statement gives no rows; expected a SELECT"),
        ("SELECT 1 AS a, 2 AS b", None, r"no single column mobile/.* among its columns \(a, b\); name one"),
        ("SELECT 1 AS mobile", "phone", r"no single column phone among its columns \(mobile\)"),
        (f"SELECT 1, '{A}'", None, r"\(9, '9{11}'; 9 stands for a digit"),
    ],
    ids=["no select", "several", "missing", "numbers as headings"],
)
def test_what_cannot_be_an_audience(sql: str, column: str | None, sentence: str) -> None:
    """A sentence names the columns, and no number in full."""
    with pytest.raises(AudienceError, match=sentence) as raised:
        list(query(sql, column))
    assert A not in str(raised.value)


def test_the_fingerprint_opens_nothing() -> None:
    """It is that of the query, its column and its place, and the same in every process."""
    opened: list[str] = []
    first = query("SELECT 1", opened=opened).fingerprint
    assert first == query("SELECT 1").fingerprint
    assert len({first, query("SELECT 2").fingerprint, query("SELECT 1", "a").fingerprint}) == 3
    assert not opened
