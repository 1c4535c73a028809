"""The rows of recipients: written, skipped, reopened."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.rows import lease as lease_rows
from airflow_provider_caixin.ledger.rows import traffic as traffic_rows
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.rows.load import visible
from airflow_provider_caixin.ledger.rows.traffic import minute_of
from airflow_provider_caixin.vocabulary import SkipReason, State

BATCH_ROWS: Final = 10_000

# Rows of one UPDATE; a statement of each length is kept.
STATEMENT_ROWS: Final = 50

recipients: Final = schema.recipient

row_ids: Final[sa.BindParameter[list[int]]] = sa.bindparam("ids", expanding=True)

_EXPIRED: Final = (
    sa.select(recipients.c.id, recipients.c.sent_at)
    .where(recipients.c.campaign == sa.bindparam("campaign"))
    .where(lease_rows.ran_out(sa.bindparam("now", type_=sa.Double)))
)

_MARK: Final = (
    sa.update(recipients)
    .where(recipients.c.id.in_(row_ids))
    .values(state=sa.bindparam("new_state"), reason=sa.bindparam("new_reason"), due=sa.bindparam("new_due"))
)


def write_each(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Write recipients, each with values of its own; all rows have the same columns, and one of them is the id."""
    if not rows:
        return
    names = tuple(rows[0])
    if connection.dialect.name not in ("mysql", "mariadb"):
        values = [{f"new_{name}": value for name, value in row.items()} for row in rows]
        connection.execute(_update_each(names), values)
        return
    # PyMySQL waits for the server's answer to each row of an executemany, which is most of a tick.
    for start in range(0, len(rows), STATEMENT_ROWS):
        part = rows[start : start + STATEMENT_ROWS]
        flat = {f"{name}_{index}": value for index, row in enumerate(part) for name, value in row.items()}
        connection.execute(_update_together(names, len(part)), flat)


@cache
def _update_each(names: tuple[str, ...]) -> sa.Update:
    values: dict[str, sa.ColumnElement[Any]] = {
        name: sa.bindparam(f"new_{name}") for name in names if name != "id"
    }
    return sa.update(recipients).where(recipients.c.id == sa.bindparam("new_id")).values(values)


@cache
def _update_together(names: tuple[str, ...], count: int) -> sa.TextClause:
    # As text: to put it together from SQLAlchemy's parts takes up to a tenth of a second for each length.
    rows = (", ".join(f":{name}_{index} AS {name}" for name in names) for index in range(count))
    given = " UNION ALL ".join(f"SELECT {row}" for row in rows)
    values = ", ".join(f"one.{name} = given.{name}" for name in names if name != "id")
    # Nothing in it but names of columns.
    return sa.text(
        f"UPDATE {recipients.name} AS one JOIN ({given}) AS given ON one.id = given.id SET {values}"  # noqa: S608
    )


def expire_leases(connection: Connection, campaign: CampaignRow, now: float) -> int:
    """
    Write recipients as unknown whose lease ran out: their sender died or was suspended.

    :param connection: a transaction that holds the campaign's lock.
    :param campaign: the campaign's row, whose counts follow.
    :param now: the ledger's clock.
    :return: how many.
    """
    expired = connection.execute(_EXPIRED, {"campaign": campaign.id, "now": now}).all()
    if expired:
        ids = [one.id for one in expired]
        set_state(connection, ids, State.UNKNOWN, lease_rows.NO_ANSWER)
        campaign.move(State.IN_FLIGHT, State.UNKNOWN, len(ids))
        minutes = Counter((minute_of(one.sent_at), State.UNKNOWN) for one in expired)
        traffic_rows.add_requests(connection, campaign.id, minutes)
    return len(expired)


def set_state(
    connection: Connection, ids: Sequence[int], state: State, reason: str | None = None, due: float = 0.0
) -> None:
    """
    Set the state of recipients; the caller moves the campaign's counts.

    :param connection: a transaction that holds the campaign's lock.
    :param ids: the recipients' keys.
    :param state: the state to take.
    :param reason: the skip reason or a text.
    :param due: for ``pending``: not before this moment.
    """
    if ids:
        values = {"ids": list(ids), "new_state": state.value, "new_reason": reason, "new_due": due}
        connection.execute(_MARK, values)


def skip_pending(ledger: Ledger, campaign: int, reason: SkipReason, *, seconds: float = math.inf) -> int:
    """
    Skip whatever is pending in a campaign.

    :param ledger: the ledger.
    :param campaign: the campaign's key.
    :param reason: the skip reason.
    :param seconds: how long it may take; the batch that runs then is the last.
    :return: how many.
    """
    skipped, until = 0, time.monotonic() + seconds
    while time.monotonic() < until and (batch := skip_batch(ledger, campaign, reason)):
        skipped += batch
    return skipped


def skip_batch(ledger: Ledger, campaign: int, reason: SkipReason) -> int:
    """
    Skip some of what is pending in a campaign.

    :param ledger: the ledger.
    :param campaign: the campaign's key.
    :param reason: the skip reason.
    :return: how many; less than a batch: nothing is left.
    """
    with ledger.writing() as connection:
        row = CampaignRow.lock(connection, campaign)
        expire_leases(connection, row, ledger.now(connection))
        pending = (recipients.c.state == State.PENDING.value, visible(connection, campaign))
        statement = (
            sa.select(recipients.c.id).where(recipients.c.campaign == campaign, *pending).limit(BATCH_ROWS)
        )
        ids = list(connection.execute(statement).scalars())
        set_state(connection, ids, State.SKIPPED, reason.value)
        row.move(State.PENDING, State.SKIPPED, len(ids))
        row.save(connection)
    return len(ids)


def reopen_skipped(connection: Connection, ids: Sequence[int], reasons: Sequence[SkipReason]) -> int:
    """
    Make skipped recipients pending again, unless another run has done so or skipped them for good.

    :param connection: a transaction that holds the campaign's lock.
    :param ids: the recipients' keys.
    :param reasons: the skip reasons that they had.
    :return: how many were still skipped so.
    """
    still = (
        recipients.c.state == State.SKIPPED.value,
        recipients.c.reason.in_([reason.value for reason in reasons]),
    )
    again = sa.update(recipients).where(recipients.c.id.in_(list(ids)), *still)
    return connection.execute(again.values(state=State.PENDING.value, reason=None, due=0.0)).rowcount


def put_off(connection: Connection, ids: Sequence[int], until: float) -> None:
    """
    Leave recipients in doubt alone for a while.

    :param connection: a transaction that holds the campaign's lock.
    :param ids: the recipients' keys.
    :param until: the moment, by the ledger's clock.
    """
    if ids:
        connection.execute(sa.update(recipients).where(recipients.c.id.in_(list(ids))).values(due=until))


def reopen_rejected(connection: Connection, campaign: int, code: int) -> int:
    """
    Make rejected recipients pending again.

    :param connection: a transaction that holds the campaign's lock.
    :param campaign: the campaign's key.
    :param code: the gateway's code.
    :return: how many.
    """
    rejected = (
        recipients.c.campaign == campaign,
        recipients.c.state == State.REJECTED.value,
        recipients.c.code == code,
    )
    emptied = dict.fromkeys(("reason", "code", "claim", "sent_at"))
    again = {"state": State.PENDING.value, "due": 0.0, "busy": 0, **emptied}
    return connection.execute(sa.update(recipients).where(*rejected).values(again)).rowcount
