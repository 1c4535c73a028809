"""What the tests of several sources share: files in memory, the numbers in them, and how they are read."""

from __future__ import annotations

import gzip
import io

import pytest

from airflow_provider_caixin.audience import AudienceError, FileAudience, normalise

A, B, C = "13912350001", "13912350002", "13912350003"
# The numbers of somebody else in the same rows: whoever recommended them, or is to be called.
X, Y, Z = "13912340001", "13912340002", "13912340003"
TITLE = "会员名单 2026年11月 导出"


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
        """Return the stat."""
        return self._stat


def rows(name: str, data: bytes | str, column: str | None = None) -> list[str]:
    """Return all rows of a file with that name and content."""
    return list(FileAudience(StoredFile(name, data if isinstance(data, bytes) else data.encode()), column))


def numbers(data: bytes | str, column: str | None = None, name: str = "a.csv") -> list[str | None]:
    """Return a file's rows, None for one that is no number; compressed it has the same."""
    raw = data if isinstance(data, bytes) else data.encode()
    found = [normalise(row) for row in rows(name, raw, column)]
    assert [normalise(row) for row in rows(f"{name}.gz", gzip.compress(raw), column)] == found
    return found


def refusal(data: bytes | str, column: str | None = None, *, argument: str = "audience_file") -> str:
    """Return the sentence of a file that is refused; it shows no number."""
    raw = data if isinstance(data, bytes) else data.encode()
    with pytest.raises(AudienceError) as caught:
        list(FileAudience(StoredFile("a.csv", raw), column, argument=argument))
    sentence = str(caught.value)
    assert sentence.startswith(f"{argument} 's3://bucket/a.csv' ")
    assert not any(number in sentence for number in (A, B, C, X, Y, Z))
    return sentence
