"""Which column of a table holds the numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow_provider_caixin.audience.numbers import mask, normalise

#: The columns looked for when none is named, in this order.
COLUMNS = ("mobile", "手机号", "手机号码", "手机")

# No heading holds so many, and no more of them than this are shown.
MANY_DIGITS = 7


def find_column(header: Sequence[str], column: str | None) -> int | None:
    """
    Find the column of the numbers, without regard to case.

    :param header: the names of the columns.
    :param column: the one to look for; None: ``mobile``, else 手机号, 手机号码, 手机, else the only one.
    :return: its place; None: there is no single one.
    """
    names = [name.strip().casefold() for name in header]
    for wanted in COLUMNS if column is None else (column.strip().casefold(),):
        if names.count(wanted) == 1:
            return names.index(wanted)
    named = [index for index, name in enumerate(names) if name]
    return named[0] if column is None and len(named) == 1 else None


def missing_column(header: Sequence[str], column: str | None, where: str) -> str:
    """
    Say which column is not there, and which are, in case they are numbers without these.

    :param header: the names of the columns.
    :param column: the one that was looked for, or None.
    :param where: where the names stand.
    """
    shown = ", ".join(_masked(name) for name in [name for name in header if name.strip()][:20])
    return f"has no single column {column or '/'.join(COLUMNS)} {where} ({shown})"


def _masked(name: str) -> str:
    number = normalise(name)
    return mask(number) if number else re.sub(rf"\d{{{MANY_DIGITS},}}", "***", name)[:40]
