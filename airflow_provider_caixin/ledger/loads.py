"""Loading an audience: streamed through a private sort, merged in batches, visible when it is complete."""

from __future__ import annotations

import itertools
import json
import logging
import sqlite3
import time
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.campaigns import CampaignRow
from airflow_provider_caixin.ledger.database import Ledger, LedgerError, LedgerUnavailable
from airflow_provider_caixin.ledger.places import temporary_folder
from airflow_provider_caixin.ledger.schema import FAR_AHEAD, Skip, State, digest

log = logging.getLogger(__name__)

BATCH: Final = 10_000
_POLL: Final = 0.5
_LAST: Final = 2**63 - 1
_BROKEN_OFF: Final = "broken off/"
# Bytes of an audience that need no file while it is looked at.
_IN_MEMORY: Final = 1 << 20
# People that one statement looks up.
_TOGETHER: Final = 1_000
# Whom these kept out nobody takes up again.
_FOR_GOOD: Final = (Skip.INVALID_NUMBER, Skip.DUPLICATE, Skip.CANCELLED, Skip.EXPIRED)

Row = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Change:
    """
    What is different about an audience whose loader has loaded another one before, in people and not in rows.

    :param people: who is in the audience.
    :param new: who of them is in no complete load of the campaign.
    :param gone: whom a complete load of this loader brought, and who is not in the audience any more.
    :param left: how many of those gone would get the message all the same.
    """

    people: int
    new: int
    gone: int
    left: int


@dataclass(frozen=True, slots=True)
class Revision:
    """
    How a source is judged that changed after a load of it was complete.

    :param is_same: tells whether a complete load of that name was this source's.
    :param reached: counts whom of these numbers the rules of this run let pass.
    :param heed: told what changed; whether to merge all the same.
    :param resends: people in doubt are sent the message once more.
    """

    is_same: Callable[[str], bool]
    reached: Callable[[Connection, Sequence[str]], int]
    heed: Callable[[Change], bool]
    resends: bool = False


class LoadGivenUp(LedgerError):
    """The load was told to stop before it was complete; it is handed back for the next attempt."""


class LoadUnwanted(LedgerError):
    """
    The audience changed and is not to be merged; the campaign stays as it is.

    :param change: what is different.
    """

    def __init__(self, change: Change) -> None:
        super().__init__("The audience changed under its campaign.")
        self.change = change


class LoadLost(LedgerUnavailable):
    """Another process took this load over, because this one was silent for longer than its lease."""


def load_audience(
    ledger: Ledger,
    campaign: int,
    source: str,
    rows: Callable[[], Iterable[Row]],
    *,
    lease: float,
    give_up: Callable[[], bool] = lambda: False,
    revision: Revision | None = None,
) -> bool:
    """
    Merge an audience into a campaign, once per source.

    The whole source is read before the ledger is touched, into a private sorted file that the operating system
    deletes by itself: that finds each number's occurrences without holding a million numbers in memory, a
    source that breaks half-way leaves nothing behind, and rows arrive in the order of the ledger's key, as locks
    must be taken.

    Rows of a load that is not complete are hidden, and a row belongs to one load. So loads that have people in
    common keep an order: a load takes rows from later ones and from those that died, and ends after the earlier
    ones; when one of these dies before that, it merges once more.

    A source that changed is compared with what it gave before, ahead of the first row that is merged, and once more
    when another load of it was completed meanwhile.

    :param ledger: the ledger.
    :param campaign: the campaign's key.
    :param source: who loads what; a source that is done is not opened again.
    :param rows: opens the source: (number or raw text, skip reason or None) in the audience's order.
    :param lease: seconds of silence after which another process may take over.
    :param give_up: asked before each batch and while another process loads the same source.
    :param revision: how to judge it where it changed; None: it is merged.
    :return: whether this call loaded it; False when it had been done.
    :raises LoadGivenUp: when ``give_up`` said so.
    :raises LoadUnwanted: when the revision said so; nobody was added.
    """
    owner = uuid.uuid4().hex
    while True:
        load = _take(ledger, campaign, source, owner, lease)
        if load is None:
            return False
        if load > 0:
            break
        _go_on(give_up)
        # Another process is loading the same source; it is alive as long as it renews its lease.
        time.sleep(_POLL)

    def renew() -> None:
        _go_on(give_up)
        _renew(ledger, load, owner, lease)

    try:
        while True:
            watched: set[int] = set()
            began, missed = False, False
            with ledger.reading() as connection:
                before = _complete(connection, campaign, revision)
            with (
                closing(sorted_audience(rows(), renew)) as stream,
                SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="ascii", dir=temporary_folder()) as spool,
            ):
                batches = iter(lambda: list(itertools.islice(stream, BATCH)), [])
                if revision and before:
                    change = _compare(ledger, campaign, before, _spooled(batches, spool), revision, renew)
                    if not revision.heed(change):
                        raise LoadUnwanted(change)
                    spool.seek(0)
                    batches = map(json.loads, spool)
                for batch in batches:
                    _go_on(give_up)
                    earlier, alive = _merge(ledger, campaign, load, owner, lease, batch)
                    watched |= earlier
                    missed = missed or (began and not alive)
                    began = True
            while (
                outcome := _finish(
                    ledger, campaign, load, owner, lease, watched, revision, before, missed=missed
                )
            ) == "wait":
                _go_on(give_up)
                time.sleep(_POLL)
            if outcome == "done":
                break
    except LoadUnwanted:
        _withdraw(ledger, campaign, load, owner)
        raise
    except BaseException:
        _hand_back(ledger, load, owner)
        raise
    return True


def sorted_audience(
    rows: Iterable[Row], renew: Callable[[], None] = lambda: None
) -> Generator[dict[str, Any], None, None]:
    """
    Stream an audience in the order of its numbers, each row with its place and occurrence and its state.

    :param rows: (number or raw text, skip reason or None) in the audience's order.
    :param renew: called about once a second while the source is read.
    """
    # An empty name makes a temporary file that is unlinked as soon as it is open: numbers outlive no crash.
    with closing(sqlite3.connect("", isolation_level=None)) as scratch:
        with _on_disk():
            scratch.execute("PRAGMA journal_mode=OFF")
            scratch.execute("PRAGMA temp_store=FILE")
            scratch.execute("CREATE TABLE audience (place INTEGER PRIMARY KEY, number TEXT, reason TEXT)")
        numbered = ((place, number, reason) for place, (number, reason) in enumerate(rows))
        renewed = time.monotonic()
        scratch.execute("BEGIN")
        while batch := list(itertools.islice(numbered, BATCH)):
            with _on_disk():
                scratch.executemany("INSERT INTO audience VALUES (?, ?, ?)", batch)
            if time.monotonic() - renewed > 1:
                renew()
                renewed = time.monotonic()
        with _on_disk():
            scratch.execute("COMMIT")
        renew()
        with _on_disk():
            cursor = scratch.execute(
                "SELECT number, place, reason, row_number() OVER (PARTITION BY number ORDER BY place) "
                "FROM audience ORDER BY number, place"
            )
        while fetched := _fetched(cursor):
            for number, place, found, occurrence in fetched:
                reason = found or (Skip.DUPLICATE if occurrence > 1 else None)
                yield {
                    "number": number,
                    "occurrence": occurrence,
                    "position": place,
                    "state": State.SKIPPED if reason else State.PENDING,
                    "reason": reason,
                }


@contextmanager
def _on_disk() -> Iterator[None]:
    """
    Say where an audience that is being sorted lies.

    :raises LedgerUnavailable: when there is no room for it.
    """
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        folder = temporary_folder()
        where = f"in the temporary folder {folder}" if folder else "as no temporary folder may be written to"
        raise LedgerUnavailable(
            f"The audience could not be sorted {where} ({error}), which takes about as much room as the audience itself; nothing "
            "was loaded. Make room there, or name a larger folder in the environment of the tasks (SQLITE_TMPDIR or TMPDIR)."
        ) from None


def _fetched(cursor: sqlite3.Cursor) -> list[tuple[str, int, str | None, int]]:
    with _on_disk():
        return cursor.fetchmany(BATCH)


def complete(connection: Connection, campaign: int) -> list[str]:
    """
    Give the sources of a campaign's complete loads.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    """
    table = schema.load
    done = sa.select(table.c.source).where(table.c.campaign == campaign, table.c.done)
    return list(connection.execute(done).scalars())


def is_of(source: str, loader: str) -> bool:
    """
    Tell whether a source is a loader's, whatever it loaded.

    :param source: a load's.
    :param loader: who loads; behind it a slash parts what is loaded.
    """
    return source.startswith(f"{loader}/")


def was_loaded(connection: Connection, campaign: int, loader: str) -> bool:
    """
    Tell whether a loader has completed any load of a campaign.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param loader: its sources without their fingerprint, which stands behind the last slash.
    """
    return any(source.rpartition("/")[0] == loader for source in complete(connection, campaign))


def is_known(connection: Connection, campaign: int, source: str) -> bool:
    """
    Tell whether a campaign has a load of this name, complete or not.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param source: who loads what.
    """
    table = schema.load
    named = sa.select(table.c.id).where(table.c.campaign == campaign, table.c.hash == digest(source))
    return connection.execute(named).first() is not None


def being_loaded(connection: Connection, campaign: int, now: float) -> bool:
    """
    Tell whether a loader is at work on a campaign.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param now: the ledger's clock.
    """
    table = schema.load
    alive = sa.select(table.c.id).where(
        table.c.campaign == campaign,
        ~table.c.done,
        table.c.owner.is_not(None),
        table.c.lease.between(now, now + FAR_AHEAD),
    )
    return connection.execute(alive.limit(1)).first() is not None


def is_unfinished(connection: Connection, campaign: int) -> bool:
    """
    Tell whether some of a campaign's audience was to come when its loader was last heard of.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    """
    table = schema.load
    begun = sa.select(table.c.id).where(
        table.c.campaign == campaign, ~table.c.done, ~table.c.source.startswith(_BROKEN_OFF, autoescape=True)
    )
    return connection.execute(begun.limit(1)).first() is not None


def skipped_by_load(connection: Connection, campaign: int, source: str) -> dict[str, int]:
    """
    Count the recipients of a complete load that it skipped, by reason.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    :param source: who loaded what.
    """
    load, rows = schema.load, schema.recipient
    known = sa.select(load.c.id).where(load.c.campaign == campaign, load.c.hash == digest(source))
    first, last = _positions(connection.execute(known).scalar_one())
    per_reason = (
        sa.select(rows.c.reason, sa.func.count())
        .where(rows.c.campaign == campaign, rows.c.state == State.SKIPPED.value)
        .where(rows.c.position.between(first, last))
        .group_by(rows.c.reason)
    )
    return {str(reason): number for reason, number in connection.execute(per_reason)}


def visible_ranges(connection: Connection, campaign: int) -> list[tuple[int, int]]:
    """
    Give the positions that belong to complete loads, as (first, last) pairs in their order.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    """
    ranges, first = [], 0
    for hidden, last in _hidden(connection, campaign):
        if first < hidden:
            ranges.append((first, hidden - 1))
        first = last + 1
    return [*ranges, (first, _LAST)]


def _hidden(connection: Connection, campaign: int) -> list[tuple[int, int]]:
    table = schema.load
    unfinished = sa.select(table.c.id).where(table.c.campaign == campaign, ~table.c.done).order_by(table.c.id)
    return [_positions(load) for load in connection.execute(unfinished).scalars()]


def _others(connection: Connection, campaign: int, load: int, now: float) -> tuple[set[int], set[int]]:
    """Give the other incomplete loads: earlier ones that are alive, and all the rest, whose rows may be taken."""
    table = schema.load
    columns = (table.c.id, table.c.owner, table.c.lease)
    unfinished = sa.select(*columns).where(table.c.campaign == campaign, ~table.c.done, table.c.id != load)
    others = connection.execute(unfinished).all()
    earlier = {one.id for one in others if one.id < load and _is_alive(one.owner, one.lease, now)}
    return earlier, {one.id for one in others} - earlier


def _is_alive(owner: str | None, lease: float, now: float) -> bool:
    return owner is not None and now <= lease <= now + FAR_AHEAD


def _has_rows(connection: Connection, campaign: int, load: int) -> bool:
    table = schema.recipient
    rows = sa.select(table.c.id).where(
        table.c.campaign == campaign, table.c.position.between(*_positions(load))
    )
    return connection.execute(rows.limit(1)).first() is not None


def _go_on(give_up: Callable[[], bool]) -> None:
    if give_up():
        raise LoadGivenUp("The loading of the audience was stopped; it begins anew with the next attempt.")


def _positions(load: int) -> tuple[int, int]:
    """Give the first and the last position of a load's rows."""
    return load << 32, ((load + 1) << 32) - 1


def _take(ledger: Ledger, campaign: int, source: str, owner: str, lease: float) -> int | None:
    """
    Return the load's key when it is ours to do, 0 when someone else is at it, None when it is done.

    A load that was broken off is not gone on with but begun anew, because the source may give other people by now: whom
    only the old one had stays hidden.
    """
    table = schema.load
    with ledger.writing() as connection:
        # One taker at a time.
        CampaignRow.lock(connection, campaign)
        now = ledger.now(connection)
        named = (table.c.campaign == campaign, table.c.hash == digest(source))
        found = connection.execute(sa.select(table).where(*named)).one_or_none()
        if found is not None:
            if found.done:
                return None
            if _is_alive(found.owner, found.lease, now):
                return 0
            alone = not any(_others(connection, campaign, found.id, now))
            if alone and not _has_rows(connection, campaign, found.id):
                # An attempt that came to nothing leaves no row for each time that it is made; others may have watched it die.
                values = {"owner": owner, "lease": now + lease}
                connection.execute(sa.update(table).where(table.c.id == found.id).values(values))
                return int(found.id)
            _break_off(connection, found.id, found.source)
        fresh = {"campaign": campaign, "hash": digest(source), "source": source}
        made = connection.execute(sa.insert(table).values(**fresh, owner=owner, lease=now + lease))
        return int(made.inserted_primary_key[0])  # type: ignore[index]  # one row has a key


def _renew(ledger: Ledger, load: int, owner: str, lease: float) -> None:
    with ledger.writing() as connection:
        _keep(connection, load, owner, ledger.now(connection), lease)


def _keep(connection: Connection, load: int, owner: str, now: float, lease: float) -> bool:
    """Renew the lease; return whether it had lasted, or others may have taken rows of ours for those of a dead load."""
    table = schema.load
    mine = (table.c.id == load, table.c.owner == owner)
    before = connection.execute(sa.select(table.c.lease).where(*mine).with_for_update()).scalar_one_or_none()
    if before is None:
        raise LoadLost("Another process took over the loading of this audience; it goes on there.")
    connection.execute(sa.update(table).where(*mine).values(lease=now + lease))
    return _is_alive(owner, before, now)


def _hand_back(ledger: Ledger, load: int, owner: str) -> None:
    table = schema.load
    mine = sa.update(table).where(table.c.id == load, table.c.owner == owner).values(owner=None, lease=0.0)
    try:
        with ledger.writing() as connection:
            connection.execute(mine)
    except LedgerUnavailable:
        log.info("The load could not be handed back; it can be taken over when its lease ends.")


def _withdraw(ledger: Ledger, campaign: int, load: int, owner: str) -> None:
    """Leave nothing behind of a load that nobody waits for, but what it had merged, hidden, before it turned out so."""
    table = schema.load
    with ledger.writing() as connection:
        CampaignRow.lock(connection, campaign)
        mine = sa.select(table.c.source).where(table.c.id == load, table.c.owner == owner)
        source = connection.execute(mine).scalar_one_or_none()
        if source is None:
            return
        if _has_rows(connection, campaign, load):
            _break_off(connection, load, source)
        else:
            connection.execute(sa.delete(table).where(table.c.id == load))


def _break_off(connection: Connection, load: int, source: str) -> None:
    old = f"{_BROKEN_OFF}{load}/{source}"
    values = {"hash": digest(old), "source": old, "owner": None, "lease": 0.0}
    connection.execute(sa.update(schema.load).where(schema.load.c.id == load).values(values))


def _spooled(
    batches: Iterable[list[dict[str, Any]]], spool: SpooledTemporaryFile[str]
) -> Iterator[list[dict[str, Any]]]:
    """Keep batches while they stream by, in a private file as that of the sort: a query gives other rows when it is run again."""
    for batch in batches:
        with _on_disk():
            spool.write(json.dumps(batch) + "\n")
            spool.flush()
        yield batch


def _complete(connection: Connection, campaign: int, revision: Revision | None) -> list[int]:
    """Give the complete loads of a source, whatever its version."""
    if revision is None:
        return []
    table = schema.load
    done = sa.select(table.c.id, table.c.source).where(table.c.campaign == campaign, table.c.done)
    return [one.id for one in connection.execute(done.order_by(table.c.id)) if revision.is_same(one.source)]


def _compare(
    ledger: Ledger,
    campaign: int,
    before: list[int],
    batches: Iterable[list[dict[str, Any]]],
    revision: Revision,
    renew: Callable[[], None],
) -> Change:
    """Compare an audience with the campaign and with complete loads."""
    table = schema.recipient
    # The first occurrence of a number is the person; others count as duplicates.
    first = table.c.occurrence == 1
    people = new = 0
    renewed = time.monotonic()
    with ledger.reading() as connection, closing(sqlite3.connect("", isolation_level=None)) as scratch:
        with _on_disk():
            scratch.execute("PRAGMA journal_mode=OFF")
            scratch.execute("CREATE TABLE gone (number TEXT PRIMARY KEY, is_open INTEGER) WITHOUT ROWID")
            scratch.executemany(
                "INSERT INTO gone VALUES (?, ?)", _brought(connection, campaign, before, revision)
            )
        known = sa.select(sa.func.count()).where(first, visible(connection, campaign))
        # A sum that no index has: without statistics PostgreSQL would read the whole campaign for each thousand numbers.
        known = known.where(table.c.campaign + 0 == campaign)
        for batch in batches:
            numbers = [
                row["number"]
                for row in batch
                if row["occurrence"] == 1 and row["reason"] != Skip.INVALID_NUMBER
            ]
            people += len(numbers)
            with _on_disk():
                scratch.executemany("DELETE FROM gone WHERE number = ?", zip(numbers))
            for start in range(0, len(numbers), _TOGETHER):
                among = numbers[start : start + _TOGETHER]
                new += len(among) - connection.execute(known.where(table.c.number.in_(among))).scalar_one()
                if time.monotonic() - renewed > 1:
                    renew()
                    renewed = time.monotonic()
        (gone,) = scratch.execute("SELECT count(*) FROM gone").fetchone()
        still_open = scratch.execute("SELECT number FROM gone WHERE is_open")
        left = 0
        while fetched := still_open.fetchmany(_TOGETHER):
            left += revision.reached(connection, [number for (number,) in fetched])
    return Change(people, new, gone, left)


def _brought(
    connection: Connection, campaign: int, loads: list[int], revision: Revision
) -> Iterator[tuple[str, bool]]:
    """Stream the people whom loads brought, and whether anything is still to come of them."""
    table = schema.recipient
    ours = sa.or_(*(table.c.position.between(*_positions(load)) for load in loads))
    rows = sa.select(table.c.number, table.c.state, table.c.reason).where(
        table.c.campaign == campaign, table.c.occurrence == 1, ours
    )
    open_states = {State.PENDING, *((State.UNKNOWN, State.IN_FLIGHT) if revision.resends else ())}
    for number, state, reason in connection.execute(rows.execution_options(yield_per=BATCH)):
        if state != State.SKIPPED or reason != Skip.INVALID_NUMBER:
            yield number, state in open_states or (state == State.SKIPPED and reason not in _FOR_GOOD)


def _merge(
    ledger: Ledger, campaign: int, load: int, owner: str, lease: float, batch: list[dict[str, Any]]
) -> tuple[set[int], bool]:
    """Merge a batch; return the loads that rows of it may still be hidden under, and whether we had kept our lease."""
    base, _ = _positions(load)
    for row in batch:
        row["campaign"] = campaign
        row["position"] += base
    table = schema.recipient
    with ledger.writing() as connection:
        CampaignRow.lock(connection, campaign).refuse_if_purged()
        now = ledger.now(connection)
        alive = _keep(connection, load, owner, now, lease)
        earlier, free = _others(connection, campaign, load, now)
        # Literals: PyMySQL takes no parameters behind the values of a bulk insert.
        taken = [
            table.c.position.between(sa.literal_column(str(first)), sa.literal_column(str(last)))
            for first, last in map(_positions, sorted(free))
        ]
        key = ["number", "campaign", "occurrence"]
        insert = (
            ledger.insert_or_adopt(table, key, "position", sa.or_(*taken))
            if taken
            else ledger.insert_if_absent(table)
        )
        connection.execute(insert, batch)
    return earlier, alive


def _finish(
    ledger: Ledger,
    campaign: int,
    load: int,
    owner: str,
    lease: float,
    watched: set[int],
    revision: Revision | None,
    before: list[int],
    *,
    missed: bool,
) -> Literal["done", "wait", "again"]:
    """Make the load's rows visible, unless some may be hidden under another load, or are to be compared with one."""
    with ledger.writing() as connection:
        row = CampaignRow.lock(connection, campaign)
        row.refuse_if_purged()
        now = ledger.now(connection)
        alive = _keep(connection, load, owner, now, lease)
        earlier, free = _others(connection, campaign, load, now)
        if missed or not alive or watched & free or _complete(connection, campaign, revision) != before:
            return "again"
        if earlier:
            watched |= earlier
            return "wait"
        connection.execute(
            sa.update(schema.load).where(schema.load.c.id == load).values(done=True, owner=None)
        )
        table = schema.campaign
        unset = sa.update(table).where(table.c.id == campaign, table.c.loaded_at.is_(None))
        connection.execute(unset.values(loaded_at=now))
        row.counts.update(count_states(connection, campaign))
        row.save(connection)
    return "done"


def hidden() -> sa.ColumnElement[bool]:
    """Give the condition that finds recipients of loads that are not complete, whatever their campaign."""
    table, rows = schema.load, schema.recipient
    first = table.c.id * (1 << 32)
    return sa.exists().where(
        table.c.campaign == rows.c.campaign,
        ~table.c.done,
        rows.c.position.between(first, first + ((1 << 32) - 1)),
    )


def count_states(connection: Connection, campaign: int) -> dict[State, int]:
    """
    Count a campaign's recipients by state, leaving out loads that are not complete.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    """
    table = schema.recipient
    counts = dict.fromkeys(State, 0)
    per_state = (
        sa.select(table.c.state, sa.func.count())
        .where(table.c.campaign == campaign, visible(connection, campaign))
        .group_by(table.c.state)
    )
    counts.update({State(state): number for state, number in connection.execute(per_state)})
    return counts


def visible(connection: Connection, campaign: int) -> sa.ColumnElement[bool]:
    """
    Give the condition that leaves out recipients of loads that are not complete.

    :param connection: any transaction.
    :param campaign: the campaign's key.
    """
    ranges = visible_ranges(connection, campaign)
    if ranges == [(0, _LAST)]:
        return sa.true()
    return sa.or_(*(schema.recipient.c.position.between(*bounds) for bounds in ranges))
