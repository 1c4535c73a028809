"""The version of a ledger's tables: made new, upgraded step by step, or refused."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.errors import LedgerError

log = logging.getLogger(__name__)

# The oldest version from which steps lead to today's.
BASE_VERSION: Final = 5
_VERSION: Final = "schema_version"

# By the version that a step leads to. MySQL commits each change of a table by itself, so a step that was
# interrupted is done again: it must not mind what is there already.
STEPS: Final[dict[int, Callable[[Connection], None]]] = {}


def read_meta(connection: Connection) -> dict[str, str]:
    """Return a ledger's own id and the version of its tables; nothing where there are no tables."""
    if not sa.inspect(connection).has_table(schema.meta.name):
        return {}
    rows = connection.execute(sa.select(schema.meta.c.name, schema.meta.c.value))
    return {row.name: row.value for row in rows}


def is_current(meta: Mapping[str, str]) -> bool:
    """Return whether a ledger's tables are those of this version; False: they are yet to be made or upgraded.

    :raises LedgerError: when they are of a newer version, or of one that is too old to be upgraded.
    """
    version = int(meta.get(_VERSION, 0))
    if version > schema.SCHEMA_VERSION:
        raise LedgerError(
            f"The ledger has schema version {version}, this airflow-provider-caixin knows up to "
            f"{schema.SCHEMA_VERSION}: upgrade airflow-provider-caixin on this host."
        )
    if 0 < version < BASE_VERSION:
        raise LedgerError(
            f"The ledger has schema version {version}, and this airflow-provider-caixin upgrades from version {BASE_VERSION} on: "
            f"open the ledger once with an older airflow-provider-caixin that brings it to version {BASE_VERSION}, or name an "
            "empty database, which knows nothing of what was sent before."
        )
    return version == schema.SCHEMA_VERSION


def make_or_upgrade(connection: Connection) -> dict[str, str]:
    """Make the tables, or upgrade those of an older version; return :func:`read_meta` afterwards."""
    meta = read_meta(connection)
    if not meta:
        schema.metadata.create_all(connection)
        meta = {_VERSION: str(schema.SCHEMA_VERSION), "uuid": str(uuid.uuid4())}
        values = [{"name": name, "value": value} for name, value in meta.items()]
        connection.execute(sa.insert(schema.meta), values)
    while not is_current(meta):
        version = int(meta[_VERSION]) + 1
        log.warning(
            "Upgrading the ledger to schema version %d; with millions of recipients this takes minutes.",
            version,
        )
        STEPS[version](connection)
        meta[_VERSION] = str(version)
        change = sa.update(schema.meta).where(schema.meta.c.name == _VERSION)
        connection.execute(change.values(value=meta[_VERSION]))
    return meta


def add_columns(connection: Connection, table: sa.Table, *names: str) -> None:
    """Add columns of today's tables that the database does not have yet."""
    present = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
    for name in names:
        if name not in present:
            kind = table.c[name].type.compile(connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {name} {kind}")
