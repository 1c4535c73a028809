"""An audience out of a database: the rows of a query, streamed through its driver's own cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from airflow_provider_caixin.audience.errors import AudienceError
from airflow_provider_caixin.audience.sources.columns import column_name, find_column, missing_column
from airflow_provider_caixin.audience.sources.digest import digest_of

_FETCHED_ROWS: Final = 5_000


class Cursor(Protocol):
    """What is used of a DB-API cursor that has executed its query."""

    description: Any

    def fetchmany(self, size: int, /) -> Sequence[Any]:
        """Return the next rows; none: there are no more."""


class QueryAudience:
    """The rows of a query, of which no more than some thousand are in memory at a time.

    The column is found as in a .csv: by its name, which may be left out where it is ``mobile``, 手机号,
    手机号码 or 手机, or the only one. NULL is a row that is no number; a result without rows is an audience
    of nobody.

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
        """Return the source's name as messages have it."""
        return "sql"

    @property
    def fingerprint(self) -> str:
        """A hash of the query and not of its rows: a query that was loaded is not run again."""
        return digest_of(self._identity)

    def __iter__(self) -> Iterator[object]:
        """Run the query and yield its rows.

        :raises AudienceError: it gives no rows, as an UPDATE does, or has no such column.
        """
        with self._execute() as cursor:
            # Before the description: a cursor on the server's side has none until it was read from.
            rows = cursor.fetchmany(_FETCHED_ROWS) if cursor.description is None else None
            if cursor.description is None:
                raise AudienceError("sql: the statement gives no rows; expected a SELECT of numbers")
            names = [str(column[0]) for column in cursor.description]
            index = find_column(names, self._column)
            if index is None:
                raise AudienceError(
                    f"sql: the result {missing_column(names, self._column, 'among its columns')}; name one of its columns as audience_column"
                )
            if rows is None:
                rows = cursor.fetchmany(_FETCHED_ROWS)
            while rows:
                # Some drivers give mappings, as the connection's own settings say.
                yield from (row[names[index]] if isinstance(row, Mapping) else row[index] for row in rows)
                rows = cursor.fetchmany(_FETCHED_ROWS)
