"""An audience without a single number is refused: it is another file, column or table than was meant."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from airflow_provider_caixin.audience.errors import AudienceError
from airflow_provider_caixin.audience.numbers import holds_number
from airflow_provider_caixin.audience.sources.patterns import LEGEND, is_uneven, pattern_of
from airflow_provider_caixin.vocabulary import SkipReason

log = logging.getLogger(__name__)

_PATTERNS_SHOWN = 3


def require_numbers(
    rows: Iterable[tuple[str, SkipReason | None]], source: object, *, warn: bool = False
) -> Iterator[tuple[str, SkipReason | None]]:
    """Yield an audience's rows, and at its end refuse it if there was no number among them.

    :param rows: as :meth:`.Classifier.classify` yields them.
    :param source: the audience; its text names it in messages.
    :param warn: log a WARNING when more than half of the rows are no numbers, or the only one of a list is
        none, and one when rows of another width than their header hold numbers.
    :raises AudienceError: behind the last row, when there are two or more and not one of them is a number.
    """
    total = invalid = shifted = 0
    patterns: dict[str, None] = {}
    first_shifted = ""
    for row in rows:
        total += 1
        if row[1] == SkipReason.INVALID_NUMBER:
            invalid += 1
            if len(patterns) < _PATTERNS_SHOWN:
                patterns[pattern_of(row[0])] = None
            if is_uneven(row[0]) and holds_number(row[0]):
                shifted += 1
                first_shifted = first_shifted or pattern_of(row[0])
        yield row
    shown = f"{', '.join(map(repr, patterns))} ({LEGEND})"
    if invalid == total > 1:
        raise AudienceError(
            f"{source}: none of the {total} rows is a mobile number; the first look like {shown}. "
            "Nobody is sent anything: give the column, list or file that holds the numbers."
        )
    if warn and shifted:
        log.warning(
            "%s: %d of %d rows hold a number and have more or fewer cells than there are headings, such as %r (%s). Whose number "
            "it is is not known, and nobody is sent anything for them: export the table again with every cell, or mend these rows.",
            source,
            shifted,
            total,
            first_shifted,
            LEGEND,
        )
    if warn and invalid * 2 > total and not (total == 1 and getattr(source, "single", False)):
        log.warning("%s: %d of %d rows are no mobile numbers, such as %s.", source, invalid, total, shown)
