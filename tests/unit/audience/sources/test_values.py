"""What a Dag gives as numbers: kinds of values that are read, and those that only look like a list."""

from __future__ import annotations

import csv
import io
import json
from array import array
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_caixin.audience import (
    AudienceError,
    FileAudience,
    ListAudience,
    audience_from,
    digest_of,
    normalise,
)
from tests.unit.audience.sources.stored import A, B, C


class Column:
    """A column, as pandas, polars and numpy have it: it goes through its values."""

    ndim = 1

    def __init__(self, *values: object) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[object]:
        return iter(self.values)


class Scalar:
    """A value of Arrow's, which is neither text nor number."""

    def __init__(self, value: object) -> None:
        self.value = value

    def as_py(self) -> object:
        """Return the plain value."""
        return self.value


class ArrowColumn(Column):
    """A column of Arrow's."""

    def __iter__(self) -> Iterator[object]:
        return map(Scalar, self.values)

    def to_pylist(self) -> list[object]:
        """Return the plain values."""
        return list(self.values)


class Frame:
    """A table, as pandas and polars have it: it goes through its headings."""

    columns = ("mobile", "name")
    shape = (2, 2)

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)


class ArrowTable:
    """A table of Arrow's: going through it is not foreseen."""

    column_names = ("mobile", "name")


class Matrix(Column):
    """More than one dimension, or none."""

    def __init__(self, dimensions: int) -> None:
        super().__init__(Column(A), Column(B))
        self.ndim = dimensions


class Records(Column):
    """A column of rows with named fields."""

    dtype = SimpleNamespace(names=("mobile", "name"))


class Text(str):
    """What templating engines return."""

    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [
        Column(A, B),
        ArrowColumn(A, B),
        [Scalar(A), Scalar(int(B))],
        [A.encode(), bytearray(B.encode())],
        [memoryview(A.encode()), f'="{B}"'],
        f"{A}\n{B}".encode(),
        bytearray(f"{A},{B}".encode()),
        memoryview(f"['{A}', '{B}']".encode()),
        {"x": A, "y": B}.values(),
        {A: "x", B: "y"}.keys(),
        array("q", [int(A), int(B)]),
        [Text(A), Decimal(B)],
        (one for one in (A, B)),
        range(int(A), int(B) + 1),
    ],
    ids=range(14),
)
def test_what_is_plain_is_read(value: object) -> None:
    """Columns of all kinds, bytes as the text that they spell, views and generators."""
    audience = audience_from(value)
    assert [normalise(row) for row in audience] == [normalise(row) for row in audience] == [A, B]
    assert not audience.single
    assert str(audience) == "mobiles"


@pytest.mark.parametrize(
    "value", [A.encode(), bytearray(A.encode()), memoryview(A.encode()), Text(A)], ids=range(4)
)
def test_bytes_of_one_number_are_single(value: object) -> None:
    """As their text is."""
    audience = audience_from(value)
    assert audience.single
    assert list(audience) == [A]


def test_rows_that_are_nothing_are_rows() -> None:
    """NaN, None and dates count among the audience and are no numbers."""
    rows = list(audience_from([A, None, float("nan"), date(2026, 11, 29), True, ""]))
    assert len(rows) == 6
    assert [normalise(row) for row in rows] == [A, *[None] * 5]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (Frame(), r"got a table \(Frame\), expected one column of it; pass that, such as df\['mobile'\]"),
        (ArrowTable(), r"got a table \(ArrowTable\)"),
        (Records(), r"got a table \(Records of records\), expected one field"),
        (Matrix(2), r"got Matrix of 2 dimensions.*\[:, 0\]"),
        (Matrix(0), r"got Matrix of 0 dimensions.*\.item\(\)"),
        ([Frame()], "item 0 is a Frame.*flat list"),
        ([A, Column(B)], "item 1 is a Column.*flat list"),
        ([Scalar({"mobile": A})], "item 0 is a dict"),
        ({"x": A}.items(), "item 0 is a tuple"),
        ([{A}], "item 0 is a set"),
        ([(one for one in [A])], "item 0 is a generator"),
        (io.StringIO(f"{A}\n{B}\n"), r"open file or its reader \(StringIO\).*audience_file"),
        (io.BytesIO(f"{A}\n{B}\n".encode()), "open file.*audience_file"),
        (csv.reader([A, B]), "open file or its reader.*audience_file"),
        (csv.DictReader(["mobile", A]), "open file or its reader.*audience_file"),
        (Path("a.csv"), "got PosixPath.*audience_file"),
        (b"", "empty text"),
        (b"{'mobile': 1}", "dict"),
    ],
    ids=range(18),
)
def test_what_only_looks_like_a_list_is_refused(value: object, sentence: str) -> None:
    """Nobody goes through headings, rows, lines or keys by chance; the sentence says what to give."""
    with pytest.raises(AudienceError, match=f"(?s)^mobiles: .*{sentence}") as caught:
        audience_from(value)
    assert not any(number in str(caught.value) for number in (A, B))


def test_what_sources_are_known_by_stays() -> None:
    """Campaigns in ledgers are known by these: another value would load them once more."""
    fingerprints = [ListAudience(values).fingerprint for values in ([A, B], [int(A), None, float(B)], [])]
    assert fingerprints == [
        "15ff72cc284c44df45df8cf9945c834bfb15ccc2ae64713e7d475f51bf9da024",
        "38e62244c4984e7158db85544e3a7a8cacf059b83f3e32ccbd2adfba9b402fd2",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ]

    class Stored:
        name = "a.csv"

        def __str__(self) -> str:
            return "s3://bucket/a.csv"

        def stat(self) -> dict[str, Any]:
            return {"size": 10, "ETag": "x"}

        def open(self, _mode: str, /) -> Any:
            raise AssertionError

    named, unnamed = FileAudience(Stored(), "Mobile"), FileAudience(Stored(), "")
    assert (named.place, unnamed.place) == ("d0f3c8db3064c8ec", "29afeb901a4fc430")
    assert (named.fingerprint, unnamed.fingerprint) == (
        "aea27ebf67afa9ee1c7f7ad092dc612fb70c24324d8e66e9e564885f9b22e06f",
        "49b1717571b8b065400f72692c2bf949a88a1dc0d19386efcbc45e16fbe2a06e",
    )
    identity = ["db", "SELECT 1", None, "mobile", b"x", {"a": b"1"}]
    assert digest_of(identity) == "683a7783a880944fecfd97685a857b85acacbb303d7fcbf5bd378e56fb586ece"


def test_bytes_are_known_by_what_they_spell() -> None:
    """A view has no text of its own that two processes would agree on."""
    prints = {
        ListAudience([value]).fingerprint
        for value in (A, A.encode(), bytearray(A.encode()), memoryview(A.encode()))
    }
    assert len(prints) == 1


@pytest.mark.parametrize(
    "value", [A, f" {A}\n", f"{A},", "+86 139-1235-0001", 13912350001, 13912350001.0], ids=ascii
)
def test_one_number_is_single(value: object) -> None:
    """A number as text, int or float is an audience of one that knows it was one."""
    audience = audience_from(value)
    assert audience.single
    assert [normalise(row) for row in audience] == [A]


@pytest.mark.parametrize(
    "value",
    [
        [A, B, C],
        (A, B, C),
        {A: 1, B: 2, C: 3}.keys(),
        f"{A}\n{B}\r\n\r\n{C}\n",
        f"{A}, {B},{C}",
        f"{A};{B}，{C}",
        f"{A}；{B}、{C}",
        json.dumps([A, B, C]),
        repr([A, B, C]),
        repr((A, B, C)),
        f"[{A}, {B}, {C}]",
    ],
    ids=ascii,
)
def test_lists_of_all_kinds_are_lists(value: object) -> None:
    """Lists, views, separated text, and what Jinja makes of a list."""
    audience = audience_from(value)
    assert not audience.single
    assert [normalise(row) for row in audience] == [A, B, C]
    assert [normalise(row) for row in audience] == [A, B, C]


def test_a_list_of_one_is_not_single() -> None:
    """Only a lone number is single, not a list that happens to hold one."""
    assert not audience_from([A]).single
    assert not audience_from(f"['{A}']").single


@pytest.mark.parametrize("value", [[], (), "[]", iter(())], ids=["list", "tuple", "text", "iterator"])
def test_an_empty_list_is_nobody(value: object) -> None:
    """An upstream task may well find nobody."""
    assert list(audience_from(value)) == []


def test_what_can_be_read_once_is_kept() -> None:
    """A generator gives its rows each time."""
    audience = audience_from(number for number in (A, B))
    assert list(audience) == list(audience) == [A, B]


def test_a_lazy_sequence_is_fetched_once() -> None:
    """Airflow's lazy XCom sequence asks its server for every item, so no item is asked for twice."""
    fetched = []

    class Lazy(Sequence[str]):
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: Any) -> Any:
            value = (A, B)[index]
            fetched.append(value)
            return value

    audience = audience_from(Lazy())
    assert list(audience) == list(audience) == [A, B]
    assert fetched == [A, B]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (None, "nothing.*upstream task"),
        ("None", "text None.*upstream task"),
        ("", "empty text"),
        (" \n,;", "empty text"),
        ({"mobiles": [A]}, "dict.*pass the list inside"),
        ('{"mobiles": []}', "dict.*pass the list inside"),
        ([A, [B]], r"item 1 is a list.*expand\(\)"),
        ([(A,)], "item 0 is a tuple.*flat list"),
        ([{"mobile": A}], "item 0 is a dict.*number column"),
        (f"[['{A}']]", "item 0 is a list"),
        (f"['{A}", "begins like a list"),
        ("[" * 100_000, "begins like a list"),
        (True, "bool"),
        (object(), "object"),
    ],
    ids=range(14),
)
def test_what_is_no_audience_is_refused(value: object, sentence: str) -> None:
    """The sentence says what came, what was expected and what to do, and shows no number."""
    with pytest.raises(AudienceError, match=f"^mobiles: .*{sentence}") as caught:
        audience_from(value)
    assert A not in str(caught.value)


def test_the_fingerprint_of_a_list_is_of_its_values() -> None:
    """Same values, same fingerprint; other values, or cut otherwise, another; no number in it."""
    assert ListAudience([A, B]).fingerprint == ListAudience((A, B)).fingerprint
    texts = {ListAudience(values).fingerprint for values in ([A, B], [A], [], [A + B], [f"{A},{B}"], [B, A])}
    assert len(texts) == 6
    assert not any(A in text for text in texts)
    assert ListAudience(["\ud800", 10**5000, None]).fingerprint
