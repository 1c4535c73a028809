"""How an older ledger's tables become those of this version, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema, traffic


def _index_messages_of_people(connection: Connection) -> None:
    """Version 2: with years of campaigns, who had a message today is found without reading all that a person ever had."""
    schema.messages_of_people.create(connection, checkfirst=True)


def _keep_traffic(connection: Connection) -> None:
    """Version 3: requests by minute, whose a campaign is, a person's limit for an account, and a count that is kept."""
    for table, names in (
        (schema.account, ("max_per_day",)),
        (
            schema.campaign,
            (
                "active_at",
                "dag_id",
                "run_id",
                "task_id",
                "map_index",
                "rate",
                "loosened",
                "purged_at",
                "tallied",
            ),
        ),
    ):
        present = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
        for name in names:
            if name not in present:
                kind = table.c[name].type.compile(connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {name} {kind}")
    schema.traffic.create(connection, checkfirst=True)
    schema.tally.create(connection, checkfirst=True)
    connection.execute(sa.delete(schema.traffic))
    traffic.recount(connection)


# By the version that a step leads to. MySQL commits each change of a table by itself, so a step that was
# interrupted is done again: it must not mind what is there already.
STEPS: Final[dict[int, Callable[[Connection], None]]] = {
    2: _index_messages_of_people,
    3: _keep_traffic,
}
