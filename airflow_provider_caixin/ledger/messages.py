"""Recipients in the ledger: drawn, claimed, settled, skipped, counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.campaigns import CampaignRow
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.gate import Gate
from airflow_provider_caixin.ledger.loads import visible
from airflow_provider_caixin.ledger.schema import REASON_LENGTH, Skip, State

BATCH: Final = 10_000
# No delay and no lease is longer; a moment further ahead was written before the clock went back.
FAR_AHEAD: Final = 600.0

_table: Final = schema.recipient
_ids: Final[sa.BindParameter[list[int]]] = sa.bindparam("ids", expanding=True)

_DRAW_DELAYED: Final = (
    sa.select(_table.c.id, _table.c.number, _table.c.busy)
    .where(_table.c.campaign == sa.bindparam("campaign"), _table.c.state == State.PENDING.value)
    .where(_table.c.due > 0)
    .where(sa.or_(_table.c.due <= sa.bindparam("now"), _table.c.due > sa.bindparam("far")))
    .order_by(_table.c.due)
    .limit(sa.bindparam("most"))
)
_DRAW_FRESH: Final = (
    sa.select(_table.c.id, _table.c.number, _table.c.busy)
    .where(_table.c.campaign == sa.bindparam("campaign"), _table.c.state == State.PENDING.value)
    .where(_table.c.due == 0, _table.c.position.between(sa.bindparam("first"), sa.bindparam("last")))
    .order_by(_table.c.position)
    .limit(sa.bindparam("most"))
)
_DRAW_DOUBTS: Final = (
    sa.select(_table.c.id, _table.c.number, _table.c.busy, _table.c.sent_at)
    .where(_table.c.campaign == sa.bindparam("campaign"), _table.c.state == State.UNKNOWN.value)
    .where(_table.c.doubt_at.is_(None), _table.c.sent_at < sa.bindparam("before"))
    .where(_table.c.due <= sa.bindparam("now"))
    .order_by(_table.c.due, _table.c.position)
    .limit(sa.bindparam("most"))
)
_EXPIRED: Final = (
    sa.select(_table.c.id)
    .where(_table.c.campaign == sa.bindparam("campaign"), _table.c.state == State.IN_FLIGHT.value)
    .where(sa.or_(_table.c.due < sa.bindparam("now"), _table.c.due > sa.bindparam("far")))
)
_HELD: Final = sa.select(
    _table.c.id, _table.c.state, _table.c.claim, _table.c.sent_at, _table.c.doubt_at
).where(_table.c.id.in_(_ids))
_HISTORY: Final = (
    sa.select(_table.c.id, _table.c.number, _table.c.state, _table.c.sent_at, _table.c.due, _table.c.doubt_at)
    .join(schema.campaign, schema.campaign.c.id == _table.c.campaign)
    .where(_table.c.number.in_(sa.bindparam("numbers", expanding=True)))
    .where(schema.campaign.c.account == sa.bindparam("account"), _table.c.sent_at >= sa.bindparam("since"))
    .where(_table.c.state.in_([State.SENT.value, State.UNKNOWN.value, State.IN_FLIGHT.value]))
)
_SUPPRESSED: Final = sa.select(schema.suppression.c.number).where(
    schema.suppression.c.number.in_(sa.bindparam("numbers", expanding=True))
)
_CLAIM: Final = (
    sa.update(_table)
    .where(_table.c.id == sa.bindparam("key"))
    .values(state=State.IN_FLIGHT.value, reason=None, code=None)
    .values(claim=sa.bindparam("new_claim"), sent_at=sa.bindparam("slot"), due=sa.bindparam("lease"))
    .values(doubt_at=sa.bindparam("new_doubt_at"))
)
_SETTLE: Final = (
    sa.update(_table)
    .where(_table.c.id == sa.bindparam("key"))
    .values({name: sa.bindparam(f"new_{name}") for name in ("state", "due", "reason", "code", "sid", "busy")})
    .values({name: sa.bindparam(f"new_{name}") for name in ("claim", "sent_at", "doubt_at")})
)
_MARK: Final = (
    sa.update(_table)
    .where(_table.c.id.in_(_ids))
    .values(state=sa.bindparam("new_state"), reason=sa.bindparam("new_reason"), due=sa.bindparam("new_due"))
)


class Drawn(NamedTuple):
    """
    A recipient taken up for judging.

    :param doubt_at: when the earlier request left of one that is in doubt; None: there was none.
    """

    id: int
    number: str
    busy: int
    doubt_at: float | None = None


class Message(NamedTuple):
    """A message to a person that was, may have been or may yet be billed."""

    id: int
    number: str
    state: str
    sent_at: float
    due: float
    doubt_at: float | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """
    What became of one claimed recipient.

    :param id: the recipient's key.
    :param claim: the claim under which the request was made; an answer counts only while it is the row's last.
    :param state: the state to take.
    :param due: for ``pending``: not before this moment of the ledger's clock.
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


def draw(
    connection: Connection, campaign: int, now: float, most: int, ranges: list[tuple[int, int]]
) -> list[Drawn]:
    """
    Take up pending recipients: those whose waiting is over first, then in the audience's order.

    :param connection: a transaction that holds the campaign's lock.
    :param campaign: the campaign's key.
    :param now: the ledger's clock.
    :param most: how many at the most.
    :param ranges: the positions of complete loads, from :func:`~.loads.visible_ranges`.
    """
    values: dict[str, Any] = {"campaign": campaign, "now": now, "far": now + FAR_AHEAD, "most": most}
    rows = [Drawn(*row) for row in connection.execute(_DRAW_DELAYED, values)]
    for first, last in ranges:
        if len(rows) >= most:
            break
        values = {"campaign": campaign, "first": first, "last": last, "most": most - len(rows)}
        rows += [Drawn(*row) for row in connection.execute(_DRAW_FRESH, values)]
    return rows


def draw_doubts(connection: Connection, campaign: int, now: float, before: float, most: int) -> list[Drawn]:
    """
    Take up recipients in doubt that were not sent a second time yet.

    :param connection: a transaction that holds the campaign's lock.
    :param campaign: the campaign's key.
    :param now: the ledger's clock.
    :param before: only those whose request left before this moment.
    :param most: how many at the most.
    """
    values = {"campaign": campaign, "now": now, "before": before, "most": most}
    return [Drawn(*row) for row in connection.execute(_DRAW_DOUBTS, values)]


def history(
    connection: Connection, account: int, numbers: Sequence[str], since: float
) -> dict[str, list[Message]]:
    """
    Find people's messages of an account, over all its campaigns.

    :param connection: any transaction.
    :param account: the account's key.
    :param numbers: the people.
    :param since: messages that left before this moment do not count.
    """
    found: dict[str, list[Message]] = {}
    values = {"numbers": list(numbers), "account": account, "since": since}
    for row in connection.execute(_HISTORY, values):
        found.setdefault(row.number, []).append(Message(*row))
    return found


def suppressed(connection: Connection, numbers: Sequence[str]) -> set[str]:
    """
    Find which of these numbers must never get a message.

    :param connection: any transaction.
    :param numbers: normalised numbers.
    """
    return set(connection.execute(_SUPPRESSED, {"numbers": list(numbers)}).scalars())


def claim(connection: Connection, rows: Iterable[tuple[Drawn, float]], mark: str, lease: float) -> None:
    """
    Write recipients as in flight, before anything leaves.

    :param connection: a transaction that holds the campaign's lock.
    :param rows: each recipient and its slot.
    :param mark: the claim's id.
    :param lease: until when the claim holds, by the ledger's clock.
    """
    values = [
        {"key": one.id, "slot": slot, "new_claim": mark, "lease": lease, "new_doubt_at": one.doubt_at}
        for one, slot in rows
    ]
    if values:
        connection.execute(_CLAIM, values)


def settle(
    connection: Connection, gate: Gate, campaign: CampaignRow, settlements: Sequence[Settlement]
) -> None:
    """
    Write what became of claimed recipients, each only where its claim is still the row's and nobody resolved it.

    An answer that comes after the lease ran out finds its row ``unknown`` and still counts. A recipient in doubt
    that was sent once more stays ``unknown`` when that request was not made or was rejected: the first one may have
    been billed all the same.

    :param connection: the transaction that locked gate and campaign.
    :param gate: the account's gate; what turned out not to be billed leaves its day's count.
    :param campaign: the campaign's row, whose counts follow.
    :param settlements: the answers.
    """
    held = {row.id: row for row in connection.execute(_HELD, {"ids": [one.id for one in settlements]})}
    states = {key: row.state for key, row in held.items()}
    changes = []
    for one in settlements:
        row = held.get(one.id)
        if row is None or row.claim != one.claim or states[one.id] not in (State.IN_FLIGHT, State.UNKNOWN):
            continue
        state, sent_at, doubt_at = one.state, row.sent_at, row.doubt_at
        if state in (State.PENDING, State.REJECTED):
            gate.uncount(sent_at)
            state, sent_at = (state, sent_at) if doubt_at is None else (State.UNKNOWN, doubt_at)
        if one.state is State.PENDING:
            # As before the claim; what was in doubt may be sent once more later.
            sent_at, doubt_at = doubt_at, None
        campaign.move(states[one.id], state)
        states[one.id] = state.value
        changes.append(
            {
                "key": one.id,
                "new_state": state.value,
                "new_due": one.due,
                "new_reason": one.reason[:REASON_LENGTH] if one.reason else None,
                "new_code": one.code,
                "new_sid": one.sid,
                "new_busy": one.busy,
                "new_claim": None if one.state is State.PENDING else one.claim,
                "new_sent_at": sent_at,
                "new_doubt_at": doubt_at,
            }
        )
    if changes:
        connection.execute(_SETTLE, changes)


def expire_leases(connection: Connection, campaign: CampaignRow, now: float) -> int:
    """
    Write recipients as unknown whose lease ran out: their sender died or was suspended.

    :param connection: a transaction that holds the campaign's lock.
    :param campaign: the campaign's row, whose counts follow.
    :param now: the ledger's clock.
    :return: how many.
    """
    values = {"campaign": campaign.id, "now": now, "far": now + FAR_AHEAD}
    ids = list(connection.execute(_EXPIRED, values).scalars())
    if ids:
        mark(connection, ids, State.UNKNOWN, "no answer was recorded before the lease ran out")
        campaign.move(State.IN_FLIGHT, State.UNKNOWN, len(ids))
    return len(ids)


def mark(
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


def skip_pending(ledger: Ledger, campaign: int, reason: Skip) -> None:
    """
    Skip whatever is pending in a campaign, in batches.

    :param ledger: the ledger.
    :param campaign: the campaign's key.
    :param reason: the skip reason.
    """
    while True:
        with ledger.writing() as connection:
            row = CampaignRow.lock(connection, campaign)
            pending = (_table.c.state == State.PENDING.value, visible(connection, campaign))
            statement = sa.select(_table.c.id).where(_table.c.campaign == campaign, *pending).limit(BATCH)
            ids = list(connection.execute(statement).scalars())
            mark(connection, ids, State.SKIPPED, reason.value)
            row.move(State.PENDING, State.SKIPPED, len(ids))
            row.save(connection)
        if len(ids) < BATCH:
            return


def reopen_skipped(connection: Connection, ids: Sequence[int]) -> int:
    """
    Make skipped recipients pending again, unless another run has done so.

    :param connection: a transaction that holds the campaign's lock.
    :param ids: the recipients' keys.
    :return: how many were still skipped.
    """
    again = sa.update(_table).where(_table.c.id.in_(list(ids)), _table.c.state == State.SKIPPED.value)
    return connection.execute(again.values(state=State.PENDING.value, reason=None, due=0.0)).rowcount


def hold(connection: Connection, ids: Sequence[int], until: float) -> None:
    """
    Leave recipients in doubt alone for a while.

    :param connection: a transaction that holds the campaign's lock.
    :param ids: the recipients' keys.
    :param until: the moment, by the ledger's clock.
    """
    if ids:
        connection.execute(sa.update(_table).where(_table.c.id.in_(list(ids))).values(due=until))


def reopen_rejected(connection: Connection, campaign: int, code: int) -> int:
    """
    Make rejected recipients pending again.

    :param connection: a transaction that holds the campaign's lock.
    :param campaign: the campaign's key.
    :param code: the gateway's code.
    :return: how many.
    """
    rejected = (_table.c.campaign == campaign, _table.c.state == State.REJECTED.value, _table.c.code == code)
    again = {"state": State.PENDING.value, "reason": None, "code": None, "due": 0.0, "busy": 0, "claim": None}
    return connection.execute(sa.update(_table).where(*rejected).values(again)).rowcount


def skipped_batches(connection: Connection, campaign: int, reasons: Sequence[Skip]) -> Iterator[list[Drawn]]:
    """
    Stream the recipients that rules had skipped, in batches.

    :param connection: a reading transaction.
    :param campaign: the campaign's key.
    :param reasons: the skip reasons to look for.
    """
    among = _table.c.reason.in_([reason.value for reason in reasons])
    return _batches(connection, campaign, _table.c.state == State.SKIPPED.value, among)


def _batches(connection: Connection, campaign: int, *where: sa.ColumnElement[bool]) -> Iterator[list[Drawn]]:
    last = 0
    while True:
        statement = (
            sa.select(_table.c.id, _table.c.number, _table.c.busy)
            .where(_table.c.campaign == campaign, _table.c.id > last, *where)
            .order_by(_table.c.id)
            .limit(BATCH)
        )
        batch = [Drawn(*row) for row in connection.execute(statement)]
        if not batch:
            return
        yield batch
        last = batch[-1].id


def tally(connection: Connection, campaign: int) -> list[tuple[str, str | None, int | None, int]]:
    """
    Count a campaign's recipients by state, skip reason and code.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :return: rows of state, reason (of skipped ones), code (of rejected ones), number.
    """
    # PostgreSQL takes an expression in GROUP BY for the selected one only when both hold no parameter.
    skipped, rejected = (
        sa.literal(state.value, literal_execute=True) for state in (State.SKIPPED, State.REJECTED)
    )
    reason = sa.case((_table.c.state == skipped, _table.c.reason))
    code = sa.case((_table.c.state == rejected, _table.c.code))
    statement = (
        sa.select(_table.c.state, reason, code, sa.func.count())
        .where(_table.c.campaign == campaign, visible(connection, campaign))
        .group_by(_table.c.state, reason, code)
    )
    return [tuple(row) for row in connection.execute(statement)]


def had_template(connection: Connection, campaign: int, account: int, tpl_id: int) -> int:
    """
    Count the pending recipients that already got this template, or may have, in another campaign of the account.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param account: the account's key.
    :param tpl_id: the template.
    """
    table = schema.campaign
    others = sa.select(table.c.id).where(
        table.c.account == account, table.c.tpl_id == tpl_id, table.c.id != campaign
    )
    keys = list(connection.execute(others.where(table.c.sent + table.c.unknown > 0)).scalars())
    if not keys:
        return 0
    other = _table.alias()
    had = sa.exists().where(
        other.c.number == _table.c.number,
        other.c.campaign.in_(keys),
        other.c.state.in_([State.SENT.value, State.UNKNOWN.value]),
    )
    pending = (
        _table.c.campaign == campaign,
        _table.c.state == State.PENDING.value,
        visible(connection, campaign),
    )
    return int(
        connection.execute(sa.select(sa.func.count()).select_from(_table).where(*pending, had)).scalar_one()
    )


class ReportRow(NamedTuple):
    """One recipient's line of the report."""

    mobile: str
    state: str
    reason: str | None
    error_code: int | None
    sid: str | None
    sent_at: float | None


def report(connection: Connection, campaign: int) -> Iterator[ReportRow]:
    """
    Stream a campaign's recipients in the order of their audience.

    :param connection: a reading transaction.
    :param campaign: the campaign's key.
    """
    columns = (
        _table.c.number,
        _table.c.state,
        _table.c.reason,
        _table.c.code,
        _table.c.sid,
        _table.c.sent_at,
    )
    statement = (
        sa.select(*columns)
        .where(_table.c.campaign == campaign, visible(connection, campaign))
        .order_by(_table.c.position)
        .execution_options(yield_per=BATCH)
    )
    for row in connection.execute(statement):
        yield ReportRow(*row)


def known_keys(connection: Connection, campaign: int, numbers: Sequence[str]) -> set[tuple[str, int]]:
    """
    Find which audience rows a campaign has already.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param numbers: normalised numbers or raw texts.
    :return: pairs of number and occurrence.
    """
    statement = sa.select(_table.c.number, _table.c.occurrence).where(
        _table.c.campaign == campaign, _table.c.number.in_(numbers)
    )
    return {(number, occurrence) for number, occurrence in connection.execute(statement)}


def pending_batches(connection: Connection, campaign: int) -> Iterator[list[Drawn]]:
    """
    Stream the recipients that wait to be sent, in batches.

    :param connection: a reading transaction.
    :param campaign: the campaign's key.
    """
    return _batches(
        connection, campaign, _table.c.state == State.PENDING.value, visible(connection, campaign)
    )


def sid_of_only(connection: Connection, campaign: int) -> str | None:
    """
    Give the gateway's id of a campaign's only message, or None.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    """
    statement = sa.select(_table.c.sid).where(
        _table.c.campaign == campaign, _table.c.state == State.SENT.value
    )
    return connection.execute(statement.limit(1)).scalar_one_or_none()
