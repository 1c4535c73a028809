"""An audience in a file, streamed row by row."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from itertools import chain
from stat import S_ISDIR
from typing import Any

from airflow_provider_caixin.audience.errors import AudienceError
from airflow_provider_caixin.audience.sources.columns import COLUMNS, column_name
from airflow_provider_caixin.audience.sources.csv import CsvRows
from airflow_provider_caixin.audience.sources.encodings import (
    UTF_32,
    as_utf_8,
    decode,
    decode_all,
    wide_encoding,
)
from airflow_provider_caixin.audience.sources.protocols import Openable
from airflow_provider_caixin.audience.sources.text import TextRows

_CHUNK_BYTES = 64 * 1024
# So many bytes show the encoding.
_HEAD_BYTES = 4 * 1024
_LONGEST_LINE_BYTES = 1024 * 1024
# What object stores tell of a file's version, by the names that fsspec's file systems give it.
_VERSION_KEYS = (
    "LastModified",
    "last_modified",
    "updated",
    "ETag",
    "etag",
    "md5Hash",
    "generation",
    "version_id",
)
_UNREADABLE = {
    b"PK\x03\x04": "is an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook",
    b"\x1f\x8b": "is compressed with gzip more than its name says",
}
_SAVE_AS = "export it as CSV UTF-8 (in Excel: Save As, CSV UTF-8) and give that file"

_NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)


class FileAudience:
    """A .txt (one number a line) or .csv (with a header) file, also compressed as .gz, read as a stream.

    Text is UTF-16, told by its mark or its zeros, or UTF-8 with or without BOM, else GB18030, settled line by
    line: a file may turn out to be GB18030 anywhere, and no line of one encoding breaks another. A .csv is
    separated by comma, semicolon, tab or ``|``, or as its ``sep=`` line says; how its header is found, and
    which of its rows are read, see :class:`.CsvRows`. Blank lines are no rows, in both kinds of file. An
    empty file is an audience of nobody. A .csv of one column whose first line holds seven digits or more has
    no header.

    :param column: the name of the .csv column, without regard to case; None: ``mobile``, else 手机号,
        手机号码, 手机, else the only column.
    :param argument: what the file was given as, for messages.
    :raises AudienceError: the file's name has none of these endings, or the column is no name; what is in the
        file is looked at when iterating.
    """

    def __init__(self, path: Openable, column: str | None = None, *, argument: str = "audience_file") -> None:
        self.path = path
        self.column = column_name(column)
        self._argument = argument
        kind = re.search(r"\.(txt|csv)(\.gz)?$", path.name.lower())
        if kind is None:
            workbook = re.search(r"\.(xls\w?|zip|et|numbers)$", path.name.lower())
            raise self._error(
                "is no .txt or .csv file (also .gz)", _SAVE_AS if workbook else "give one of these"
            )
        self._is_csv = kind[1] == "csv"
        self._is_compressed = kind[2] is not None

    def __str__(self) -> str:
        """Return the file's name as messages have it."""
        return f"{self._argument} {str(self.path)!r}"

    @property
    def place(self) -> str:
        """A hash of path and column, which stays the same when the file changes or is gone."""
        return sha256(repr((str(self.path), self.column)).encode(errors="backslashreplace")).hexdigest()[:16]

    @property
    def fingerprint(self) -> str:
        """A hash of path, column, size and time of change; the file is not read.

        A store that tells neither a time nor a version leaves path and size: there a corrected file of the
        same size needs another name.

        :raises AudienceError: there is no such file.
        """
        try:
            stat = self.path.stat()
            if _is_folder(stat):
                raise IsADirectoryError
        except _NO_FILE as error:
            raise self._unreadable(error) from error
        more = stat if isinstance(stat, Mapping) else {}
        size = getattr(stat, "st_size", None) or more.get("size")
        changed = getattr(stat, "st_mtime_ns", None) or getattr(stat, "st_mtime", None) or more.get("mtime")
        known = [str(self.path), self.column, size, changed, *(more.get(key) for key in _VERSION_KEYS)]
        return sha256(repr([str(part) for part in known]).encode(errors="backslashreplace")).hexdigest()

    @property
    def content(self) -> str:
        """A hash of the file's bytes and the column: path and time do not change it; the file is read.

        :raises AudienceError: the file cannot be read.
        """
        digest = sha256(f"{self.column!r}\n".encode(errors="backslashreplace"))
        try:
            with self.path.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
        except _NO_FILE as error:
            raise self._unreadable(error) from error
        return digest.hexdigest()

    def __iter__(self) -> Iterator[str]:
        """Yield the rows.

        :raises AudienceError: the file is missing, of another kind than its name says, damaged, or has no
            such column.
        """
        with self._table() as table:
            yield from table

    def numbered(self) -> Iterator[tuple[int, str]]:
        """Yield the rows, each behind the number of its line in the file.

        :raises AudienceError: as iterating does.
        """
        with self._table() as table:
            yield from table.numbered()

    @contextmanager
    def _table(self) -> Iterator[CsvRows | TextRows]:
        try:
            with self.path.open("rb") as file:
                lines = self._lines(gzip.GzipFile(fileobj=file) if self._is_compressed else file)
                nameable = self._argument == "audience_file"
                remedy = (
                    "name one of its columns as audience_column"
                    if nameable
                    else f"call one of them {COLUMNS[0]}"
                )
                yield CsvRows(lines, self.column, str(self), remedy) if self._is_csv else TextRows(lines)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise self._error("is no whole gzip file", "compress it again") from error
        except _NO_FILE as error:
            raise self._unreadable(error) from error

    def _lines(self, stream: Any) -> Iterator[str]:
        chunks = iter(lambda: stream.read(_CHUNK_BYTES), b"")
        head = b""
        while len(head) < _HEAD_BYTES and (chunk := next(chunks, b"")):
            head += chunk
        if not head and _is_folder(self.path.stat()):
            # In a bucket it opens, and reads as an empty file.
            raise IsADirectoryError
        for magic, what in _UNREADABLE.items():
            if head.startswith(magic):
                raise self._error(what, _SAVE_AS)
        encoding = wide_encoding(head)
        if encoding == UTF_32:
            raise self._error("is in UTF-32", _SAVE_AS)
        rest = b""
        number = 0
        for chunk in as_utf_8(chain([head], chunks), encoding):
            lines = (rest + chunk).splitlines(keepends=True)
            # A last line that ends in \r may have its \n in the next chunk.
            rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
            if len(rest) > _LONGEST_LINE_BYTES:
                raise self._error(
                    f"has more than 1 MiB in line {number + len(lines) + 1}", "give one number a line"
                )
            number += len(lines)
            yield from decode_all(lines)
        if rest:
            yield decode(rest)

    def _unreadable(self, error: OSError) -> AudienceError:
        what = "is a folder" if isinstance(error, IsADirectoryError) else "cannot be opened"
        if isinstance(error, FileNotFoundError):
            what = "does not exist"
        return self._error(what, "give the path or URL of a readable .txt or .csv file (also .gz)")

    def _error(self, what: str, remedy: str) -> AudienceError:
        return AudienceError(f"{self} {what}; {remedy}")


def _is_folder(stat: Any) -> bool:
    kind = stat.get("type") if isinstance(stat, Mapping) else None
    return kind == "directory" or S_ISDIR(getattr(stat, "st_mode", None) or 0)
