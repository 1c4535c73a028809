"""A text table: its header, proven before a row is read, and its rows, which are as wide as that or give no number."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, TypeAlias

from airflow_provider_caixin.audience.errors import AudienceError
from airflow_provider_caixin.audience.numbers import holds_number, normalise
from airflow_provider_caixin.audience.sources.columns import (
    COLUMNS,
    MANY_DIGITS,
    missing_column,
    named_column,
)
from airflow_provider_caixin.audience.sources.patterns import LEGEND, UnevenRow, pattern_of
from airflow_provider_caixin.audience.sources.remnants import numbers_in

#: The header is among so many lines that are not blank.
HEAD: Final = 10
_SEPARATORS: Final = ",;\t|"
# The line by which Excel is told how the others are separated.
_HINT = re.compile(r'"?sep=([^\w"\r\n])"?[,;\t|]*', re.IGNORECASE)
# What people separate cells with that no program does, or that stands in cells as often as between them.
_BY_HAND = re.compile(r"[\s，；、｜:：^~/]+")
# Headings that speak of phones.
_OF_PHONES = re.compile("手[机機]|[电電][话話]|联系方式|mobile|phone|(?<!ho)tel|(?<!can)cell", re.IGNORECASE)
_LANDLINE = re.compile(r"(?<!\d)0\d{2,3}[- )]?\d{7,8}(?!\d)")
_BLANK: Final = " \t\r\n\x0b\x0c"
# A separator, the cells that it makes of a row, and the lines behind that.
_Way: TypeAlias = tuple[str, list[str], list[str]]
# The line in which a row begins, the separators that there may be, and each way to read it.
_Record: TypeAlias = tuple[int, str, list[_Way]]


class LineTable:
    """
    A file of one number a line.

    :param lines: its lines, blank ones too.
    """

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[str]:
        """Stream the rows."""
        for line in self._lines:
            row = line.rstrip("\r\n")
            if row and not row.isspace():
                yield row

    def numbered(self) -> Iterator[tuple[int, str]]:
        """Stream the rows, each behind its line's number."""
        for number, line in enumerate(self._lines, 1):
            yield from ((number, row) for row in LineTable(iter([line])))


@dataclass(frozen=True, slots=True)
class _Header:
    """
    Where the numbers are.

    :param start: lines before the header, or before the first row where there is none.
    :param width: how many cells it has, named or not.
    :param index: the place of the number.
    :param name: the heading of the number.
    :param only: as far as the first rows and the headings go, no other column holds numbers.
    :param alone: no other column has a name, and so no other cell may have a text.
    :param is_row: it is a row itself.
    """

    start: int
    delimiter: str
    width: int
    index: int
    name: str = ""
    only: bool = False
    alone: bool = False
    is_row: bool = False


class CsvTable:
    """
    A table with a header, or of one column.

    The header is the first row within the first ten lines that has the column's name once and no number; above it may stand
    titles and ``sep=``, and no number. Without a known name the table is read only if it has one column throughout, or if its
    first row names one alone and, as far as the first lines go, this has the numbers.

    A row gives its cell where that cannot be another column's: it has as many cells as the header, or more that are all empty;
    or fewer, as programs leave out empty cells at the end, with a number in the right place and none in any other, in a table
    where no other heading speaks of phones and none of the first rows has a number elsewhere. Any other is a :class:`.UnevenRow`.
    A row that has the column's name at another place is the header of another table, which is refused.

    :param lines: its lines, blank ones too.
    :param column: the name of the column, or None.
    :param name: what messages call the table.
    :param remedy: what to do where there is no such column.
    """

    def __init__(self, lines: Iterator[str], column: str | None, name: str, remedy: str) -> None:
        self._lines = lines
        self._column = column
        self._name = name
        self._remedy = remedy
        self._before = 0
        self._reader: Any = None

    def __iter__(self) -> Iterator[str]:
        """
        Stream the rows.

        :raises AudienceError: there is no such header, or another one below, or a quote is never closed.
        """
        head = self._read_head()
        header = self._header(head)
        if header is None:
            return
        self._before = header.start
        # Strict: a quote that is never closed would swallow the rows behind it without a word.
        lines = chain(head[header.start :], self._lines)
        self._reader = reader = csv.reader(lines, delimiter=header.delimiter, strict=True)
        index, width = header.index, header.width
        usual = -1 if header.alone or width == 1 else width
        try:
            if not header.is_row:
                next(reader)
            for row in reader:
                if len(row) == usual:
                    cell = row[index]
                    # Most begin with a digit, which is told at once.
                    if not "0" <= cell < ":" and normalise(cell) is None:
                        self._refuse_other_header(row, header)
                    yield cell
                elif len(row) == width == 1:
                    if row[0].strip(_BLANK) or not row[0]:
                        yield row[0]
                elif (odd := _cell(row, header)) is not None:
                    if not header.alone and normalise(odd) is None:
                        self._refuse_other_header(row, header)
                    yield odd
        except csv.Error as error:
            raise self._broken(self._line, error) from error

    def numbered(self) -> Iterator[tuple[int, str]]:
        """
        Stream the rows, each behind the number of the line in which it ends.

        :raises AudienceError: as iterating does.
        """
        for row in self:
            yield self._line, row

    @property
    def _line(self) -> int:
        return self._before + int(self._reader.line_num)

    def _refuse_other_header(self, row: list[str], header: _Header) -> None:
        """Refuse a second table below, whose rows have the numbers at another place."""
        if _is_row(row):
            return
        # Where the number is missing another cell may have one of the names that are looked for, such as 手机 for a device.
        is_empty = not "".join(row[header.index : header.index + 1]).strip()
        for name in (header.name,) if is_empty else (header.name, self._column):
            if named_column(row, name) not in (None, header.index):
                raise self._error(
                    f"has another header in line {self._line}, which has the numbers at another place than the first",
                    "give each table as a file of its own, or delete the line if it is a row without a number",
                )

    # ------------------------------------------------------------------ the header

    def _read_head(self) -> list[str]:
        head: list[str] = []
        full = 0
        for line in self._lines:
            head.append(line)
            full += bool(line.strip(_BLANK))
            if full == HEAD:
                break
        return head

    def _header(self, head: list[str]) -> _Header | None:
        records = list(_records(head))
        for start, separators, ways in records:
            if not ways:
                raise self._broken(start + 1, "a quote that is not closed, or not at a cell's end")
            for delimiter, cells, rest in ways:
                index = named_column(cells, self._column)
                # A cell of a row may have the column's name for its text.
                if index is None or _is_row(cells) or self._is_title(cells, rest, separators):
                    continue
                self._refuse_rows(head, start)
                self._refuse_groups(start, cells, index, _rows(rest, delimiter))
                only = _is_only(cells, index, _rows(rest, delimiter))
                return _Header(start, delimiter, len(cells), index, cells[index], only)
        return self._one_column(head, records) if records else None

    def _is_title(self, cells: list[str], rest: list[str], separators: str) -> bool:
        """Tell whether what has a column's name, and nothing beside it, stands over a table that has more."""
        if len(_texts(cells)) > 1:
            return False
        for place, (_, _, ways) in enumerate(_records(rest, separators)):
            for _, row, _ in ways:
                is_wider = place == 0 and len(row) > len(cells)
                is_header = named_column(row, self._column) is not None and not _is_row(row)
                if len(_texts(row)) > 1 and (is_wider or is_header):
                    return True
        return False

    def _refuse_rows(self, head: list[str], start: int) -> None:
        for place in range(start):
            if holds_number(head[place]):
                raise self._error(
                    f"has a mobile number in line {place + 1}, above its header in line {start + 1}",
                    "delete what stands above the header, or put it below",
                )

    def _refuse_groups(self, start: int, cells: list[str], index: int, rows: Iterator[list[str]]) -> None:
        """Refuse headings that go on in the next row, or stand for several columns: whose the number is shows in neither."""
        first = next(filter(_texts, rows), None)
        if first is not None and len(_texts(cells)) < len(cells) and index not in _numbers(first):
            raise self._error(
                f"has columns without a heading in line {start + 1}, and no mobile number below that of the numbers",
                "give one header line with a name for each column, or delete the first row if it has no number",
            )

    def _one_column(self, head: list[str], records: list[_Record]) -> _Header:
        """Prove that a table without a known heading has one column, at least as far as its first lines go."""
        separators = records[-1][1]
        ways = [(start, *way) for start, _, read in records for way in read]
        start, _, widest, _ = max(ways, key=lambda way: len(_texts(way[2])))
        if self._column is not None or len(_texts(widest)) > 1:
            if self._column is None and (header := _only_named(records)):
                return header
            where = (
                "in its first row" if start == records[0][0] else f"in its first lines; line {start + 1} has"
            )
            raise self._error(missing_column(widest, self._column, where), self._remedy)
        delimiter = max(separators, key="".join(head).count)
        rows = [(start, cells) for start, way, cells, _ in ways if way == delimiter]
        places = {place for _, cells in rows for place in _texts(cells)}
        if len(places) != 1:
            raise self._error(
                f"has its cells in different columns and no header {'/'.join(COLUMNS)} in its first lines",
                self._remedy,
            )
        index = places.pop()
        start, first = rows[0]
        is_row = sum(map(str.isdigit, first[index])) >= MANY_DIGITS
        self._refuse_by_hand([(line, cells[index]) for line, cells in rows[not is_row :] if _texts(cells)])
        return _Header(start, delimiter, len(first), index, alone=True, is_row=is_row)

    def _refuse_by_hand(self, rows: list[tuple[int, str]]) -> None:
        if any(normalise(cell) for _, cell in rows):
            return
        for start, cell in rows:
            if any(map(normalise, _BY_HAND.split(cell))):
                raise self._error(
                    f"has several cells in line {start + 1} that no comma, semicolon, tab or | separates "
                    f"({pattern_of(cell)!r}: {LEGEND})",
                    "export it as CSV, separated by commas",
                )

    def _broken(self, line: int, error: object) -> AudienceError:
        return self._error(
            f"breaks the rules of CSV near line {line} ({error})",
            "mend the quotes there or export it again",
        )

    def _error(self, what: str, remedy: str) -> AudienceError:
        return AudienceError(f"{self._name} {what}; {remedy}")


def _records(lines: list[str], separators: str = _SEPARATORS) -> Iterator[_Record]:
    """Give the rows of lines that are not blank: what is within a cell begins none."""
    start = 0
    while start < len(lines):
        ways: list[_Way] = []
        if hint := _HINT.fullmatch(lines[start].rstrip("\r\n")):
            separators = hint[1]
        elif lines[start].strip(_BLANK):
            ways = list(_ways(lines[start:], separators))
            yield start, separators, ways
        start = max((len(lines) - len(rest) for _, _, rest in ways), default=start + 1)


def _ways(lines: list[str], separators: str) -> Iterator[_Way]:
    """Give each way to read the first row of lines, the most likely way first."""
    unquoted = re.sub(r'"[^"]*"', "", lines[0])
    for delimiter in sorted(separators, key=unquoted.count, reverse=True):
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            yield delimiter, next(reader), lines[reader.line_num :]
        except csv.Error:
            continue


def _rows(lines: list[str], delimiter: str) -> Iterator[list[str]]:
    """Give the rows of the first lines."""
    # A cell may go on below them; what else is wrong is told when the rows are read.
    with suppress(csv.Error):
        yield from csv.reader(lines, delimiter=delimiter, strict=True)


def _texts(cells: Sequence[str]) -> list[int]:
    """Give the places of the cells that are not empty."""
    return [place for place, cell in enumerate(cells) if cell.strip()]


def _numbers(cells: Sequence[str]) -> list[int]:
    """Give the places of the cells that hold a number."""
    return [place for place, cell in enumerate(cells) if holds_number(cell)]


def _only_named(records: list[_Record]) -> _Header | None:
    """Prove that the first row names one column alone, and that this has the numbers: others stand below no name, as an index."""
    start, _, ways = records[0]
    delimiter, cells, rest = ways[0]
    rows = list(filter(_texts, _rows(rest, delimiter)))
    if len(_texts(cells)) != 1 or not rows:
        return None
    (index,) = _texts(cells)
    is_proven = (
        sum(map(str.isdigit, cells[index])) < MANY_DIGITS
        and index in _numbers(rows[0])
        and all(len(row) == len(cells) and {*_numbers(row)} <= {index} for row in rows)
    )
    return _Header(start, delimiter, len(cells), index, cells[index], only=True) if is_proven else None


def _is_row(cells: Sequence[str]) -> bool:
    """Tell whether a cell holds the number of a phone, also a damaged one or a landline's: no heading does."""
    return any(_LANDLINE.search(cell) or numbers_in(cell) != ([], False) for cell in cells)


def _is_only(header: list[str], index: int, rows: Iterator[list[str]]) -> bool:
    """Tell whether neither another heading speaks of phones nor any of the first rows has a number elsewhere."""
    if any(_OF_PHONES.search(name) for place, name in enumerate(header) if place != index):
        return False
    return all(place == index for row in rows for place in _numbers(row))


def _cell(row: list[str], header: _Header) -> str | None:
    """Give what a row of another width has for a number; None: it is a blank line."""
    if not row or (len(row) == 1 and row[0] and not row[0].strip(_BLANK)):
        return None
    texts = _texts(row)
    if not texts:
        return ""
    if header.alone:
        fits = texts == [header.index]
    elif len(row) < header.width:
        fits = header.only and _numbers(row) == [header.index]
    else:
        fits = texts[-1] < header.width
    return row[header.index] if fits else UnevenRow(row, header.width)
