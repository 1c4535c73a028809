"""Settle answers: what became of claimed recipients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger.queue.bulk_update import write_each
from airflow_provider_caixin.ledger.rows.account import AccountRow
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.rows.recipient import row_ids
from airflow_provider_caixin.ledger.rows.traffic import OUTCOMES, MinuteOutcome, add_requests, minute_of
from airflow_provider_caixin.ledger.schema import REASON_LENGTH, recipient
from airflow_provider_caixin.vocabulary import State

_HELD: Final = sa.select(
    recipient.c.id, recipient.c.state, recipient.c.claim, recipient.c.sent_at, recipient.c.doubt_at
).where(recipient.c.id.in_(row_ids))


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of one claimed recipient.

    :param id: the recipient's key.
    :param claim: the claim under which the request was made; an answer counts only while it is the row's
        last.
    :param state: the state to take.
    :param due: for ``pending``: not before this moment.
    :param reason: the gateway's own text.
    :param code: the answer's ``error_code``.
    :param sid: the gateway's id of the message.
    :param busy: how often in a row the channel was busy for this recipient.
    """

    id: int
    claim: str
    state: State
    due: float = 0.0
    reason: str | None = None
    code: int | None = None
    sid: str | None = None
    busy: int = 0


def write_settlements(
    connection: Connection, account: AccountRow, campaign: CampaignRow, settlements: Sequence[Settlement]
) -> None:
    """Write what became of claimed recipients, where the claim is still the row's and nobody resolved it.

    An answer that comes after the lease ran out finds its row ``unknown`` and still counts. A recipient whose
    outcome was unknown and that was sent once more stays ``unknown`` when that request was not made or was
    rejected: the first one may have been billed all the same.

    :param account: the account's locked row; what turned out not to be billed leaves its day's count.
    :param campaign: the campaign's locked row, whose counts follow.
    """
    held = {row.id: row for row in connection.execute(_HELD, {"ids": [one.id for one in settlements]})}
    states = {key: row.state for key, row in held.items()}
    # The last answer to a request counts: told to stop, a run first settles it as unknown.
    changes: dict[int, dict[str, Any]] = {}
    # What each request counts as so far.
    counted = {key: State.UNKNOWN if row.state == State.UNKNOWN else None for key, row in held.items()}
    minutes: Counter[MinuteOutcome] = Counter()
    for one in settlements:
        row = held.get(one.id)
        if row is None or row.claim != one.claim or states[one.id] not in (State.IN_FLIGHT, State.UNKNOWN):
            continue
        state, sent_at, doubt_at = one.state, row.sent_at, row.doubt_at
        before, counted[one.id] = counted[one.id], state if state in OUTCOMES else None
        for outcome, number in ((before, -1), (counted[one.id], 1)):
            if outcome is not None:
                minutes[minute_of(sent_at), outcome] += number
        if state in (State.PENDING, State.REJECTED):
            account.uncount(sent_at)
            state, sent_at = (state, sent_at) if doubt_at is None else (State.UNKNOWN, doubt_at)
        if one.state is State.PENDING:
            # As before the claim; whose outcome was unknown may be sent once more later.
            sent_at, doubt_at = doubt_at, None
        campaign.move(states[one.id], state)
        states[one.id] = state.value
        changes[one.id] = {
            "id": one.id,
            "state": state.value,
            "due": one.due,
            "reason": one.reason[:REASON_LENGTH] if one.reason else None,
            "code": one.code,
            "sid": one.sid,
            "busy": one.busy,
            # Of a request that is over nothing more can come; who is unknown after it is so for an earlier
            # one.
            "claim": one.claim if state is one.state and state is not State.PENDING else None,
            "sent_at": sent_at,
            "doubt_at": doubt_at,
        }
    write_each(connection, list(changes.values()))
    add_requests(connection, campaign.id, minutes)
