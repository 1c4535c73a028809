"""Which column of a table holds the numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from airflow_provider_caixin.audience.errors import AudienceError
from airflow_provider_caixin.audience.numbers import without_numbers
from airflow_provider_caixin.audience.sources.patterns import LEGEND, pattern_of

#: The columns looked for when none is named, in this order.
COLUMNS = ("mobile", "手机号", "手机号码", "手机")

# No heading holds so many.
MANY_DIGITS = 7
# What stands between digits that are meant to be read.
_OF_ROWS = re.compile(rf"\d(?:[\W_]*\d){{{MANY_DIGITS - 1}}}")


def column_name(column: object) -> str | None:
    """Return what was given as the name of a column; None: none is named, or the text is blank.

    :raises AudienceError: it is no text: a place, which says nothing of what stands there.
    """
    if column is None or isinstance(column, str):
        return column if column and column.strip() else None
    raise AudienceError(
        f"audience_column {column!r} is a {type(column).__name__}: expected the name of a column, as its header has it."
    )


def find_column(header: Sequence[str], column: str | None) -> int | None:
    """Return the place of the column of the numbers; None: there is no single one.

    :param header: the names of the columns.
    :param column: the one to look for; None: ``mobile``, else 手机号, 手机号码, 手机, else the only one.
    :raises AudienceError: the column is no text.
    """
    column = column_name(column)
    index = named_column(header, column)
    named = [place for place, name in enumerate(header) if name.strip()]
    return named[0] if index is None and column is None and len(named) == 1 else index


def named_column(header: Sequence[str], column: str | None) -> int | None:
    """Return the place of the column of the numbers, found by its name alone; None: there is no single one.

    Case, spaces, what cannot be seen, and the asterisk of a field that must be filled in make no difference.

    :param header: the names of the columns.
    :param column: the one to look for; None: ``mobile``, else 手机号, 手机号码, 手机.
    """
    if column is not None:
        names = [name.strip().casefold() for name in header]
        if names.count(column.strip().casefold()) == 1:
            return names.index(column.strip().casefold())
    names = [_plain(name) for name in header]
    for wanted in COLUMNS if column is None else (_plain(column),):
        if wanted and names.count(wanted) == 1:
            return names.index(wanted)
    return None


def missing_column(header: Sequence[str], column: str | None, where: str) -> str:
    """Return a sentence's end that says which column is not there, and which are.

    Of what may be a row that was taken for a header it shows only the patterns.

    :param header: the names of the columns.
    :param column: the one that was looked for, or None.
    :param where: where the names stand.
    """
    names = [name for name in header if name.strip()][:20]
    if any(map(_OF_ROWS.search, names)):
        shown = f"{', '.join(map(pattern_of, names))}; {LEGEND}"
    else:
        shown = ", ".join(map(_seen, names))
    return f"has no single column {column or '/'.join(COLUMNS)} {where} ({shown})"


def _plain(name: str) -> str:
    """Return what of a heading is seen and meant."""
    seen = [char for char in unicodedata.normalize("NFKC", name) if unicodedata.category(char) != "Cf"]
    return "".join("".join(seen).split()).removeprefix("=").strip("*\"'").casefold()


def _seen(name: str) -> str:
    seen = [char if char.isprintable() else char.encode("unicode_escape").decode() for char in name.strip()]
    return without_numbers("".join(seen))[:40]
