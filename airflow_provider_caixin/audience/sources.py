"""Where an audience comes from: a value of a Dag, or a file, streamed row by row."""

from __future__ import annotations

import ast
import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from itertools import chain
from numbers import Number
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_caixin.audience.columns import COLUMNS, MANY_DIGITS, find_column, missing_column
from airflow_provider_caixin.audience.exceptions import AudienceError
from airflow_provider_caixin.audience.numbers import written

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Audience", "AudienceError", "FileAudience", "ListAudience", "audience_from"]

_CHUNK = 64 * 1024
_LONGEST_LINE = 1024 * 1024
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
    b"\xff\xfe": "is in UTF-16",
    b"\xfe\xff": "is in UTF-16",
    b"\x1f\x8b": "is compressed with gzip more than its name says",
}
_SAVE_AS = "export it as CSV UTF-8 (in Excel: Save As, CSV UTF-8) and give that file"


class Audience(Protocol):
    """The rows of an audience, as often as they are asked for."""

    @property
    def fingerprint(self) -> str:
        """A short text that is the same for the same audience and holds no number in clear."""

    def __iter__(self) -> Iterator[object]:
        """Stream the rows as they are, good and bad."""


class Openable(Protocol):
    """A file: :class:`pathlib.Path`, Airflow's ``ObjectStoragePath``, or what looks like them."""

    @property
    def name(self) -> str:
        """The last part of the path."""

    def open(self, mode: str, /) -> Any:
        """Open the file; the result is a context manager with ``read(size)``."""

    def stat(self) -> Any:
        """Tell size and time of change, as attributes ``st_size`` and ``st_mtime``, or as a mapping."""


class ListAudience:
    """
    Numbers held in memory.

    :param values: the rows; what can be iterated only once, or is fetched item by item, is copied.
    :param single: the audience was given as one number and not as a list.
    :param argument: what the rows were given as, for messages.
    :raises AudienceError: a row is itself a list or a mapping.
    """

    def __init__(self, values: Iterable[object], *, single: bool = False, argument: str = "mobiles") -> None:
        self.single = single
        self._values = values if isinstance(values, (list, tuple)) else tuple(_ordered(values))
        digest = sha256()
        for position, value in enumerate(self._values):
            if isinstance(value, (Mapping, list, tuple, set, frozenset)):
                raise AudienceError(
                    f"{argument}: item {position} is a {type(value).__name__}, expected a number; pass a "
                    "flat list of numbers (of rows: their number column), or map the task over the lists "
                    "with expand()"
                )
            digest.update(f"{written(value)!r},".encode(errors="backslashreplace"))
        self.fingerprint: str = digest.hexdigest()

    def __iter__(self) -> Iterator[object]:
        """Iterate over the rows."""
        return iter(self._values)


def _ordered(values: Iterable[object]) -> Iterable[object]:
    """Give a set the same order in every process: that of texts goes by hashes that differ, that of numbers does not."""
    if isinstance(values, (set, frozenset)) and not all(isinstance(value, Number) for value in values):
        return sorted(values, key=lambda value: f"{written(value)!r}")
    return values


def audience_from(value: object, *, argument: str = "mobiles") -> ListAudience:
    """
    Make an audience of what a Dag gives: one number, a list, or what an upstream task returned.

    A text with several pieces (at line ends, ``,``, ``;``, ``，``, ``；`` or ``、``) is a list, and so is the
    text of a list, which is what Jinja makes of one.

    :param value: text, number or iterable; an empty list is an audience of nobody.
    :param argument: what the value was given as, for messages.
    :raises AudienceError: it is nothing, a mapping, nested, or of a type that holds no numbers.
    """
    if isinstance(value, str):
        return _from_text(value.strip(), argument)
    if isinstance(value, Number) and not isinstance(value, bool):
        return ListAudience([value], single=True, argument=argument)
    if isinstance(value, Mapping):
        raise AudienceError(
            f"{argument}: got a dict, expected one number or a list; pass the list inside it, such as "
            "task.output['mobiles'], or list(d.values())"
        )
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray)):
        return ListAudience(value, argument=argument)
    raise AudienceError(
        f"{argument}: got {'nothing (None)' if value is None else type(value).__name__}, expected one number "
        "or a list; see that the upstream task returns its numbers"
    )


def _from_text(text: str, argument: str) -> ListAudience:
    if text.startswith(("[", "{")):
        return audience_from(_parsed(text, argument), argument=argument)
    pieces = [piece for piece in re.split(r"[\r\n,;，；、]", text) if piece.strip()]
    if not pieces or text == "None":
        raise AudienceError(
            f"{argument}: got {'an empty text' if not pieces else 'the text None'}, expected one number "
            "or a list; see that the template or upstream task gives numbers"
        )
    return ListAudience(pieces, single=len(pieces) == 1, argument=argument)


def _parsed(text: str, argument: str) -> object:
    for parse in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            return parse(text)
    raise AudienceError(
        f'{argument}: a text that begins like a list cannot be read; expected ["138...", "139..."]'
    )


class FileAudience:
    """
    A .txt (one number a line) or .csv (with a header) file, also compressed as .gz, read as a stream.

    Text is UTF-8 with or without BOM, else GB18030, settled line by line: a file may turn out to be GB18030
    anywhere, and no line of one encoding breaks another. A .csv is separated by comma, semicolon or tab. Its
    rows that are too short give ``""``; blank lines are no rows, in both kinds of file. An empty file is an
    audience of nobody. A .csv of one column whose first line holds seven digits or more has no header.

    :param path: the file.
    :param column: the name of the .csv column, without regard to case; None: ``mobile``, else 手机号, 手机号码, 手机,
        else the only column.
    :param argument: what the file was given as, for messages.
    :raises AudienceError: the file's name has none of these endings; what is in it is looked at when
        iterating.
    """

    def __init__(self, path: Openable, column: str | None = None, *, argument: str = "audience_file") -> None:
        self.path = path
        self.column = column or None
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
        """Name the file as messages do."""
        return f"{self._argument} {str(self.path)!r}"

    @property
    def place(self) -> str:
        """A hash of path and column, which stays the same when the file changes or is gone."""
        return sha256(repr((str(self.path), self.column)).encode(errors="backslashreplace")).hexdigest()[:16]

    @property
    def fingerprint(self) -> str:
        """
        A hash of path, column, size and time of change; the file is not read.

        A store that tells neither a time nor a version leaves path and size: there a corrected file of the
        same size needs another name.

        :raises AudienceError: there is no such file.
        """
        try:
            stat = self.path.stat()
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            raise self._unreadable(error) from error
        more = stat if isinstance(stat, Mapping) else {}
        size = getattr(stat, "st_size", None) or more.get("size")
        changed = getattr(stat, "st_mtime_ns", None) or getattr(stat, "st_mtime", None) or more.get("mtime")
        known = [str(self.path), self.column, size, changed, *(more.get(key) for key in _VERSION_KEYS)]
        return sha256(repr([str(part) for part in known]).encode(errors="backslashreplace")).hexdigest()

    @property
    def content(self) -> str:
        """
        A hash of the file's bytes and the column, which the file's path and time do not change; the file is read.

        :raises AudienceError: the file cannot be read.
        """
        digest = sha256(f"{self.column!r}\n".encode(errors="backslashreplace"))
        try:
            with self.path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
            raise self._unreadable(error) from error
        return digest.hexdigest()

    def __iter__(self) -> Iterator[str]:
        """
        Stream the rows.

        :raises AudienceError: the file is missing, of another kind than its name says, damaged, or has no
            such column.
        """
        try:
            with self.path.open("rb") as file:
                stream = gzip.GzipFile(fileobj=file) if self._is_compressed else file
                lines = self._lines(stream)
                yield from self._csv_rows(lines) if self._is_csv else (line.rstrip("\r\n") for line in lines)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise self._error("is no whole gzip file", "compress it again") from error
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
            raise self._unreadable(error) from error

    def _lines(self, stream: Any) -> Iterator[str]:
        head = stream.read(_CHUNK)
        for magic, what in _UNREADABLE.items():
            if head.startswith(magic):
                raise self._error(what, _SAVE_AS)
        rest = b""
        number = 0
        for chunk in chain([head.removeprefix(b"\xef\xbb\xbf")], iter(lambda: stream.read(_CHUNK), b"")):
            lines = (rest + chunk).splitlines(keepends=True)
            # A last line that ends in \r may have its \n in the next chunk.
            rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
            if len(rest) > _LONGEST_LINE:
                raise self._error(
                    f"has more than 1 MiB in line {number + len(lines) + 1}", "give one number a line"
                )
            number += len(lines)
            yield from (_decode(line) for line in lines if not line.isspace())
        if rest and not rest.isspace():
            yield _decode(rest)

    def _csv_rows(self, lines: Iterator[str]) -> Iterator[str]:
        first = next(lines, None)
        if first is None:
            return
        unquoted = re.sub(r'"[^"]*"', "", first)
        # Strict: a quote that is never closed would swallow the rows behind it without a word.
        reader = csv.reader(chain([first], lines), delimiter=max(",;\t", key=unquoted.count), strict=True)
        try:
            header = next(reader)
            index = self._column_index(header)
            if self.column is None and sum(map(str.isdigit, header[index])) >= MANY_DIGITS:
                yield header[index]
            for row in reader:
                yield row[index] if index < len(row) else ""
        except csv.Error as error:
            raise self._error(
                f"breaks the rules of CSV near line {reader.line_num}, blank ones not counted ({error})",
                "mend the quotes there or export it again",
            ) from error

    def _column_index(self, header: list[str]) -> int:
        index = find_column(header, self.column)
        if index is not None:
            return index
        nameable = self._argument == "audience_file"
        remedy = (
            "name one of its columns as audience_column" if nameable else f"call one of them {COLUMNS[0]}"
        )
        raise self._error(missing_column(header, self.column, "in its first row"), remedy)

    def _unreadable(self, error: OSError) -> AudienceError:
        what = "is a folder" if isinstance(error, IsADirectoryError) else "cannot be opened"
        if isinstance(error, FileNotFoundError):
            what = "does not exist"
        return self._error(what, "give the path or URL of a readable .txt or .csv file (also .gz)")

    def _error(self, what: str, remedy: str) -> AudienceError:
        return AudienceError(f"{self} {what}; {remedy}")


def _decode(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("gb18030", errors="replace")
