"""The header of a table: found among its first lines, and proven before a row is read."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

from airflow_provider_caixin.audience.errors import AudienceError
from airflow_provider_caixin.audience.numbers import holds_number, normalise
from airflow_provider_caixin.audience.sources.columns import (
    COLUMNS,
    MANY_DIGITS,
    missing_column,
    named_column,
)
from airflow_provider_caixin.audience.sources.damaged_numbers import numbers_in
from airflow_provider_caixin.audience.sources.patterns import LEGEND, pattern_of

#: The header is among so many lines that are not blank.
HEAD_LINES: Final = 10
#: What stands in a line that is blank.
BLANK: Final = " \t\r\n\x0b\x0c"
_SEPARATORS: Final = ",;\t|"
# The line by which Excel is told how the others are separated.
_HINT = re.compile(r'"?sep=([^\w"\r\n])"?[,;\t|]*', re.IGNORECASE)
# What separates cells in tables made by hand, and stands in cells as often as between them.
_BY_HAND = re.compile(r"[\s，；、｜:：^~/]+")
# Headings that speak of phones.
_OF_PHONES = re.compile("手[机機]|[电電][话話]|联系方式|mobile|phone|(?<!ho)tel|(?<!can)cell", re.IGNORECASE)
_LANDLINE = re.compile(r"(?<!\d)0\d{2,3}[- )]?\d{7,8}(?!\d)")
# A separator, the cells that it makes of a row, and the lines behind that.
_Reading: TypeAlias = tuple[str, list[str], list[str]]
# The line in which a row begins, the separators that there may be, and each way to read it.
_Record: TypeAlias = tuple[int, str, list[_Reading]]


@dataclass(frozen=True, slots=True)
class Header:
    """Where the numbers are.

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


class HeaderSearch:
    """Finds the header of a table, and proves it.

    :param column: the name of the column, or None.
    :param name: what messages call the table.
    :param remedy: what to do where there is no such column.
    """

    def __init__(self, column: str | None, name: str, remedy: str) -> None:
        self.column = column
        self._name = name
        self._remedy = remedy

    def find(self, head: list[str]) -> Header | None:
        """Return the header; None: there is no row.

        :param head: the first lines of the table.
        :raises AudienceError: there is no header, or it is not proven that it is one.
        """
        records = list(_records(head))
        for start, separators, ways in records:
            if not ways:
                raise self.broken(start + 1, "a quote that is not closed, or not at a cell's end")
            for delimiter, cells, rest in ways:
                index = named_column(cells, self.column)
                # A cell of a row may have the column's name for its text.
                if index is None or holds_phone(cells) or self._is_title(cells, rest, separators):
                    continue
                self._refuse_rows(head, start)
                self._refuse_groups(start, cells, index, _rows(rest, delimiter))
                only = _is_only(cells, index, _rows(rest, delimiter))
                return Header(start, delimiter, len(cells), index, cells[index], only)
        return self._one_column(head, records) if records else None

    def _is_title(self, cells: list[str], rest: list[str], separators: str) -> bool:
        """Return whether a row of nothing but a column's name stands over a table that has more."""
        if len(filled_at(cells)) > 1:
            return False
        for place, (_, _, ways) in enumerate(_records(rest, separators)):
            for _, row, _ in ways:
                is_wider = place == 0 and len(row) > len(cells)
                is_header = named_column(row, self.column) is not None and not holds_phone(row)
                if len(filled_at(row)) > 1 and (is_wider or is_header):
                    return True
        return False

    def _refuse_rows(self, head: list[str], start: int) -> None:
        for place in range(start):
            if holds_number(head[place]):
                raise self.error(
                    f"has a mobile number in line {place + 1}, above its header in line {start + 1}",
                    "delete what stands above the header, or put it below",
                )

    def _refuse_groups(self, start: int, cells: list[str], index: int, rows: Iterator[list[str]]) -> None:
        """Raise for headings that go on in the next row, or stand for several columns."""
        first = next(filter(filled_at, rows), None)
        if first is not None and len(filled_at(cells)) < len(cells) and index not in numbers_at(first):
            raise self.error(
                f"has columns without a heading in line {start + 1}, and no mobile number below that of the numbers",
                "give one header line with a name for each column, or delete the first row if it has no number",
            )

    def _one_column(self, head: list[str], records: list[_Record]) -> Header:
        """Return the header of a table of one column, proven as far as the first lines go."""
        separators = records[-1][1]
        ways = [(start, *way) for start, _, read in records for way in read]
        start, _, widest, _ = max(ways, key=lambda way: len(filled_at(way[2])))
        if self.column is not None or len(filled_at(widest)) > 1:
            if self.column is None and (header := _only_named(records)):
                return header
            where = (
                "in its first row" if start == records[0][0] else f"in its first lines; line {start + 1} has"
            )
            raise self.error(missing_column(widest, self.column, where), self._remedy)
        delimiter = max(separators, key="".join(head).count)
        rows = [(start, cells) for start, way, cells, _ in ways if way == delimiter]
        filled = {place for _, cells in rows for place in filled_at(cells)}
        if len(filled) != 1:
            raise self.error(
                f"has its cells in different columns and no header {'/'.join(COLUMNS)} in its first lines",
                self._remedy,
            )
        index = filled.pop()
        start, first = rows[0]
        is_row = sum(map(str.isdigit, first[index])) >= MANY_DIGITS
        self._refuse_by_hand([(line, cells[index]) for line, cells in rows[not is_row :] if filled_at(cells)])
        return Header(start, delimiter, len(first), index, alone=True, is_row=is_row)

    def _refuse_by_hand(self, rows: list[tuple[int, str]]) -> None:
        if any(normalise(cell) for _, cell in rows):
            return
        for start, cell in rows:
            if any(map(normalise, _BY_HAND.split(cell))):
                raise self.error(
                    f"has several cells in line {start + 1} that no comma, semicolon, tab or | separates "
                    f"({pattern_of(cell)!r}: {LEGEND})",
                    "export it as CSV, separated by commas",
                )

    def broken(self, line: int, error: object) -> AudienceError:
        """Return the error for what no program reads as CSV."""
        return self.error(
            f"breaks the rules of CSV near line {line} ({error})",
            "mend the quotes there or export it again",
        )

    def error(self, what: str, remedy: str) -> AudienceError:
        """Return an error that names the table."""
        return AudienceError(f"{self._name} {what}; {remedy}")


def _records(lines: list[str], separators: str = _SEPARATORS) -> Iterator[_Record]:
    """Yield the rows of lines that are not blank: what is within a cell begins none."""
    start = 0
    while start < len(lines):
        ways: list[_Reading] = []
        if hint := _HINT.fullmatch(lines[start].rstrip("\r\n")):
            separators = hint[1]
        elif lines[start].strip(BLANK):
            ways = list(_ways(lines[start:], separators))
            yield start, separators, ways
        start = max((len(lines) - len(rest) for _, _, rest in ways), default=start + 1)


def _ways(lines: list[str], separators: str) -> Iterator[_Reading]:
    """Yield each way to read the first row of lines, the most likely way first."""
    unquoted = re.sub(r'"[^"]*"', "", lines[0])
    for delimiter in sorted(separators, key=unquoted.count, reverse=True):
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            yield delimiter, next(reader), lines[reader.line_num :]
        except csv.Error:
            continue


def _rows(lines: list[str], delimiter: str) -> Iterator[list[str]]:
    """Yield the rows of the first lines."""
    # A cell may go on below them; what else is wrong is told when the rows are read.
    with suppress(csv.Error):
        yield from csv.reader(lines, delimiter=delimiter, strict=True)


def filled_at(cells: Sequence[str]) -> list[int]:
    """Return the places of the cells that are not empty."""
    return [place for place, cell in enumerate(cells) if cell.strip()]


def numbers_at(cells: Sequence[str]) -> list[int]:
    """Return the places of the cells that hold a number."""
    return [place for place, cell in enumerate(cells) if holds_number(cell)]


def _only_named(records: list[_Record]) -> Header | None:
    """Return the first row as the header if it names one column alone, and this has the numbers; else None.

    What stands below no name is no column of the table's own, as the index that pandas writes.
    """
    start, _, ways = records[0]
    delimiter, cells, rest = ways[0]
    rows = list(filter(filled_at, _rows(rest, delimiter)))
    if len(filled_at(cells)) != 1 or not rows:
        return None
    (index,) = filled_at(cells)
    is_proven = (
        sum(map(str.isdigit, cells[index])) < MANY_DIGITS
        and index in numbers_at(rows[0])
        and all(len(row) == len(cells) and {*numbers_at(row)} <= {index} for row in rows)
    )
    return Header(start, delimiter, len(cells), index, cells[index], only=True) if is_proven else None


def holds_phone(cells: Sequence[str]) -> bool:
    """Return whether a cell holds a phone's number, also a damaged one or a landline's: no heading does."""
    return any(_LANDLINE.search(cell) or numbers_in(cell) != ([], False) for cell in cells)


def _is_only(header: list[str], index: int, rows: Iterator[list[str]]) -> bool:
    """Return whether no other heading speaks of phones and none of the first rows has a number elsewhere."""
    if any(_OF_PHONES.search(name) for place, name in enumerate(header) if place != index):
        return False
    return all(place == index for row in rows for place in numbers_at(row))
