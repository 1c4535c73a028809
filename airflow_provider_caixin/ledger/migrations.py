"""How an older ledger's tables become those of this version, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.rows import traffic as traffic_rows


def _index_messages_of_people(connection: Connection) -> None:
    """Version 2: with years of campaigns, who had a message today is found without reading all that a person ever had."""
    schema.messages_of_people.create(connection, checkfirst=True)


def _keep_traffic(connection: Connection) -> None:
    """Version 3: requests by minute, whose a campaign is, a person's limit for an account, and a count that is kept."""
    _add(connection, schema.account, "max_per_day")
    whose = ("dag_id", "run_id", "task_id", "map_index")
    _add(connection, schema.campaign, "active_at", *whose, "rate", "loosened", "purged_at", "tallied")
    schema.traffic.create(connection, checkfirst=True)
    schema.tally.create(connection, checkfirst=True)
    connection.execute(sa.delete(schema.traffic))
    traffic_rows.recount_requests(connection)


def _keep_reach(connection: Connection) -> None:
    """Version 4: runs whose ledger is near get slots beside one whose ledger is far away."""
    _add(connection, schema.account, "reach")


def _keep_keys(connection: Connection) -> None:
    """Version 5: whose an AppKey is, and which account a connection sent by."""
    schema.account_key.create(connection, checkfirst=True)
    schema.account_connection.create(connection, checkfirst=True)


def _add(connection: Connection, table: sa.Table, *names: str) -> None:
    present = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
    for name in names:
        if name not in present:
            kind = table.c[name].type.compile(connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {name} {kind}")


# By the version that a step leads to. MySQL commits each change of a table by itself, so a step that was
# interrupted is done again: it must not mind what is there already.
STEPS: Final[dict[int, Callable[[Connection], None]]] = {
    2: _index_messages_of_people,
    3: _keep_traffic,
    4: _keep_reach,
    5: _keep_keys,
}
