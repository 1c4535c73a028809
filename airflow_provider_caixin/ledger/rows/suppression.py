"""The rows of the suppression list: numbers that must never get a message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema

_AMONG: Final = sa.select(schema.suppression.c.number).where(
    schema.suppression.c.number.in_(sa.bindparam("numbers", expanding=True))
)


def find_suppressed(connection: Connection, numbers: Sequence[str]) -> set[str]:
    """Return which of these numbers are on the list."""
    return set(connection.execute(_AMONG, {"numbers": list(numbers)}).scalars())
