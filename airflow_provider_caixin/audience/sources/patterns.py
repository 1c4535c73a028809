"""What a row looks like, for messages and reports that must not show what stands in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Self

from airflow_provider_caixin.audience.numbers import holds_number

#: Said once with patterns.
LEGEND: Final = "9 stands for a digit, x for a letter"
_LONGEST_PATTERN = 32
# Of a row's other cells so many characters, and so many cells before the first number.
_LONGEST_CELL = 8
_CELLS_BEFORE = 2
# What programs write for nothing may be shown.
_NOTHING = ("", "nan", "none", "null", "nat", "<na>", "n/a", "#n/a", "true", "false")
# The E of a number in scientific notation is what tells that digits are lost.
_MARKS = re.compile(r"(?<=\d)([eE])(?=[+-]?\d)|\d|[^\W\d_]")
_UNEVEN = re.compile(r"\[\d+ cells? under \d+ headings?\] ")


def pattern_of(text: str) -> str:
    """Return a text, cut short, with 9 for every digit and x for every letter: ``9.99E+99``, ``xxx``."""
    if text.strip().casefold() in _NOTHING:
        return text.strip()
    note = _UNEVEN.match(text)
    start = note.end() if note else 0
    rest = text[start : start + _LONGEST_PATTERN]
    shown = _MARKS.sub(lambda mark: mark[1] or ("9" if mark[0].isdigit() else "x"), rest)
    return text[:start] + shown + ("…" if len(text) > start + _LONGEST_PATTERN else "")


class UnevenRow(str):
    """A row of another width than its header, as a text that is never read as a number.

    The text keeps the cells that hold a mobile number, so that the report says who was left out, and of the
    others their patterns: they are other columns' and may say anything of a recipient.

    :param row: its cells.
    :param width: how many headings there are.
    """

    __slots__ = ("cells",)

    #: The cells as they are.
    cells: Sequence[str]

    def __new__(cls, row: Sequence[str], width: int) -> Self:
        """Return the row as a text."""
        held = [holds_number(cell) for cell in row]
        # Of a long row that part which has the number.
        start = max(held.index(True) - _CELLS_BEFORE, 0) if True in held else 0
        shown = [
            cell if holds else pattern_of(cell)[:_LONGEST_CELL]
            for cell, holds in zip(row[start:], held[start:], strict=True)
        ]
        cells = f"{len(row)} cell{'' if len(row) == 1 else 's'}"
        note = f"[{cells} under {width} heading{'' if width == 1 else 's'}] "
        self = super().__new__(cls, f"{note}{'…,' if start else ''}{','.join(shown)}")
        self.cells = row
        return self


def is_uneven(text: str) -> bool:
    """Return whether a text is that of an :class:`UnevenRow`."""
    return _UNEVEN.match(text) is not None
