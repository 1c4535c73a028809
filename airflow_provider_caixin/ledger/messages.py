"""Recipients in the ledger: drawn, claimed, settled, skipped, counted."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import leases, schema, traffic
from airflow_provider_caixin.ledger.campaigns import CampaignRow
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.gate import Gate
from airflow_provider_caixin.ledger.loads import visible, visible_ranges
from airflow_provider_caixin.ledger.schema import FAR_AHEAD, REASON_LENGTH, Skip, State
from airflow_provider_caixin.ledger.traffic import minute_of

BATCH: Final = 10_000
# Rows of one UPDATE; a statement of each length is kept.
TOGETHER: Final = 50
LOOK_SECONDS: Final = 5.0

_table: Final = schema.recipient
_ids: Final[sa.BindParameter[list[int]]] = sa.bindparam("ids", expanding=True)
# Was, may have been or may yet be.
_BILLED: Final = (State.SENT.value, State.UNKNOWN.value, State.IN_FLIGHT.value)

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
    sa.select(_table.c.id, _table.c.sent_at)
    .where(_table.c.campaign == sa.bindparam("campaign"))
    .where(leases.ran_out(sa.bindparam("now", type_=sa.Double)))
)
_HELD: Final = sa.select(
    _table.c.id, _table.c.state, _table.c.claim, _table.c.sent_at, _table.c.doubt_at
).where(_table.c.id.in_(_ids))
_HISTORY: Final = (
    sa.select(_table.c.id, _table.c.number, _table.c.state, _table.c.sent_at, _table.c.due, _table.c.doubt_at)
    .where(_table.c.number.in_(sa.bindparam("numbers", expanding=True)))
    .where(_table.c.sent_at >= sa.bindparam("since"))
    # No join, and a sum that no index has: SQLite, and MariaDB for many numbers, would begin with the campaigns and read all
    # that each of them has sent.
    .where(
        (_table.c.campaign + 0).in_(
            sa.select(schema.campaign.c.id).where(schema.campaign.c.account == sa.bindparam("account"))
        )
    )
    .where(_table.c.state.in_(_BILLED))
)
_SUPPRESSED: Final = sa.select(schema.suppression.c.number).where(
    schema.suppression.c.number.in_(sa.bindparam("numbers", expanding=True))
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
    # A restored ledger also has doubts of loads that are not complete.
    statement = _DRAW_DOUBTS.where(visible(connection, campaign))
    return [Drawn(*row) for row in connection.execute(statement, values)]


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
    plain = {"state": State.IN_FLIGHT.value, "due": lease, "reason": None, "code": None, "claim": mark}
    _write(
        connection, [{"id": one.id, **plain, "sent_at": slot, "doubt_at": one.doubt_at} for one, slot in rows]
    )


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
    # The last answer to a request counts: told to stop, a run first settles it as a doubt.
    changes: dict[int, dict[str, Any]] = {}
    # What each request counts as so far.
    counted = {key: State.UNKNOWN if row.state == State.UNKNOWN else None for key, row in held.items()}
    minutes: Counter[traffic.Change] = Counter()
    for one in settlements:
        row = held.get(one.id)
        if row is None or row.claim != one.claim or states[one.id] not in (State.IN_FLIGHT, State.UNKNOWN):
            continue
        state, sent_at, doubt_at = one.state, row.sent_at, row.doubt_at
        before, counted[one.id] = counted[one.id], state if state in traffic.OUTCOMES else None
        for outcome, number in ((before, -1), (counted[one.id], 1)):
            if outcome is not None:
                minutes[minute_of(sent_at), outcome] += number
        if state in (State.PENDING, State.REJECTED):
            gate.uncount(sent_at)
            state, sent_at = (state, sent_at) if doubt_at is None else (State.UNKNOWN, doubt_at)
        if one.state is State.PENDING:
            # As before the claim; what was in doubt may be sent once more later.
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
            # Of a request that is over nothing more can come; whoever is in doubt after it is so for an earlier one.
            "claim": one.claim if state is one.state and state is not State.PENDING else None,
            "sent_at": sent_at,
            "doubt_at": doubt_at,
        }
    _write(connection, list(changes.values()))
    traffic.add(connection, campaign.id, minutes)


def _write(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Write recipients, each with values of its own; all rows have the same columns, and one of them is the id."""
    if not rows:
        return
    names = tuple(rows[0])
    if connection.dialect.name not in ("mysql", "mariadb"):
        values = [{f"new_{name}": value for name, value in row.items()} for row in rows]
        connection.execute(_update_each(names), values)
        return
    # PyMySQL waits for the server's answer to each row of an executemany, which is most of a tick.
    for start in range(0, len(rows), TOGETHER):
        part = rows[start : start + TOGETHER]
        flat = {f"{name}_{index}": value for index, row in enumerate(part) for name, value in row.items()}
        connection.execute(_update_together(names, len(part)), flat)


@cache
def _update_each(names: tuple[str, ...]) -> sa.Update:
    values: dict[str, sa.ColumnElement[Any]] = {
        name: sa.bindparam(f"new_{name}") for name in names if name != "id"
    }
    return sa.update(_table).where(_table.c.id == sa.bindparam("new_id")).values(values)


@cache
def _update_together(names: tuple[str, ...], count: int) -> sa.TextClause:
    # As text: to put it together from SQLAlchemy's parts takes up to a tenth of a second for each length.
    rows = (", ".join(f":{name}_{index} AS {name}" for name in names) for index in range(count))
    given = " UNION ALL ".join(f"SELECT {row}" for row in rows)
    values = ", ".join(f"one.{name} = given.{name}" for name in names if name != "id")
    # Nothing in it but names of columns.
    return sa.text(f"UPDATE {_table.name} AS one JOIN ({given}) AS given ON one.id = given.id SET {values}")  # noqa: S608


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
        mark(connection, ids, State.UNKNOWN, leases.NO_ANSWER)
        campaign.move(State.IN_FLIGHT, State.UNKNOWN, len(ids))
        minutes = Counter((minute_of(one.sent_at), State.UNKNOWN) for one in expired)
        traffic.add(connection, campaign.id, minutes)
    return len(expired)


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


def skip_pending(ledger: Ledger, campaign: int, reason: Skip, *, seconds: float = math.inf) -> int:
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


def skip_batch(ledger: Ledger, campaign: int, reason: Skip) -> int:
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
        pending = (_table.c.state == State.PENDING.value, visible(connection, campaign))
        statement = sa.select(_table.c.id).where(_table.c.campaign == campaign, *pending).limit(BATCH)
        ids = list(connection.execute(statement).scalars())
        mark(connection, ids, State.SKIPPED, reason.value)
        row.move(State.PENDING, State.SKIPPED, len(ids))
        row.save(connection)
    return len(ids)


def reopen_skipped(connection: Connection, ids: Sequence[int], reasons: Sequence[Skip]) -> int:
    """
    Make skipped recipients pending again, unless another run has done so or skipped them for good.

    :param connection: a transaction that holds the campaign's lock.
    :param ids: the recipients' keys.
    :param reasons: the skip reasons that they had.
    :return: how many were still skipped so.
    """
    still = (_table.c.state == State.SKIPPED.value, _table.c.reason.in_([reason.value for reason in reasons]))
    again = sa.update(_table).where(_table.c.id.in_(list(ids)), *still)
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
    emptied = dict.fromkeys(("reason", "code", "claim", "sent_at"))
    again = {"state": State.PENDING.value, "due": 0.0, "busy": 0, **emptied}
    return connection.execute(sa.update(_table).where(*rejected).values(again)).rowcount


def skipped_batches(connection: Connection, campaign: int, reasons: Sequence[Skip]) -> Iterator[list[Drawn]]:
    """
    Stream the recipients that rules had skipped, in batches; those of a load that is not complete are not among them.

    :param connection: a reading transaction.
    :param campaign: the campaign's key.
    :param reasons: the skip reasons to look for.
    """
    among = _table.c.reason.in_([reason.value for reason in reasons])
    shown = visible(connection, campaign)
    return _batches(connection, campaign, _table.c.state == State.SKIPPED.value, among, shown)


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


def had_template(
    connection: Connection, campaign: int, account: int, tpl_id: int, seconds: float = LOOK_SECONDS
) -> tuple[int, int]:
    """
    Count the pending recipients that already got this template, or may have, in another campaign of the account.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param account: the account's key.
    :param tpl_id: the template.
    :param seconds: after so long no more of them are looked at.
    :return: how many had it, and how many were looked at.
    """
    keys = campaigns_with_template(connection, campaign, account, tpl_id)
    had = looked_at = 0
    until = time.monotonic() + seconds
    for first, last in visible_ranges(connection, campaign) if keys else ():
        place, rows = first, BATCH
        while rows == BATCH and time.monotonic() < until:
            found, rows, place = _had_template(connection, campaign, keys, place, last)
            had, looked_at = had + found, looked_at + rows
    return had, looked_at


def campaigns_with_template(
    connection: Connection, campaign: int | None, account: int, tpl_id: int
) -> list[int]:
    """
    Find the other campaigns of an account in which people got a template, or may have.

    :param connection: any transaction.
    :param campaign: the campaign's key; None: it is not in the ledger yet.
    :param account: the account's key.
    :param tpl_id: the template.
    """
    table = schema.campaign
    found = sa.select(table.c.id).where(
        table.c.account == account,
        table.c.tpl_id == tpl_id,
        table.c.sent + table.c.unknown + table.c.in_flight > 0,
    )
    return [key for key in connection.execute(found).scalars() if key != campaign]


def who_got_it(connection: Connection, campaigns: Sequence[int], numbers: Sequence[str]) -> set[str]:
    """
    Find which of these people got a message in one of these campaigns, or may have.

    :param connection: any transaction.
    :param campaigns: the campaigns' keys.
    :param numbers: normalised numbers.
    """
    billed = _table.c.state.in_(_BILLED)
    found = sa.select(_table.c.number).where(
        _table.c.number.in_(list(numbers)), _table.c.campaign.in_(list(campaigns)), billed
    )
    return set(connection.execute(found).scalars())


def _had_template(
    connection: Connection, campaign: int, others: list[int], first: int, last: int
) -> tuple[int, int, int]:
    """Look at a batch from a position on; return how many had the template, how many these are, and where to go on."""
    batch = (
        sa.select(_table.c.number, _table.c.position)
        .where(_table.c.campaign == campaign, _table.c.state == State.PENDING.value)
        .where(_table.c.due == 0, _table.c.position.between(first, last))
        .order_by(_table.c.position)
        .limit(BATCH)
        .subquery()
    )
    other = _table.alias()
    had = sa.exists().where(
        other.c.number == batch.c.number,
        other.c.campaign.in_(others),
        other.c.state.in_(_BILLED),
    )
    columns = (sa.func.count(sa.case((had, 1))), sa.func.count(), sa.func.max(batch.c.position))
    found, rows, position = connection.execute(sa.select(*columns).select_from(batch)).one()
    return found, rows, (position or first) + 1


class ReportRow(NamedTuple):
    """One recipient's line of the report."""

    mobile: str
    state: str
    reason: str | None
    error_code: int | None
    sid: str | None
    sent_at: float | None


def report(
    connection: Connection,
    campaign: int,
    now: float,
    *,
    state: State | None = None,
    reason: str | None = None,
) -> Iterator[ReportRow]:
    """
    Stream a campaign's recipients in the order of their audience.

    :param connection: a reading transaction.
    :param campaign: the campaign's key.
    :param now: the ledger's clock.
    :param state: only those in this state.
    :param reason: only those with this skip reason, or this text or code of the gateway.
    """
    text = leases.reason_as_of(now)
    columns = (
        _table.c.number,
        leases.state_as_of(now),
        text,
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
    if state is not None:
        statement = statement.where(leases.is_in(state, now))
    if reason is not None:
        said = text == reason
        is_code = reason.isascii() and reason.isdigit() and len(reason) < 10
        statement = statement.where(sa.or_(said, _table.c.code == int(reason)) if is_code else said)
    for row in connection.execute(statement):
        yield ReportRow(*row)


def known_keys(connection: Connection, campaign: int, numbers: Sequence[str]) -> set[tuple[str, int]]:
    """
    Find which audience rows a campaign has already; what a load that is not complete left behind is still to come.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param numbers: normalised numbers or raw texts.
    :return: pairs of number and occurrence.
    """
    statement = sa.select(_table.c.number, _table.c.occurrence).where(
        _table.c.campaign == campaign, _table.c.number.in_(numbers), visible(connection, campaign)
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
