from __future__ import annotations

import gzip
import io
import os
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from airflow_provider_caixin.audience import (
    AudienceError,
    Classifier,
    FileAudience,
)
from tests.unit.audience.sources.stored import A, B, C, StoredFile, rows

if TYPE_CHECKING:
    from pathlib import Path


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
