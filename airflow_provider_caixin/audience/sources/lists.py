"""Audiences in memory: one number, a list, or what an upstream task returned."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from numbers import Number

from airflow_provider_caixin.audience.errors import AudienceError
from airflow_provider_caixin.audience.numbers import BYTES, text_of, written
from airflow_provider_caixin.audience.sources.items import (
    is_table,
    item_of,
    refusal,
    table_refused,
    values_of,
)

# What needs no look.
_PLAIN = (str, int, float, type(None))


class ListAudience:
    """
    Numbers held in memory.

    :param values: the rows; what can be iterated only once, or is fetched item by item, is copied.
    :param single: the audience was given as one number and not as a list.
    :param argument: what the rows were given as, for messages.
    :raises AudienceError: it is a table or a file, or a row of it is a list or a mapping.
    """

    def __init__(self, values: Iterable[object], *, single: bool = False, argument: str = "mobiles") -> None:
        self.single = single
        self._argument = argument
        values = values_of(values, argument)
        self._values = values if isinstance(values, (list, tuple)) else tuple(_ordered(values))
        digest = sha256()
        read: dict[int, object] = {}
        for position, given in enumerate(self._values):
            value = given
            if type(given) not in _PLAIN and (value := item_of(given, position, argument)) is not given:
                read[position] = value
            digest.update(f"{written(value)!r},".encode(errors="backslashreplace"))
        if read:
            self._values = [read.get(position, value) for position, value in enumerate(self._values)]
        self.fingerprint: str = digest.hexdigest()

    def __str__(self) -> str:
        """Name the argument, and no number, as messages do."""
        return self._argument

    def __iter__(self) -> Iterator[object]:
        """Iterate over the rows."""
        return iter(self._values)


def _ordered(values: Iterable[object]) -> Iterable[object]:
    """Give a set the same order in every process: that of texts goes by hashes that differ, that of numbers does not."""
    if isinstance(values, (set, frozenset)) and not all(isinstance(value, Number) for value in values):
        return sorted(values, key=lambda value: f"{written(value)!r}")
    return values


def audience_from(value: object, *, argument: str = "mobiles") -> ListAudience:
    """
    Make an audience of what a Dag gives: one number, a list, or what an upstream task returned.

    A text with several pieces (at line ends, ``,``, ``;``, ``，``, ``；`` or ``、``) is a list, and so is the
    text of a list, which is what Jinja makes of one. Bytes are the text that they spell. A column of pandas, polars, Arrow or
    numpy is a list; a whole table of them is none.

    :param value: text, number or iterable; an empty list is an audience of nobody.
    :param argument: what the value was given as, for messages.
    :raises AudienceError: it is nothing, a mapping, a table, a file, nested, or of a type that holds no numbers.
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
    if is_table(value):
        raise table_refused(value, argument)
    if isinstance(value, Iterable):
        return ListAudience(value, argument=argument)
    raise refusal(value, argument)


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
