"""Unknown outcomes, resolved by someone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.rows import recipient as recipient_rows
from airflow_provider_caixin.ledger.rows import traffic as traffic_rows
from airflow_provider_caixin.ledger.rows.account import AccountRow
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.rows.load import visible
from airflow_provider_caixin.ledger.rows.traffic import minute_of
from airflow_provider_caixin.vocabulary import State

BILLED: Final = "someone resolved the unknown outcome: billed"

_BATCH_ROWS: Final = 1_000
_table: Final = schema.recipient


def resolve(
    ledger: Ledger,
    campaign_key: int,
    ids: Sequence[int],
    outcome: Literal["sent", "pending"],
    *,
    before: float | None = None,
) -> int:
    """Write what someone says of recipients whose outcome is unknown; of others nothing is changed.

    An answer that comes later than this changes nothing.

    :param outcome: ``"sent"``: billed, once; ``"pending"``: not billed, and to be sent by the campaign's next
        run.
    :param before: when they were shown: one that was sent once more since has another unknown outcome.
    :return: how many.
    :raises CampaignPurged: when the campaign's recipients were forgotten.
    :raises CancelledForGood: when they are to be sent again by a campaign that was cancelled.
    """
    resolved = 0
    for start in range(0, len(ids), _BATCH_ROWS):
        with ledger.writing() as connection:
            account = AccountRow.of(connection, campaign_key)
            row = CampaignRow.lock(connection, campaign_key)
            row.refuse_if_purged()
            if outcome == "pending":
                row.refuse_if_over("leave its unknown outcomes, or count them as sent")
            now = ledger.now(connection)
            recipient_rows.expire_leases(connection, row, now)
            held = _held(connection, campaign_key, ids[start : start + _BATCH_ROWS])
            if before is not None:
                # A moment that is still to come is one of a clock that was wrong.
                held = [one for one in held if not before < one.sent_at <= now]
            _resolve(connection, account, row, held, State(outcome))
            resolved += len(held)
            row.save(connection)
            account.save(connection)
    return resolved


def _held(connection: Connection, campaign_key: int, ids: Sequence[int]) -> list[Any]:
    statement = sa.select(_table.c.id, _table.c.sent_at, _table.c.doubt_at).where(
        _table.c.id.in_(list(ids)),
        _table.c.campaign == campaign_key,
        _table.c.state == State.UNKNOWN.value,
        visible(connection, campaign_key),
    )
    return list(connection.execute(statement))


def _resolve(
    connection: Connection, account: AccountRow, row: CampaignRow, held: Sequence[Any], state: State
) -> None:
    minutes: Counter[traffic_rows.MinuteOutcome] = Counter()
    for one in held:
        # After a rejected second request the row has only the first one's moment, in both columns.
        for moment in {one.sent_at, one.doubt_at} - {None}:
            minutes[minute_of(moment), State.UNKNOWN] -= 1
            if state is State.PENDING or moment != one.sent_at:
                account.uncount(moment)
        if state is State.SENT:
            minutes[minute_of(one.sent_at), State.SENT] += 1
    values: dict[str, object] = {
        "state": state.value,
        "claim": None,
        "doubt_at": None,
        "due": 0.0,
        "reason": BILLED,
    }
    if state is State.PENDING:
        values |= {"reason": None, "code": None, "busy": 0, "sent_at": None}
    change = sa.update(_table).where(_table.c.id.in_([one.id for one in held]))
    connection.execute(change.values(values))
    row.move(State.UNKNOWN, state, len(held))
    traffic_rows.add_requests(connection, row.id, minutes)
