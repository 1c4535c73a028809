"""What a Dag may give as numbers: what is plain is read, and what only looks like a list is refused with the way."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from numbers import Number
from typing import Any

from airflow_provider_caixin.audience.errors import AudienceError
from airflow_provider_caixin.audience.numbers import BYTES, text_of

# Nothing of pandas, polars, Arrow or numpy is imported: their kinds are told by what they have.


def is_table(value: object) -> bool:
    """
    Tell whether a value is a frame or another table with named columns.

    :param value: what was given.
    """
    # Of the type: a lazy frame would work out its own.
    return hasattr(type(value), "columns") or hasattr(type(value), "column_names")


def table_refused(value: object, argument: str) -> AudienceError:
    """
    Say of a table which part of it to give.

    :param value: what was given.
    :param argument: what it was given as, for messages.
    """
    return AudienceError(
        f"{argument}: got a table ({type(value).__name__}), expected one column of it; pass that, such as df['mobile']"
    )


def values_of(value: Iterable[object], argument: str) -> Iterable[object]:
    """
    Give the items of a list, a column or any other row of values.

    :param value: what was given.
    :param argument: what it was given as, for messages.
    :raises AudienceError: going through it would give something else: a table's headings, a matrix's rows, a file's lines.
    """
    kind = type(value).__name__
    if is_table(value):
        raise table_refused(value, argument)
    if getattr(getattr(value, "dtype", None), "names", None):
        raise AudienceError(
            f"{argument}: got a table ({kind} of records), expected one field of it; pass that, such as rows['mobile']"
        )
    dimensions = getattr(value, "ndim", 1)
    if dimensions != 1:
        way = ".item()" if dimensions == 0 else "[:, 0], or whichever column holds the numbers"
        raise AudienceError(
            f"{argument}: got {kind} of {dimensions} dimensions, expected one number or a list; pass it with {way}"
        )
    if hasattr(value, "read") or hasattr(value, "line_num"):
        raise AudienceError(
            f"{argument}: got an open file or its reader ({kind}), expected one number or a list; give the file's path as "
            "audience_file, or a list of the numbers in it"
        )
    listed: Any = getattr(value, "to_pylist", None)
    return value if listed is None else listed()


def item_of(item: Any, position: int, argument: str) -> object:
    """
    Give one item as it is read: bytes as their text, an Arrow value as what it holds.

    :param item: the item.
    :param position: its place in the list, for messages.
    :param argument: what the list was given as, for messages.
    :raises AudienceError: it is a list, a row or a table itself.
    """
    if hasattr(item, "as_py"):
        item = item.as_py()
    if item is None or isinstance(item, (str, Number)):
        return item
    if isinstance(item, BYTES):
        return text_of(item)
    if isinstance(item, Mapping) or hasattr(item, "__iter__") or hasattr(item, "__len__"):
        raise AudienceError(
            f"{argument}: item {position} is a {type(item).__name__}, expected a number; pass a "
            "flat list of numbers (of rows: their number column), or map the task over the lists "
            "with expand()"
        )
    return item


def refusal(value: object, argument: str) -> AudienceError:
    """
    Say of what holds no items at all what to give instead.

    :param value: what was given.
    :param argument: what it was given as.
    """
    got = "nothing (None)" if value is None else type(value).__name__
    way = "see that the upstream task returns its numbers"
    if isinstance(value, os.PathLike) or hasattr(value, "open"):
        way = "give a file as audience_file"
    return AudienceError(f"{argument}: got {got}, expected one number or a list; {way}")
