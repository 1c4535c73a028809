"""Loading an audience: streamed through a private sort, merged in batches, visible when it is complete."""

from __future__ import annotations

import itertools
import json
import logging
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.errors import LedgerError, LedgerUnavailable, LoadGivenUp, LoadLost
from airflow_provider_caixin.ledger.files import temporary_folder
from airflow_provider_caixin.ledger.queue import sorting
from airflow_provider_caixin.ledger.queue.sorting import Row, _on_disk, sorted_audience
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.rows.load import BROKEN_OFF, count_states, is_alive, positions_of, visible
from airflow_provider_caixin.ledger.schema import digest
from airflow_provider_caixin.vocabulary import SkipReason, State

log = logging.getLogger(__name__)

_POLL: Final = 0.5
# Bytes of an audience that need no file while it is looked at.
_IN_MEMORY: Final = 1 << 20
# People that one statement looks up.
_TOGETHER: Final = 1_000
# Whom these kept out nobody takes up again.
_FOR_GOOD: Final = (SkipReason.INVALID_NUMBER, SkipReason.DUPLICATE, SkipReason.CANCELLED, SkipReason.EXPIRED)


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


class LoadUnwanted(LedgerError):
    """
    The audience changed and is not to be merged; the campaign stays as it is.

    :param change: what is different.
    """

    def __init__(self, change: Change) -> None:
        super().__init__("The audience changed under its campaign.")
        self.change = change


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
                batches = iter(lambda: list(itertools.islice(stream, sorting.BATCH_ROWS)), [])
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


def _others(connection: Connection, campaign: int, load: int, now: float) -> tuple[set[int], set[int]]:
    """Give the other incomplete loads: earlier ones that are alive, and all the rest, whose rows may be taken."""
    table = schema.load
    columns = (table.c.id, table.c.owner, table.c.lease)
    unfinished = sa.select(*columns).where(table.c.campaign == campaign, ~table.c.done, table.c.id != load)
    others = connection.execute(unfinished).all()
    earlier = {one.id for one in others if one.id < load and is_alive(one.owner, one.lease, now)}
    return earlier, {one.id for one in others} - earlier


def _has_rows(connection: Connection, campaign: int, load: int) -> bool:
    table = schema.recipient
    rows = sa.select(table.c.id).where(
        table.c.campaign == campaign, table.c.position.between(*positions_of(load))
    )
    return connection.execute(rows.limit(1)).first() is not None


def _go_on(give_up: Callable[[], bool]) -> None:
    if give_up():
        raise LoadGivenUp("The loading of the audience was stopped; it begins anew with the next attempt.")


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
            if is_alive(found.owner, found.lease, now):
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
    return is_alive(owner, before, now)


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
    old = f"{BROKEN_OFF}{load}/{source}"
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
                if row["occurrence"] == 1 and row["reason"] != SkipReason.INVALID_NUMBER
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
    ours = sa.or_(*(table.c.position.between(*positions_of(load)) for load in loads))
    rows = sa.select(table.c.number, table.c.state, table.c.reason).where(
        table.c.campaign == campaign, table.c.occurrence == 1, ours
    )
    open_states = {State.PENDING, *((State.UNKNOWN, State.IN_FLIGHT) if revision.resends else ())}
    for number, state, reason in connection.execute(rows.execution_options(yield_per=sorting.BATCH_ROWS)):
        if state != State.SKIPPED or reason != SkipReason.INVALID_NUMBER:
            yield number, state in open_states or (state == State.SKIPPED and reason not in _FOR_GOOD)


def _merge(
    ledger: Ledger, campaign: int, load: int, owner: str, lease: float, batch: list[dict[str, Any]]
) -> tuple[set[int], bool]:
    """Merge a batch; return the loads that rows of it may still be hidden under, and whether we had kept our lease."""
    base, _ = positions_of(load)
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
            for first, last in map(positions_of, sorted(free))
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
