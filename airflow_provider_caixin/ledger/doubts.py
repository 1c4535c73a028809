"""Doubts: recipients of whom it is not known whether they were billed, and a person's word about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import leases, messages, schema, traffic
from airflow_provider_caixin.ledger.campaigns import CampaignRow
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.gate import Gate
from airflow_provider_caixin.ledger.loads import visible
from airflow_provider_caixin.ledger.schema import State
from airflow_provider_caixin.ledger.traffic import minute_of

BATCH: Final = 1_000
BILLED: Final = "a person resolved the doubt: billed"

_table: Final = schema.recipient


class Doubt(NamedTuple):
    """
    A recipient whose last request has no answer that says what became of it.

    :param id: the recipient's key.
    :param number: in full.
    :param sent_at: when that request left, in seconds since the epoch.
    :param doubt_at: when an earlier one left that was in doubt, too; None: there was none.
    :param code: the answer's ``error_code``, where it had one.
    :param reason: what is known.
    """

    id: int
    number: str
    sent_at: float
    doubt_at: float | None
    code: int | None
    reason: str | None

    @property
    def twice(self) -> bool:
        """Whether it was sent once more, so that it may be billed twice."""
        return self.doubt_at is not None and self.doubt_at != self.sent_at


def doubts(
    connection: Connection,
    campaign: int,
    now: float,
    *,
    after: int = 0,
    before: float | None = None,
    most: int = BATCH,
) -> list[Doubt]:
    """
    Give recipients in doubt of a campaign, by their keys.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param now: the ledger's clock.
    :param after: the key of the last one that is known already.
    :param before: only those whose request left before this moment.
    :param most: how many at the most.
    """
    told = {"reason": leases.reason_as_of(now)}
    statement = (
        sa.select(*(told.get(name, _table.c[name]) for name in Doubt._fields))
        .where(_table.c.campaign == campaign, leases.is_in(State.UNKNOWN, now), _table.c.id > after)
        .where(visible(connection, campaign))
        .order_by(_table.c.id)
        .limit(most)
    )
    if before is not None:
        statement = statement.where(_table.c.sent_at < before)
    return [Doubt._make(row) for row in connection.execute(statement)]


def oldest(connection: Connection, campaign: int, now: float) -> float | None:
    """
    Say when the oldest request left that is in doubt; None: there is none.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param now: the ledger's clock.
    """
    moment = sa.select(sa.func.min(_table.c.sent_at))
    found = moment.where(_table.c.campaign == campaign, leases.is_in(State.UNKNOWN, now))
    oldest_at: float | None = connection.execute(found.where(visible(connection, campaign))).scalar_one()
    return oldest_at


def find(connection: Connection, campaign: int, numbers: Iterable[str], now: float) -> Iterator[int]:
    """
    Stream the keys of those recipients in doubt whose numbers are given.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param numbers: normalised numbers.
    :param now: the ledger's clock.
    """
    rest = iter(numbers)
    while batch := list(islice(rest, BATCH)):
        statement = sa.select(_table.c.id).where(
            _table.c.campaign == campaign,
            _table.c.number.in_(batch),
            leases.is_in(State.UNKNOWN, now),
            visible(connection, campaign),
        )
        yield from connection.execute(statement).scalars().all()


def resolve(
    ledger: Ledger,
    campaign: int,
    ids: Sequence[int],
    outcome: Literal["sent", "pending"],
    *,
    before: float | None = None,
) -> int:
    """
    Take a person's word for what became of recipients in doubt; one that is not in doubt any more stays as it is.

    An answer that comes later than this changes nothing.

    :param ledger: the ledger.
    :param campaign: the campaign's key.
    :param ids: the recipients' keys.
    :param outcome: ``"sent"``: billed, once; ``"pending"``: not billed, and to be sent by the campaign's next run.
    :param before: when the person saw them, by the ledger's clock: one that was sent once more since is another doubt.
    :return: how many.
    :raises CampaignPurged: when the campaign's recipients were forgotten.
    :raises CancelledForGood: when they are to be sent again by a campaign that was cancelled.
    """
    resolved = 0
    for start in range(0, len(ids), BATCH):
        with ledger.writing() as connection:
            gate, row = Gate.of(connection, campaign), CampaignRow.lock(connection, campaign)
            row.refuse_if_purged()
            if outcome == "pending":
                row.refuse_if_over("leave its doubts, or count them as sent")
            now = ledger.now(connection)
            messages.expire_leases(connection, row, now)
            held = _held(connection, campaign, ids[start : start + BATCH])
            if before is not None:
                # A moment that is still to come is one of a clock that was wrong.
                held = [one for one in held if not before < one.sent_at <= now]
            _resolve(connection, gate, row, held, State(outcome))
            resolved += len(held)
            row.save(connection)
            gate.save(connection)
    return resolved


def _held(connection: Connection, campaign: int, ids: Sequence[int]) -> list[Any]:
    statement = sa.select(_table.c.id, _table.c.sent_at, _table.c.doubt_at).where(
        _table.c.id.in_(list(ids)),
        _table.c.campaign == campaign,
        _table.c.state == State.UNKNOWN.value,
        visible(connection, campaign),
    )
    return list(connection.execute(statement))


def _resolve(connection: Connection, gate: Gate, row: CampaignRow, held: Sequence[Any], state: State) -> None:
    minutes: Counter[traffic.Change] = Counter()
    for one in held:
        # After a rejected second request the row has only the first one's moment, in both columns.
        for moment in {one.sent_at, one.doubt_at} - {None}:
            minutes[minute_of(moment), State.UNKNOWN] -= 1
            if state is State.PENDING or moment != one.sent_at:
                gate.uncount(moment)
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
    traffic.add(connection, row.id, minutes)
