"""Lists of numbers to suppress: read like an audience, and merged into the ledger's suppression list."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final, NamedTuple

from airflow_provider_caixin.audience import Audience, AudienceError, numbers_in
from airflow_provider_caixin.audience.numbers import text_of
from airflow_provider_caixin.audience.sources.patterns import LEGEND, pattern_of
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import suppressions

log = logging.getLogger(__name__)

# A sentence names so many rows.
_MOST_NAMED: Final = 5


class DamagedRows(AudienceError):
    """Rows of a suppression list may be numbers that were damaged: their recipients would get a message."""


class ListCheck(NamedTuple):
    """What a list of numbers to suppress holds.

    :param numbers: how many different numbers.
    :param new: how many of them are not on the suppression list.
    :param others: rows that cannot be mobile numbers.
    :param damaged: rows that may be damaged ones.
    :param rows: where the first of these stand and what they look like.
    """

    numbers: int
    new: int
    others: int
    damaged: int
    rows: tuple[str, ...]


def import_suppressions(ledger: Ledger, listed: Audience, reason: str) -> int:
    """Add numbers to the ledger's suppression list, where they stay until they are released.

    :param reason: for whoever reads the list; a number that is on it already keeps reason and date.
    :return: how many are new on the list.
    :raises AudienceError: see :func:`numbers_of`; what can be read is on the list.
    """
    reading = _Reading(listed)
    new = suppressions.suppress(ledger, reading, reason)
    reading.check("What can be read is on the suppression list.")
    return new


def check_suppressions(ledger: Ledger, listed: Audience) -> ListCheck:
    """Return what importing a list would do, and import nothing.

    :raises AudienceError: it cannot be read.
    """
    reading = _Reading(listed)
    numbers = set(reading)
    new = suppressions.count_new(ledger, numbers)
    return ListCheck(len(numbers), new, reading.others, reading.damaged, tuple(reading.named))


def numbers_of(listed: Audience) -> Iterator[str]:
    """Yield the numbers of a list, normalised; of a row with several, all.

    :param listed: its rows; how many of them cannot be mobile numbers is a WARNING.
    :raises DamagedRows: behind the last number, when rows may be damaged numbers.
    :raises AudienceError: it cannot be read, or has rows and not one of them is a mobile number: that is
        another file.
    """
    reading = _Reading(listed)
    yield from reading
    reading.check()


class _Reading:
    """A list while it is read, once."""

    def __init__(self, listed: Audience) -> None:
        self._listed = listed
        self.numbers = self.others = self.damaged = 0
        self.named: list[str] = []

    def __iter__(self) -> Iterator[str]:
        """Yield the numbers, and count what is none."""
        numbered = getattr(self._listed, "numbered", None)
        place, rows = ("line", numbered()) if numbered else ("row", enumerate(self._listed, 1))
        for at, row in rows:
            numbers, damaged = numbers_in(row)
            self.numbers += bool(numbers)
            yield from numbers
            if damaged:
                self.damaged += 1
                if len(self.named) < _MOST_NAMED:
                    self.named.append(f"{place} {at}: {pattern_of(text_of(row))!r}")
            elif not numbers:
                self.others += 1

    def check(self, done: str = "") -> None:
        """Check what was read.

        :param done: what became of the numbers that could be read.
        :raises AudienceError: see :func:`numbers_of`.
        """
        if self.damaged:
            more = f" and {self.damaged - len(self.named)} more" if self.damaged > len(self.named) else ""
            rows = "1 row may be a damaged mobile number"
            if self.damaged > 1:
                rows = f"{self.damaged} rows may be damaged mobile numbers"
            raise DamagedRows(
                f"{self._listed}: {rows} "
                f"({', '.join(self.named)}{more}; {LEGEND}). Take these numbers from their source again, as text, or delete what is no number, and run it again. {done}".strip()
            )
        if self.others and not self.numbers:
            raise AudienceError(
                f"{self._listed}: none of the {self.others} rows is a mobile number; expected a suppression list, one 11-digit "
                "number a row."
            )
        if self.others:
            log.warning(
                "%s: %d of %d rows are no mobile numbers and suppress nobody.",
                self._listed,
                self.others,
                self.others + self.numbers,
            )
