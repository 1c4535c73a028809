"""The rows of a .csv: each as wide as its header, or it gives no number."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain
from typing import Any

from airflow_provider_caixin.audience.numbers import normalise
from airflow_provider_caixin.audience.sources.columns import named_column
from airflow_provider_caixin.audience.sources.csv_header import (
    BLANK,
    HEAD_LINES,
    Header,
    HeaderSearch,
    filled_at,
    holds_phone,
    numbers_at,
)
from airflow_provider_caixin.audience.sources.patterns import UnevenRow


class CsvRows:
    """The rows of a table with a header, or of one column.

    The header is the first row within the first ten lines that has the column's name once and no number;
    above it may stand titles and ``sep=``, and no number. Without a known name the table is read only if it
    has one column throughout, or if its first row names one alone and, as far as the first lines go, this has
    the numbers.

    A row gives its cell where that cannot be another column's: it has as many cells as the header, or more
    that are all empty; or fewer, as programs leave out empty cells at the end, with a number in the right
    place and none in any other, in a table where no other heading speaks of phones and none of the first rows
    has a number elsewhere. Any other is an :class:`.UnevenRow`. A row that has the column's name at another
    place is the header of another table, which is refused.

    :param lines: its lines, blank ones too.
    :param column: the name of the column, or None.
    :param name: what messages call the table.
    :param remedy: what to do where there is no such column.
    """

    def __init__(self, lines: Iterator[str], column: str | None, name: str, remedy: str) -> None:
        self._lines = lines
        self._search = HeaderSearch(column, name, remedy)
        self._lines_before = 0
        self._reader: Any = None

    def __iter__(self) -> Iterator[str]:
        """Yield the rows.

        :raises AudienceError: there is no such header, or another one below, or a quote is never closed.
        """
        head = self._read_head()
        header = self._search.find(head)
        if header is None:
            return
        self._lines_before = header.start
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
                    if row[0].strip(BLANK) or not row[0]:
                        yield row[0]
                elif (odd := _cell(row, header)) is not None:
                    if not header.alone and normalise(odd) is None:
                        self._refuse_other_header(row, header)
                    yield odd
        except csv.Error as error:
            raise self._search.broken(self._line, error) from error

    def numbered(self) -> Iterator[tuple[int, str]]:
        """Yield the rows, each behind the number of the line in which it ends.

        :raises AudienceError: as iterating does.
        """
        for row in self:
            yield self._line, row

    @property
    def _line(self) -> int:
        return self._lines_before + int(self._reader.line_num)

    def _refuse_other_header(self, row: list[str], header: Header) -> None:
        """Raise for a second table below, whose rows have the numbers at another place."""
        if holds_phone(row):
            return
        # Where the number is missing, another cell may be 手机 and mean a device.
        is_empty = not "".join(row[header.index : header.index + 1]).strip()
        for name in (header.name,) if is_empty else (header.name, self._search.column):
            if named_column(row, name) not in (None, header.index):
                raise self._search.error(
                    f"has another header in line {self._line}, which has the numbers at another place than the first",
                    "give each table as a file of its own, or delete the line if it is a row without a number",
                )

    def _read_head(self) -> list[str]:
        head: list[str] = []
        full = 0
        for line in self._lines:
            head.append(line)
            full += bool(line.strip(BLANK))
            if full == HEAD_LINES:
                break
        return head


def _cell(row: list[str], header: Header) -> str | None:
    """Return what a row of another width has for a number; None: it is a blank line."""
    if not row or (len(row) == 1 and row[0] and not row[0].strip(BLANK)):
        return None
    filled = filled_at(row)
    if not filled:
        return ""
    if header.alone:
        fits = filled == [header.index]
    elif len(row) < header.width:
        fits = header.only and numbers_at(row) == [header.index]
    else:
        fits = filled[-1] < header.width
    return row[header.index] if fits else UnevenRow(row, header.width)
