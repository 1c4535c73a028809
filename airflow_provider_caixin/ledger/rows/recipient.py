"""The rows of recipients: those whose lease ran out, and those that are skipped."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.rows import lease as lease_rows
from airflow_provider_caixin.ledger.rows import traffic as traffic_rows
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.rows.load import visible
from airflow_provider_caixin.ledger.schema import recipient
from airflow_provider_caixin.vocabulary import SkipReason, State

# Of one statement or transaction where there may be millions.
BATCH_ROWS: Final = 10_000

row_ids: Final[sa.BindParameter[list[int]]] = sa.bindparam("ids", expanding=True)

_EXPIRED: Final = (
    sa.select(recipient.c.id, recipient.c.sent_at)
    .where(recipient.c.campaign == sa.bindparam("campaign"))
    .where(lease_rows.ran_out(sa.bindparam("now", type_=sa.Double)))
)

_SET_STATE: Final = (
    sa.update(recipient)
    .where(recipient.c.id.in_(row_ids))
    .values(state=sa.bindparam("new_state"), reason=sa.bindparam("new_reason"), due=sa.bindparam("new_due"))
)


def expire_leases(connection: Connection, campaign: CampaignRow, now: float) -> int:
    """Write recipients as unknown whose lease ran out: their sender died or was suspended.

    :param campaign: the campaign's row, whose counts follow.
    :return: how many.
    """
    expired = connection.execute(_EXPIRED, {"campaign": campaign.id, "now": now}).all()
    if expired:
        ids = [one.id for one in expired]
        set_state(connection, ids, State.UNKNOWN, lease_rows.NO_ANSWER)
        campaign.move(State.IN_FLIGHT, State.UNKNOWN, len(ids))
        minutes = Counter((traffic_rows.minute_of(one.sent_at), State.UNKNOWN) for one in expired)
        traffic_rows.add_requests(connection, campaign.id, minutes)
    return len(expired)


def set_state(
    connection: Connection, ids: Sequence[int], state: State, reason: str | None = None, due: float = 0.0
) -> None:
    """Set the state of recipients; the caller moves the campaign's counts.

    :param reason: the skip reason or a text.
    :param due: for ``pending``: not before this moment.
    """
    if ids:
        values = {"ids": list(ids), "new_state": state.value, "new_reason": reason, "new_due": due}
        connection.execute(_SET_STATE, values)


def skip_pending(ledger: Ledger, campaign_key: int, reason: SkipReason, *, seconds: float = math.inf) -> int:
    """Skip whatever is pending in a campaign, batch by batch.

    :param seconds: how long it may take; the batch that runs then is the last.
    :return: how many.
    """
    skipped, monotonic = 0, ledger.machine.monotonic
    until = monotonic() + seconds
    while monotonic() < until and (batch := skip_batch(ledger, campaign_key, reason)):
        skipped += batch
    return skipped


def skip_batch(ledger: Ledger, campaign_key: int, reason: SkipReason) -> int:
    """Skip some of what is pending in a campaign.

    :return: how many; less than a batch: nothing is left.
    """
    with ledger.writing() as connection:
        row = CampaignRow.lock(connection, campaign_key)
        expire_leases(connection, row, ledger.now(connection))
        pending = (recipient.c.state == State.PENDING.value, visible(connection, campaign_key))
        statement = sa.select(recipient.c.id).where(recipient.c.campaign == campaign_key, *pending)
        ids = list(connection.execute(statement.limit(BATCH_ROWS)).scalars())
        set_state(connection, ids, State.SKIPPED, reason.value)
        row.move(State.PENDING, State.SKIPPED, len(ids))
        row.save(connection)
    return len(ids)
