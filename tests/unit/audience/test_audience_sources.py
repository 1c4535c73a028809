from __future__ import annotations

import gzip
import io
import json
import os
import tracemalloc
from collections.abc import Iterator, Sequence
from itertools import islice
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_caixin.audience import (
    AudienceError,
    Classifier,
    FileAudience,
    ListAudience,
    audience_from,
    normalise,
)

if TYPE_CHECKING:
    from pathlib import Path

A, B, C = "13800138000", "13900139000", "15000150000"
MOBILES = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)


class StoredFile:
    """A file in memory that looks like one in an object store, with the stat of our choice."""

    def __init__(self, name: str, data: bytes, stat: object = None) -> None:
        self.name = name
        self._data = data
        self._stat = stat

    def __str__(self) -> str:
        return f"s3://bucket/{self.name}"

    def open(self, mode: str, /) -> io.BytesIO:
        """Open the bytes."""
        assert mode == "rb"
        return io.BytesIO(self._data)

    def stat(self) -> object:
        """Give the stat."""
        return self._stat


def rows(name: str, data: bytes | str, column: str | None = None) -> list[str]:
    """Read all rows of a file with that name and content."""
    return list(FileAudience(StoredFile(name, data if isinstance(data, bytes) else data.encode()), column))


# --- values ---


@pytest.mark.parametrize(
    "value", [A, f" {A}\n", f"{A},", "+86 138-0013-8000", 13800138000, 13800138000.0], ids=ascii
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


# --- text files ---


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=ascii)
@pytest.mark.parametrize("bom", ["", "\ufeff"], ids=ascii)
def test_a_text_file_is_one_number_a_line(end: str, bom: str) -> None:
    """Any line end, with and without BOM, last line ended or not; blank lines are no rows, bad ones are."""
    lines = [A, "", B, "   ", "# comment", C]
    expected = [A, B, "# comment", C]
    for data in (bom + end.join(lines), bom + end.join(lines) + end):
        assert rows("a.txt", data) == expected
        assert rows("A.TXT.GZ", gzip.compress(data.encode())) == expected


@settings(deadline=None)
@given(
    st.lists(MOBILES | st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1)),
    st.integers(1, 40),
)
def test_lines_survive_any_chunking(lines: list[str], size: int) -> None:
    """No line is lost, doubled or split where the chunks end, be it within a line end or a character."""

    class Chunked(StoredFile):
        def open(self, mode: str, /) -> io.BytesIO:
            stream = super().open(mode)
            stream.read = lambda _=-1: io.BytesIO.read(stream, size)  # type: ignore[method-assign]
            return stream

    text = "\r\n".join(["x" * 8, *lines])
    assert list(FileAudience(Chunked("a.txt", text.encode()))) == ["x" * 8, *lines]


# --- csv files ---


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        (f"name,mobile\n张三,{A}\n李四,{B}\n", None, [A, B]),
        (f"姓名;手机号\r\n张三;{A}\r\n", None, [A]),
        (f"姓名\t手机号码\n张三\t{A}\n", None, [A]),
        (f"姓名,手机\n张三,{A}\n", None, [A]),
        (f"手机,手机号,Mobile \n1,2,{A}\n", None, [A]),
        (f"手机号,phone\n1,{A}\n", "PHONE ", [A]),
        (f"whatever\n{A}\n", None, [A]),
        (f"whatever,\n{A},\n", None, [A]),
        (f"{A}\n{B}\n", None, [A, B]),
        (f'"+86 138 0013 8000",\n{B},\n', None, ["+86 138 0013 8000", B]),
        (f"138001380\n{B}\n", None, ["138001380", B]),
        (f"phone 1234567\n{B}\n", "phone 1234567", [B]),
        (f'"a,b";mobile\n"x;y";{A}\n', None, [A]),
        (f'name,mobile\n"two\nlines",{A}\n', None, [A]),
        (f"\n \nmobile,name\n\n{A},x\n  \n{B}\n", None, [A, B]),
        (f"name,mobile\nx\nx,{A}\n,\n", None, ["[1 cell under 2 headings] x", A, ""]),
        ("mobile\na\0b\n", None, ["a\0b"]),
        ("mobile,name\n", None, []),
        ("", None, []),
        ("", "mobile", []),
        (f"mobile\n{A}\n", "", [A]),
    ],
    ids=range(21),
)
def test_a_csv_gives_its_number_column(text: str, column: str | None, expected: list[str]) -> None:
    """Delimiters, names of columns, one column without a header, quotes, short rows and blank lines."""
    assert rows("a.csv", text, column) == expected
    assert rows("a.csv", "\ufeff" + text, column) == expected
    assert rows("a.csv.gz", gzip.compress(text.encode()), column) == expected


def test_a_csv_may_be_gb18030() -> None:
    """What Excel in China saves is read, header and rows."""
    assert rows("a.csv", f"姓名,手机号\n張三,{A}\n".encode("gb18030")) == [A]
    assert rows("a.csv", f"姓名,电话\n张三,{A}\n".encode("gb18030"), "电话") == [A]


def test_gb18030_may_begin_late() -> None:
    """A file that is ASCII for more than a MiB and GB18030 behind it loses nothing."""
    data = b"mobile,name\n" + f"{A},x\n".encode() * 100_000 + f"{B},张三\n".encode("gb18030") * 2
    assert len(data) > 1 << 20
    assert rows("a.csv", data)[-3:] == [A, B, B]


def test_a_damaged_character_spoils_its_own_line_only() -> None:
    """Bytes that are neither UTF-8 nor GB18030 are replaced and the other lines stay as they are."""
    data = f"{A}\n".encode() + b"\xff\xff\n" + f"中{B}\n".encode()
    first, spoilt, last = rows("a.txt", data)
    assert (first, last) == (A, f"中{B}")
    assert normalise(spoilt) is None


@pytest.mark.parametrize(
    ("header", "column"),
    [
        (f"{A},张三", None),
        (f"name,id{A},1380013800", None),
        ("a,b", "mobile"),
        ("mobile,Mobile", None),
        ("mobile", "电话"),
    ],
)
def test_a_missing_column_is_named_with_those_there(header: str, column: str | None) -> None:
    """The sentence has file, column and the columns found, and hides numbers among them."""
    with pytest.raises(AudienceError, match=r"s3://bucket/a\.csv.* no single column") as caught:
        rows("a.csv", f"{header}\n{B},x,y\n", column)
    text = str(caught.value)
    assert (column or "mobile/手机号") in text
    assert A not in text
    assert B not in text
    assert "1380013800" not in text
    assert "audience_column" in text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f'name,mobile\n"张三,{A}\n李四,{B}\n', id="never closed"),
        pytest.param(f'name,mobile\n"张三,{A}\n"李四,{B}\n', id="closed by the next"),
        pytest.param('name,mobile\n"' + f"x,{A}\n" * 20_000, id="very long"),
    ],
)
def test_a_stray_quote_does_not_swallow_rows(text: str) -> None:
    """A quote that is not closed is an error with the place, and never one long row."""
    with pytest.raises(AudienceError, match=r"a\.csv.* breaks the rules of CSV near line \d+") as caught:
        rows("a.csv", text)
    assert A not in str(caught.value)


# --- what is refused ---


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("a.xlsx", "CSV UTF-8"),
        ("a.XLS", "CSV UTF-8"),
        ("a.zip", "CSV UTF-8"),
        ("a.csv.bz2", "give one of these"),
        ("a", "give one of these"),
        ("csv", "give one of these"),
    ],
)
def test_other_kinds_of_files_are_refused(name: str, sentence: str) -> None:
    """Before anything is opened the sentence names the file and what is accepted."""
    with pytest.raises(AudienceError, match=rf"bucket/{name}' is no \.txt or \.csv file.*{sentence}"):
        FileAudience(StoredFile(name, b""))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        pytest.param(b"PK\x03\x04rest", "Excel workbook", id="xlsx"),
        pytest.param(b"\xd0\xcf\x11\xe0rest", "Excel workbook", id="xls"),
        pytest.param(f"mobile\n{A}".encode("utf-32"), "UTF-32", id="utf-32"),
        pytest.param(f"mobile\n{A}".encode("utf-32-be"), "UTF-32", id="utf-32 without mark"),
        pytest.param(gzip.compress(b"mobile"), "gzip", id="gzip"),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_that_is_not_what_its_name_says_is_refused(data: bytes, what: str, compressed: bool) -> None:
    """Renamed workbooks and archives, and UTF-32, are told by their first bytes, also within a .gz."""
    with pytest.raises(AudienceError, match=rf"a\.csv.*{what}.*CSV UTF-8"):
        rows("a.csv.gz" if compressed else "a.csv", gzip.compress(data) if compressed else data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"mobile", id="plain"),
        pytest.param(gzip.compress(b"13800138000\n" * 1000)[:-20], id="cut"),
        pytest.param(gzip.compress(os.urandom(1000))[:-8] + bytes(8), id="wrong sum"),
        pytest.param(gzip.compress(b"")[:10] + b"\xff" * 20, id="damaged"),
    ],
)
def test_a_broken_gzip_is_refused(data: bytes) -> None:
    """What was cut or damaged is an error that names the file, and not a shorter audience."""
    with pytest.raises(AudienceError, match=r"a\.txt\.gz.* no whole gzip file"):
        rows("a.txt.gz", data)


@pytest.mark.parametrize("name", ["a.csv", "a.txt"])
def test_a_huge_line_is_refused_before_it_is_read(name: str) -> None:
    """A line without an end stops after a MiB, with its number."""

    class Endless(io.RawIOBase):
        read_so_far = 0

        def read(self, size: int = -1) -> bytes:
            self.read_so_far += size
            return b"mobile\n" + b"1" * (size - 7) if self.read_so_far == size else b"1" * size

    stream = Endless()

    class EndlessFile(StoredFile):
        def open(self, _mode: str, /) -> Any:
            return stream

    with pytest.raises(AudienceError, match=rf"{name}.* more than 1 MiB in line 2"):
        list(FileAudience(EndlessFile(name, b"")))
    assert stream.read_so_far < 2 << 20


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    """Reading and fingerprinting name the path and what to give instead."""
    missing = FileAudience(tmp_path / "missing.csv")
    with pytest.raises(AudienceError, match=r"missing\.csv' does not exist; give the path"):
        list(missing)
    with pytest.raises(AudienceError, match=r"missing\.csv' does not exist; give the path"):
        _ = missing.fingerprint
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    with pytest.raises(AudienceError, match=r"folder\.csv' is a folder"):
        list(FileAudience(folder))
    with pytest.raises(AudienceError, match="cannot be opened"):
        list(FileAudience(ForbiddenFile("a.csv", b"")))


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.csv.gz"])
@pytest.mark.parametrize(
    "stat", [{"type": "directory", "size": 0}, SimpleNamespace(st_mode=0o040755)], ids=["s3", "local"]
)
def test_a_prefix_of_a_bucket_is_a_folder(name: str, stat: object) -> None:
    """It opens, and reads as an empty file; it is known by what the store tells of it."""
    folder = FileAudience(StoredFile(name, b"", stat))
    for read in (list, lambda one: one.fingerprint, lambda one: list(one.numbered())):
        with pytest.raises(
            AudienceError, match=rf"bucket/{name}' is a folder; give the path or URL"
        ) as caught:
            read(folder)
        assert isinstance(caught.value.__cause__, IsADirectoryError)
    assert list(FileAudience(StoredFile("a.csv", b"", {"type": "file", "size": 0}))) == []


class ForbiddenFile(StoredFile):
    """A file that its reader has no right to."""

    def open(self, _mode: str, /) -> NoReturn:
        """Refuse."""
        raise PermissionError


# --- fingerprint and memory ---


def test_the_fingerprint_of_a_file_changes_with_it(tmp_path: Path) -> None:
    """Path, size, time and column count; the content is not read and the path is not shown."""
    path = tmp_path / "a.csv"
    path.write_text(f"mobile\n{A}\n")
    os.utime(path, ns=(0, 1_000))
    first = FileAudience(path).fingerprint
    assert FileAudience(path).fingerprint == first
    assert "a.csv" not in first
    seen = {first, FileAudience(path, "mobile").fingerprint}
    os.utime(path, ns=(0, 2_000))
    seen.add(FileAudience(path).fingerprint)
    path.write_text(f"mobile\n{A}\n{B}\n")
    os.utime(path, ns=(0, 1_000))
    seen.add(FileAudience(path).fingerprint)
    other = path.rename(tmp_path / "b.csv")
    os.utime(other, ns=(0, 1_000))
    seen.add(FileAudience(other).fingerprint)
    assert len(seen) == 5


def test_stores_tell_versions_in_their_own_words() -> None:
    """A mapping, attributes, an ETag in place of a time, or nothing at all: each is taken as it is."""

    class Stat(dict[str, object]):
        st_size = 20
        st_mtime = 0

    stats = [
        None,
        {"size": 10},
        {"size": 11},
        {"size": 10, "mtime": 5.0},
        {"size": 10, "ETag": "x"},
        {"size": 10, "ETag": "y"},
        {"size": 10, "LastModified": "2026-11-01"},
        Stat(),
        Stat(etag="z"),
    ]
    prints = [FileAudience(StoredFile("a.csv", b"", stat)).fingerprint for stat in stats]
    assert len(set(prints)) == len(stats)
    assert prints == [FileAudience(StoredFile("a.csv", b"", stat)).fingerprint for stat in stats]


@pytest.mark.parametrize("name", ["big.csv", "big.txt", "big.csv.gz"])
def test_files_stream(tmp_path: Path, name: str) -> None:
    """Reading and classifying needs the memory of a few chunks, not of the file."""
    path = tmp_path / name
    with gzip.open(path, "wb") if name.endswith("gz") else path.open("wb") as file:
        file.write(b"mobile\n")
        file.writelines(b"1%010d\n" % (3_500_000_000 + 7 * number) for number in range(200_000))
    classifier = Classifier()
    tracemalloc.start()
    try:
        count = sum(1 for _ in classifier.classify(FileAudience(path)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 200_000 + (name == "big.txt")
    assert peak < 1_500_000


def test_an_audience_can_be_left_half_way(tmp_path: Path) -> None:
    """Who stops early gets no warning about a file left open, and a fresh start the next time."""
    path = tmp_path / "a.txt"
    path.write_text(f"{A}\n{B}\n{C}")
    audience = FileAudience(path)
    half: Iterator[str] = iter(audience)
    assert list(islice(half, 1)) == [A]
    del half
    assert list(audience) == list(audience) == [A, B, C]
