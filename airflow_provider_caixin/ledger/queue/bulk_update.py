"""Recipients written many at once, each with values of its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger.schema import recipient

# Rows of one UPDATE; a statement of each length is kept.
_STATEMENT_ROWS: Final = 50


def write_each(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Write recipients, each with values of its own; all have the same columns, of which one is the id."""
    if not rows:
        return
    names = tuple(rows[0])
    if connection.dialect.name not in ("mysql", "mariadb"):
        values = [{f"new_{name}": value for name, value in row.items()} for row in rows]
        connection.execute(_update_each(names), values)
        return
    # PyMySQL waits for the server's answer to each row of an executemany, which is most of a tick.
    for start in range(0, len(rows), _STATEMENT_ROWS):
        part = rows[start : start + _STATEMENT_ROWS]
        flat = {f"{name}_{index}": value for index, row in enumerate(part) for name, value in row.items()}
        connection.execute(_update_together(names, len(part)), flat)


@cache
def _update_each(names: tuple[str, ...]) -> sa.Update:
    values: dict[str, sa.ColumnElement[Any]] = {
        name: sa.bindparam(f"new_{name}") for name in names if name != "id"
    }
    return sa.update(recipient).where(recipient.c.id == sa.bindparam("new_id")).values(values)


@cache
def _update_together(names: tuple[str, ...], count: int) -> sa.TextClause:
    # As text: to put it together from SQLAlchemy's parts takes up to a tenth of a second for each length.
    rows = (", ".join(f":{name}_{index} AS {name}" for name in names) for index in range(count))
    given = " UNION ALL ".join(f"SELECT {row}" for row in rows)
    values = ", ".join(f"one.{name} = given.{name}" for name in names if name != "id")
    # Nothing in it but names of columns.
    return sa.text(
        f"UPDATE {recipient.name} AS one JOIN ({given}) AS given ON one.id = given.id SET {values}"  # noqa: S608
    )
