"""An audience out of a database: the rows of a query, streamed through its driver's own cursor."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from io import BytesIO
from pathlib import PurePath
from typing import Any, Final, Protocol
from uuid import UUID

from airflow_provider_caixin.audience.errors import AudienceError
from airflow_provider_caixin.audience.numbers import written
from airflow_provider_caixin.audience.sources.columns import column_name, find_column, missing_column

_FETCHED_AT_ONCE = 5_000
# What says all that it is in its text.
_WHOLE_TEXT: Final = (bytes, bytearray, date, time, timedelta, Decimal, Enum, PurePath, UUID)
# Where an object lies in memory, which is another place in each process.
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]{6,16}\b")


class Cursor(Protocol):
    """What is used of a DB-API cursor that has executed its query."""

    description: Any

    def fetchmany(self, size: int, /) -> Sequence[Any]:
        """Give the next rows; none: there are no more."""


class QueryAudience:
    """
    The rows of a query, of which no more than some thousand are in memory at a time.

    The column is found as in a .csv: by its name, which may be left out where it is ``mobile``, 手机号, 手机号码 or 手机, or
    the only one. NULL is a row that is no number; a result without rows is an audience of nobody.

    :param execute: opens a cursor on which the query has run; called only when the rows are asked for.
    :param column: the name of the column, without regard to case; None: see above.
    :param identity: what makes this source this one and no other: its text, its parameters, where it runs.
    """

    def __init__(
        self,
        execute: Callable[[], AbstractContextManager[Cursor]],
        column: str | None = None,
        *,
        identity: Sequence[object],
    ) -> None:
        self._execute = execute
        self._column = column_name(column)
        self._identity = [*identity, self._column]

    def __str__(self) -> str:
        """Name the source as messages do."""
        return "sql"

    @property
    def fingerprint(self) -> str:
        """A hash of the query and not of its rows: a query that was loaded is not run again."""
        return digest_of(self._identity)

    def __iter__(self) -> Iterator[object]:
        """
        Run the query and stream its rows.

        :raises AudienceError: it gives no rows, as an UPDATE does, or has no such column.
        """
        with self._execute() as cursor:
            # Before the description: a cursor on the server's side has none until it was read from.
            rows = cursor.fetchmany(_FETCHED_AT_ONCE) if cursor.description is None else None
            if cursor.description is None:
                raise AudienceError("sql: the statement gives no rows; expected a SELECT of numbers")
            names = [str(column[0]) for column in cursor.description]
            index = find_column(names, self._column)
            if index is None:
                raise AudienceError(
                    f"sql: the result {missing_column(names, self._column, 'among its columns')}; name one of its columns as audience_column"
                )
            if rows is None:
                rows = cursor.fetchmany(_FETCHED_AT_ONCE)
            while rows:
                # Some drivers give mappings, as the connection's own settings say.
                yield from (row[names[index]] if isinstance(row, Mapping) else row[index] for row in rows)
                rows = cursor.fetchmany(_FETCHED_AT_ONCE)


def digest_of(values: object) -> str:
    """
    Hash what a source is known by, which may hold numbers; the same value has the same hash in every process.

    :param values: anything; of an object without a text of its own only the type counts. What is fetched item by item is
        fetched.
    """
    return sha256(json.dumps(_plain(values)).encode()).hexdigest()


def _plain(value: object) -> object:
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Mapping):
        return sorted([_key(key), json.dumps(_plain(item))] for key, item in value.items())
    if isinstance(value, _WHOLE_TEXT):
        return [type(value).__qualname__, str(value)]
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(json.dumps(_plain(item)) for item in value)
    own = type(value).__repr__ is not object.__repr__ or type(value).__str__ is not object.__str__
    if not own:
        return [type(value).__qualname__, "", ""]
    contents = _Contents()
    found = contents.hash_of(value)
    # The text would show a set in the order that it has in this process.
    text = "" if found and contents.sets else _ADDRESS.sub("", written(value))
    return [type(value).__qualname__, text, found]


def _key(key: object) -> str:
    """Write out a mapping's key, which may be, or hold, a frozenset."""
    contents = _Contents()
    contents.hash_of(key)
    return json.dumps(_plain(key)) if contents.sets else _ADDRESS.sub("", written(key))


class _Contents(pickle.Pickler):
    """
    What an object holds: a text of its own, such as a table's, may leave out most of it.

    A set's items are taken in the order of what they are and not in that of their hashes, which differ between processes.
    """

    def __init__(self) -> None:
        self._written = BytesIO()
        super().__init__(self._written)
        #: Whether there were any sets in it.
        self.sets = False

    def persistent_id(self, value: object) -> object:
        """
        Write a set in place of pickle, and leave all else to it.

        :param value: the next object.
        """
        if not isinstance(value, (set, frozenset)):
            return None
        self.sets = True
        return [type(value).__qualname__, _plain(frozenset(value))]

    def hash_of(self, value: object) -> str:
        """
        Hash an object; what cannot be pickled has no hash.

        :param value: the object.
        """
        with suppress(Exception):
            self.dump(value)
            return sha256(self._written.getvalue()).hexdigest()
        return ""
