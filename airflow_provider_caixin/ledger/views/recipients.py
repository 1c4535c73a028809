"""One recipient: every message to a number, over all campaigns; for complaints."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.rows import lease as lease_rows
from airflow_provider_caixin.ledger.rows.load import hidden
from airflow_provider_caixin.ledger.views.campaigns import of_dags

_table: Final = schema.recipient
_campaign: Final = schema.campaign


class Entry(NamedTuple):
    """What became of a number in one campaign.

    :param at: when the request left, else when the campaign was made.
    :param sent_at: when the request left; None: none did, or none that counts.
    """

    at: float
    key: int
    campaign_id: str
    dag_id: str | None
    tpl_id: int
    state: str
    reason: str | None
    code: int | None
    sid: str | None
    sent_at: float | None


def history(
    connection: Connection,
    number: str,
    now: float,
    *,
    dag_ids: AbstractSet[str] | None = None,
    without_dag: bool = False,
    most: int = 500,
) -> list[Entry]:
    """Return what became of a number, the latest first. Purged campaigns know nothing of it any more."""
    at = sa.func.coalesce(_table.c.sent_at, _campaign.c.created_at).label("at")
    columns = {
        "key": _campaign.c.id,
        "campaign_id": _campaign.c.campaign_id,
        "dag_id": _campaign.c.dag_id,
        "tpl_id": _campaign.c.tpl_id,
        "state": lease_rows.state_as_of(now),
        "reason": lease_rows.reason_as_of(now),
        **{name: _table.c[name] for name in ("code", "sid", "sent_at")},
    }
    statement = (
        sa.select(at, *(columns[name] for name in Entry._fields[1:]))
        .select_from(_table.join(_campaign, _campaign.c.id == _table.c.campaign))
        .where(_table.c.number == number, ~hidden())
        .order_by(at.desc(), _table.c.id.desc())
        .limit(most)
    )
    if dag_ids is not None:
        statement = statement.where(of_dags(dag_ids, without_dag=without_dag))
    return [Entry(*row) for row in connection.execute(statement)]
