"""An audience that a Dag gives as a value: one number, a list, a column, or what an upstream task returned.

What is plain is read, and what only looks like a list is refused with the way out. Nothing of pandas, polars,
Arrow or numpy is imported: their kinds are told by what they have.
"""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from numbers import Number
from typing import Any

from airflow_provider_caixin.audience.errors import AudienceError
from airflow_provider_caixin.audience.numbers import BYTES, text_of, written

# Types of items that are taken as they are.
_PLAIN = (str, int, float, type(None))


class ListAudience:
    """Numbers held in memory.

    :param values: the rows; what can be iterated only once, or is fetched item by item, is copied.
    :param single: the audience was given as one number and not as a list.
    :param argument: what the rows were given as, for messages.
    :raises AudienceError: it is a table or a file, or a row of it is a list or a mapping.
    """

    def __init__(self, values: Iterable[object], *, single: bool = False, argument: str = "mobiles") -> None:
        self.single = single
        self._argument = argument
        values = _values_of(values, argument)
        self._values = values if isinstance(values, (list, tuple)) else tuple(_ordered(values))
        digest = sha256()
        read: dict[int, object] = {}
        for position, given in enumerate(self._values):
            value = given
            if type(given) not in _PLAIN and (value := _item_of(given, position, argument)) is not given:
                read[position] = value
            digest.update(f"{written(value)!r},".encode(errors="backslashreplace"))
        if read:
            self._values = [read.get(position, value) for position, value in enumerate(self._values)]
        self.fingerprint: str = digest.hexdigest()

    def __str__(self) -> str:
        """Return the argument's name as messages have it; no number is in it."""
        return self._argument

    def __iter__(self) -> Iterator[object]:
        """Iterate over the rows."""
        return iter(self._values)


def _ordered(values: Iterable[object]) -> Iterable[object]:
    """Return values in an order that is the same in every process.

    A set of texts goes by hashes, which differ between processes; a set of numbers does not.
    """
    if isinstance(values, (set, frozenset)) and not all(isinstance(value, Number) for value in values):
        return sorted(values, key=lambda value: f"{written(value)!r}")
    return values


def audience_from(value: object, *, argument: str = "mobiles") -> ListAudience:
    """Return the audience that a Dag gives: one number, a list, or what an upstream task returned.

    A text with several pieces (at line ends, ``,``, ``;``, ``，``, ``；`` or ``、``) is a list, and so is the
    text of a list, which is what Jinja makes of one. Bytes are the text that they spell. A column of pandas,
    polars, Arrow or numpy is a list; a whole table of them is none.

    :param value: text, number or iterable; an empty list is an audience of nobody.
    :param argument: what the value was given as, for messages.
    :raises AudienceError: it is nothing, a mapping, a table, a file, nested, or of another type.
    """
    if isinstance(value, BYTES):
        value = text_of(value)
    if isinstance(value, str):
        return _from_text(value.strip(), argument)
    if isinstance(value, Number) and not isinstance(value, bool):
        return ListAudience([value], single=True, argument=argument)
    if isinstance(value, Mapping):
        raise AudienceError(
            f"{argument}: got a dict, expected one number or a list; pass the list inside it, such as "
            "task.output['mobiles'], or list(d.values())"
        )
    if _is_table(value):
        raise _table_refused(value, argument)
    if isinstance(value, Iterable):
        return ListAudience(value, argument=argument)
    raise _refusal(value, argument)


def _from_text(text: str, argument: str) -> ListAudience:
    if text.startswith(("[", "{")):
        return audience_from(_parsed(text, argument), argument=argument)
    pieces = [piece for piece in re.split(r"[\r\n,;，；、]", text) if piece.strip()]
    if not pieces or text == "None":
        raise AudienceError(
            f"{argument}: got {'an empty text' if not pieces else 'the text None'}, expected one number "
            "or a list; see that the template or upstream task gives numbers"
        )
    return ListAudience(pieces, single=len(pieces) == 1, argument=argument)


def _parsed(text: str, argument: str) -> object:
    for parse in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            return parse(text)
    raise AudienceError(
        f'{argument}: a text that begins like a list cannot be read; expected ["138...", "139..."]'
    )


def _is_table(value: object) -> bool:
    """Return whether a value is a frame or another table with named columns."""
    # Of the type: a lazy frame would work out its own.
    return hasattr(type(value), "columns") or hasattr(type(value), "column_names")


def _table_refused(value: object, argument: str) -> AudienceError:
    """Return the error for a table, which says which part of it to give."""
    return AudienceError(
        f"{argument}: got a table ({type(value).__name__}), expected one column of it; pass that, such as df['mobile']"
    )


def _values_of(value: Iterable[object], argument: str) -> Iterable[object]:
    """Return the items of a list, a column or any other row of values.

    :raises AudienceError: it would give something else: a table's headings, a matrix's rows, a file's lines.
    """
    kind = type(value).__name__
    if _is_table(value):
        raise _table_refused(value, argument)
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


def _item_of(item: Any, position: int, argument: str) -> object:
    """Return one item as it is read: bytes as their text, an Arrow value as what it holds.

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


def _refusal(value: object, argument: str) -> AudienceError:
    """Return the error for what holds no items at all, which says what to give instead."""
    got = "nothing (None)" if value is None else type(value).__name__
    way = "see that the upstream task returns its numbers"
    if isinstance(value, os.PathLike) or hasattr(value, "open"):
        way = "give a file as audience_file"
    return AudienceError(f"{argument}: got {got}, expected one number or a list; {way}")
