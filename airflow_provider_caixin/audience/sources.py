"""Where an audience comes from: a value of a Dag, or a file, streamed row by row."""

from __future__ import annotations

import ast
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from itertools import chain
from numbers import Number
from stat import S_ISDIR
from typing import Any, Protocol

from airflow_provider_caixin.audience.columns import COLUMNS, column_name
from airflow_provider_caixin.audience.encodings import UTF_32, as_utf_8, decode, decode_all, wide_encoding
from airflow_provider_caixin.audience.exceptions import AudienceError
from airflow_provider_caixin.audience.items import is_table, item_of, refusal, table_refused, values_of
from airflow_provider_caixin.audience.numbers import BYTES, text_of, written
from airflow_provider_caixin.audience.tables import CsvTable, LineTable

__all__ = ["Audience", "AudienceError", "FileAudience", "ListAudience", "audience_from"]

_CHUNK = 64 * 1024
# Of so many bytes the encoding shows.
_HEAD = 4 * 1024
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
    b"\x1f\x8b": "is compressed with gzip more than its name says",
}
_SAVE_AS = "export it as CSV UTF-8 (in Excel: Save As, CSV UTF-8) and give that file"

_NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)
# What needs no look.
_PLAIN = (str, int, float, type(None))


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
    :raises AudienceError: it is a table or a file, or a row of it is a list or a mapping.
    """

    def __init__(self, values: Iterable[object], *, single: bool = False, argument: str = "mobiles") -> None:
        self.single = single
        self._argument = argument
        values = values_of(values, argument)
        self._values = values if isinstance(values, (list, tuple)) else tuple(_ordered(values))
        digest = sha256()
        read: dict[int, object] = {}
        for position, given in enumerate(self._values):
            value = given
            if type(given) not in _PLAIN and (value := item_of(given, position, argument)) is not given:
                read[position] = value
            digest.update(f"{written(value)!r},".encode(errors="backslashreplace"))
        if read:
            self._values = [read.get(position, value) for position, value in enumerate(self._values)]
        self.fingerprint: str = digest.hexdigest()

    def __str__(self) -> str:
        """Name the argument, and no number, as messages do."""
        return self._argument

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
    text of a list, which is what Jinja makes of one. Bytes are the text that they spell. A column of pandas, polars, Arrow or
    numpy is a list; a whole table of them is none.

    :param value: text, number or iterable; an empty list is an audience of nobody.
    :param argument: what the value was given as, for messages.
    :raises AudienceError: it is nothing, a mapping, a table, a file, nested, or of a type that holds no numbers.
    """
    if isinstance(value, BYTES):
        value = text_of(value)
    if isinstance(value, str):
        return _from_text(value.strip(), argument)
    if isinstance(value, Number) and not isinstance(value, bool):
        return ListAudience([value], single=True, argument=argument)
    if isinstance(value, Mapping):
        raise AudienceError(
            f"{argument}: got a dict, expected one number or a list; pass the list inside it, such as "
            "task.output['mobiles'], or list(d.values())"
        )
    if is_table(value):
        raise table_refused(value, argument)
    if isinstance(value, Iterable):
        return ListAudience(value, argument=argument)
    raise refusal(value, argument)


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

    Text is UTF-16, told by its mark or its zeros, or UTF-8 with or without BOM, else GB18030, settled line by line: a file may
    turn out to be GB18030 anywhere, and no line of one encoding breaks another. A .csv is separated by comma, semicolon, tab
    or ``|``, or as its ``sep=`` line says; how its header is found, and which of its rows are read, see :class:`.CsvTable`.
    Blank lines are no rows, in both kinds of file. An empty file is an audience of nobody. A .csv of one column whose first
    line holds seven digits or more has no header.

    :param path: the file.
    :param column: the name of the .csv column, without regard to case; None: ``mobile``, else 手机号, 手机号码, 手机,
        else the only column.
    :param argument: what the file was given as, for messages.
    :raises AudienceError: the file's name has none of these endings, or the column is no name; what is in the file is looked
        at when iterating.
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
        """
        A hash of the file's bytes and the column, which the file's path and time do not change; the file is read.

        :raises AudienceError: the file cannot be read.
        """
        digest = sha256(f"{self.column!r}\n".encode(errors="backslashreplace"))
        try:
            with self.path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
        except _NO_FILE as error:
            raise self._unreadable(error) from error
        return digest.hexdigest()

    def __iter__(self) -> Iterator[str]:
        """
        Stream the rows.

        :raises AudienceError: the file is missing, of another kind than its name says, damaged, or has no
            such column.
        """
        with self._table() as table:
            yield from table

    def numbered(self) -> Iterator[tuple[int, str]]:
        """
        Stream the rows, each behind the number of its line in the file.

        :raises AudienceError: as iterating does.
        """
        with self._table() as table:
            yield from table.numbered()

    @contextmanager
    def _table(self) -> Iterator[CsvTable | LineTable]:
        try:
            with self.path.open("rb") as file:
                lines = self._lines(gzip.GzipFile(fileobj=file) if self._is_compressed else file)
                nameable = self._argument == "audience_file"
                remedy = (
                    "name one of its columns as audience_column"
                    if nameable
                    else f"call one of them {COLUMNS[0]}"
                )
                yield CsvTable(lines, self.column, str(self), remedy) if self._is_csv else LineTable(lines)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise self._error("is no whole gzip file", "compress it again") from error
        except _NO_FILE as error:
            raise self._unreadable(error) from error

    def _lines(self, stream: Any) -> Iterator[str]:
        chunks = iter(lambda: stream.read(_CHUNK), b"")
        head = b""
        while len(head) < _HEAD and (chunk := next(chunks, b"")):
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
            if len(rest) > _LONGEST_LINE:
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
