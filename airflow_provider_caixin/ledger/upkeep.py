"""Keeping a ledger: what it holds, whether it agrees with itself, forgetting people, and coming back from a backup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import leases, messages, schema, tallies, traffic
from airflow_provider_caixin.ledger.campaigns import AS_RESTORED, CampaignRow
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.gate import Gate
from airflow_provider_caixin.ledger.loads import being_loaded, count_states, is_unfinished
from airflow_provider_caixin.ledger.schema import Skip, State

BATCH: Final = 5_000
RESTORED: Final = "the ledger came back from a backup: what was sent since is not known here"

# Skips that end by themselves, or by a person's hand, and that a later run then sends.
_HELD_BACK: Final = (Skip.SUPPRESSED, Skip.FREQUENCY_CAP, Skip.OVER_BUDGET, Skip.WINDOW_CLOSED)
# Whom a campaign held back that nobody has run for so long stays held back, or each old one would fill caps and the day.
_LIVELY: Final = 31 * 86_400.0

_campaign: Final = schema.campaign
_recipient: Final = schema.recipient


@dataclass(frozen=True, slots=True)
class Info:
    """
    What a ledger is and holds.

    :param uuid: its own id; a copy has the same.
    :param version: of its tables.
    :param rows: how many rows each table has, without its prefix.
    """

    uuid: str
    dialect: str
    version: int
    rows: dict[str, int]


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    A finished campaign that may be purged.

    :param ended_at: the last sign of life, in seconds since the epoch.
    :param recipients: how many it has.
    :param unknown: how many of them are in doubt and could not be resolved any more.
    """

    key: int
    campaign_id: str
    ended_at: float
    recipients: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Restored:
    """
    What a restored ledger was made to doubt.

    :param recipients: how many became ``unknown``.
    :param campaigns: the ids of the campaigns that they are in.
    :param paused: the ids of those whose audience was being loaded when the backup was taken: a person has to look at them.
    """

    recipients: int
    campaigns: list[str]
    paused: list[str]


def info(ledger: Ledger) -> Info:
    """
    Say what a ledger is and holds; counting takes a while with millions of recipients.

    :param ledger: the ledger.
    """
    with ledger.reading() as connection:
        rows = {
            table.name.removeprefix("caixin_"): connection.execute(
                sa.select(sa.func.count()).select_from(table)
            ).scalar_one()
            for table in schema.metadata.sorted_tables
            if table is not schema.meta
        }
    return Info(ledger.uuid, ledger.dialect, schema.SCHEMA_VERSION, rows)


def disagreements(ledger: Ledger) -> Iterator[str]:
    """
    Count everything anew and yield a sentence for each count of the ledger that is another.

    :param ledger: the ledger; each campaign is locked while it is counted.
    """
    with ledger.reading() as connection:
        keys = sa.select(_campaign.c.id, _campaign.c.campaign_id).where(_campaign.c.purged_at.is_(None))
        known = connection.execute(keys.order_by(_campaign.c.id)).all()
    for key, name in known:
        with ledger.writing() as connection:
            row, now = CampaignRow.lock(connection, key), ledger.now(connection)
            # As of now, which nobody may have written yet; nor does this.
            row.move(State.IN_FLIGHT, State.UNKNOWN, leases.run_out(connection, key, now))
            counted: Counter[str] = Counter()
            for state_now, _, _, number in tallies.count(connection, key, now):
                counted[state_now] += number
            charted = _outcomes(connection, key, now)
            requests = _requests(connection, key, now)
        for state in State:
            if counted[state] != row.counts[state]:
                yield f"campaign {name!r}: its row says {row.counts[state]} {state}, and {counted[state]} recipients are."
        for state in (State.SENT, State.UNKNOWN):
            if charted[state] != requests[state]:
                yield f"campaign {name!r}: its minutes say {charted[state]} requests {state}, its recipients {requests[state]}."


def purgeable(ledger: Ledger, before: float) -> list[Candidate]:
    """
    Give the finished campaigns without a sign of life since a moment.

    :param ledger: the ledger.
    :param before: seconds since the epoch.
    """
    # What a cancelled one has left is skipped by its next run, which may never come.
    nobody_left = sa.or_(_campaign.c.pending == 0, _campaign.c.cancelled)
    over = sa.and_(sa.or_(_campaign.c.loaded_at.is_not(None), _campaign.c.cancelled), nobody_left)
    last_minute = (
        sa.select(sa.func.max(schema.traffic.c.minute) * traffic.MINUTE)
        .where(schema.traffic.c.campaign == _campaign.c.id)
        .scalar_subquery()
    )
    signs = (_campaign.c.created_at, _campaign.c.loaded_at, _campaign.c.active_at, last_minute)
    columns = (_campaign.c.id, _campaign.c.campaign_id, *(_campaign.c[state.value] for state in State))
    statement = sa.select(*columns, *(sign.label(f"sign_{n}") for n, sign in enumerate(signs)))
    with ledger.reading() as connection:
        late = leases.run_out_of_each(ledger.now(connection)).label("late")
        over_now = statement.add_columns(late).where(over, _campaign.c.purged_at.is_(None))
        rows = connection.execute(over_now.order_by(_campaign.c.id)).all()
    found = []
    for row in rows:
        ended_at = max(float(getattr(row, f"sign_{n}") or 0.0) for n in range(len(signs)))
        if ended_at < before:
            total = sum(getattr(row, state.value) for state in State)
            found.append(Candidate(row.id, row.campaign_id, ended_at, total, row.unknown + row.late))
    return found


def purge(ledger: Ledger, before: float) -> Iterator[Candidate]:
    """
    Forget the recipients of finished campaigns, yielding each campaign that was purged.

    Its id, counts and minutes stay, it sends nothing any more, and suppressions stay. A purge that was broken off goes on
    with the next one.

    :param ledger: the ledger.
    :param before: only campaigns without a sign of life since, in seconds since the epoch. Frequency caps look back 7 days.
    """
    for candidate in purgeable(ledger, before):
        with ledger.reading() as connection:
            cancelled = CampaignRow.read(connection, candidate.key).cancelled
        if cancelled:
            messages.skip_pending(ledger, candidate.key, Skip.CANCELLED)
        with ledger.writing() as connection:
            row = CampaignRow.lock(connection, candidate.key)
            now = ledger.now(connection)
            # No run may ever come that writes down whose answer was lost.
            if messages.expire_leases(connection, row, now):
                row.save(connection)
            if row.counts[State.PENDING] or row.counts[State.IN_FLIGHT] or row.purged_at is not None:
                continue
            # Nor whom somebody is just adding: they are in no count before their load is complete.
            if being_loaded(connection, row.id, now):
                continue
            # Nor what has gone on and ended again since the look without a lock.
            if max(row.created_at, row.loaded_at or 0.0, row.active_at or 0.0) >= before:
                continue
            tallies.store(connection, row, tallies.tally(connection, row.id, now), now)
            purged = sa.update(_campaign).where(_campaign.c.id == row.id)
            connection.execute(purged.values(purged_at=now))
        yield candidate
    with ledger.reading() as connection:
        purged_keys = list(
            connection.execute(sa.select(_campaign.c.id).where(_campaign.c.purged_at.is_not(None))).scalars()
        )
    for key in purged_keys:
        while _forget(ledger, key) == BATCH:
            pass


def restored(ledger: Ledger, midnight: float) -> Restored:
    """
    Doubt everything that a ledger from a backup would still send.

    Whoever was pending when the backup was taken may have got the message since, and so may have whom a cap, a suppression, a
    budget or a closed window had held back until then, in campaigns of its last 31 days. They become ``unknown`` as of now, so
    that caps and the account's day count them, and only a person resolves them; who was in the air does so, too. Whom carrier
    or region kept out stays so, whatever the rules of later runs. A campaign whose audience was being loaded is paused besides.

    :param ledger: the ledger.
    :param midnight: the start of the current China day.
    """
    recipients, touched, paused = 0, [], []
    with ledger.reading() as connection:
        # Of those that are over in the backup nothing has left since.
        open_ = (_campaign.c.purged_at.is_(None), ~_campaign.c.cancelled)
        alive_at = sa.func.coalesce(_campaign.c.active_at, _campaign.c.created_at)
        columns = (_campaign.c.id, _campaign.c.campaign_id, alive_at)
        known = connection.execute(sa.select(*columns).where(*open_)).all()
    # The latest sign of life is the backup's age.
    lively = max((at for _, _, at in known), default=0.0) - _LIVELY
    for key, name, at in known:
        doubted = 0
        while number := _doubt(ledger, key, midnight, held_back=at >= lively):
            doubted += number
        if doubted:
            touched.append(name)
            recipients += doubted
        with ledger.writing() as connection:
            CampaignRow.lock(connection, key)
            # A doubt of the time before the backup may have been sent once more since.
            once_more = sa.update(_recipient).where(
                _recipient.c.campaign == key,
                _recipient.c.state == State.UNKNOWN.value,
                _recipient.c.doubt_at.is_(None),
            )
            connection.execute(once_more.values(doubt_at=_recipient.c.sent_at))
            values: dict[str, object] = {"classified_by": AS_RESTORED}
            if is_unfinished(connection, key):
                values["paused"] = True
                paused.append(name)
            connection.execute(sa.update(_campaign).where(_campaign.c.id == key).values(values))
    return Restored(recipients, touched, paused)


def _doubt(ledger: Ledger, campaign: int, midnight: float, *, held_back: bool) -> int:
    with ledger.writing() as connection:
        gate = Gate.of(connection, campaign)
        row = CampaignRow.lock(connection, campaign)
        now = ledger.now(connection)
        gate.begin_day(midnight)
        would_be_sent: sa.ColumnElement[bool] = _recipient.c.state.in_(
            [State.PENDING.value, State.IN_FLIGHT.value]
        )
        if held_back:
            skipped = (_recipient.c.state == State.SKIPPED.value, _recipient.c.reason.in_(_HELD_BACK))
            would_be_sent = sa.or_(would_be_sent, sa.and_(*skipped))
        # Also in loads that are not complete: they may have been completed since.
        columns = (_recipient.c.id, _recipient.c.state, _recipient.c.sent_at)
        found = connection.execute(
            sa.select(*columns).where(_recipient.c.campaign == campaign, would_be_sent).limit(BATCH)
        ).all()
        if not found:
            return 0
        ids = [one.id for one in found]
        gate.day_count += sum(one.state != State.IN_FLIGHT or one.sent_at < gate.day for one in found)
        change = sa.update(_recipient).where(_recipient.c.id.in_(ids))
        values = {"state": State.UNKNOWN.value, "sent_at": now, "claim": None, "due": 0.0, "reason": RESTORED}
        # As if sent once more: on_unknown="resend" leaves alone who was.
        connection.execute(change.values(**values, doubt_at=sa.func.coalesce(_recipient.c.doubt_at, now)))
        traffic.add(connection, campaign, Counter({(traffic.minute_of(now), State.UNKNOWN): len(ids)}))
        # Rows of a load that is not complete are in no count, so all of them are counted anew.
        row.counts.update(count_states(connection, campaign))
        row.save(connection)
        gate.save(connection)
    return len(ids)


def _forget(ledger: Ledger, campaign: int) -> int:
    with ledger.writing() as connection:
        few = sa.select(_recipient.c.id).where(_recipient.c.campaign == campaign).limit(BATCH)
        ids = list(connection.execute(few).scalars())
        if ids:
            connection.execute(sa.delete(_recipient).where(_recipient.c.id.in_(ids)))
        if len(ids) < BATCH:
            # A load names its audience by a hash, and that of a single number is found by trying all of them.
            connection.execute(sa.delete(schema.load).where(schema.load.c.campaign == campaign))
    return len(ids)


def _outcomes(connection: Connection, campaign: int, now: float) -> dict[State, int]:
    counts = dict.fromkeys(State, 0)
    for minute in traffic.minutes(connection, campaign, now):
        counts[State.SENT] += minute.sent
        counts[State.UNKNOWN] += minute.unknown
    return counts


def _requests(connection: Connection, campaign: int, now: float) -> dict[State, int]:
    """Count the requests that recipients stand for; one in doubt that was sent once more stands for two."""
    doubted = sa.and_(_recipient.c.doubt_at.is_not(None), _recipient.c.doubt_at != _recipient.c.sent_at)
    statement = sa.select(
        sa.func.count(sa.case((_recipient.c.state == State.SENT.value, 1))),
        sa.func.count(sa.case((leases.is_in(State.UNKNOWN, now), 1))) + sa.func.count(sa.case((doubted, 1))),
    ).where(_recipient.c.campaign == campaign)
    sent, unknown = connection.execute(statement).one()
    return {State.SENT: sent, State.UNKNOWN: unknown}
