"""The rows of a text file, one number a line."""

from __future__ import annotations

from collections.abc import Iterator


class TextRows:
    """The rows of a text file: its lines that are not blank.

    :param lines: its lines, blank ones too.
    """

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[str]:
        """Yield the rows."""
        return (row for _, row in self.numbered())

    def numbered(self) -> Iterator[tuple[int, str]]:
        """Yield the rows, each behind its line's number."""
        for number, line in enumerate(self._lines, 1):
            row = line.rstrip("\r\n")
            if row and not row.isspace():
                yield number, row
