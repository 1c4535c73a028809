"""A loader: one attempt at a load, which holds a lease on the load's row while it merges."""

from __future__ import annotations

import logging
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.errors import LedgerUnavailable, LoadLost
from airflow_provider_caixin.ledger.queue.revision import Revision, loads_before
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.rows.load import BROKEN_OFF, count_states, is_alive, positions_of
from airflow_provider_caixin.ledger.schema import digest, recipient

log = logging.getLogger(__name__)

_load: Final = schema.load


class Loader:
    """One attempt at a load.

    :param lease: seconds of silence after which another process may take over.
    """

    def __init__(self, ledger: Ledger, campaign_key: int, source: str, lease: float) -> None:
        self._ledger = ledger
        self._campaign_key = campaign_key
        self._source = source
        self._lease = lease
        self._id = ledger.machine.new_id()
        self._load_key = 0
        # Loads that rows of this one may still be hidden under.
        self._watched: set[int] = set()
        self._has_merged = False
        # Whether the lease ran out between two batches: others may have taken rows, as of a dead load.
        self._slept = False

    def take(self) -> Literal["ours", "busy", "done"]:
        """Take the load, unless another process is at it or has done it.

        A load that was broken off is not gone on with but begun anew, because the source may give other
        recipients by now: whom only the old one had stays hidden.
        """
        with self._ledger.writing() as connection:
            # One taker at a time.
            CampaignRow.lock(connection, self._campaign_key)
            now = self._ledger.now(connection)
            mine = {"owner": self._id, "lease": now + self._lease}
            named = (_load.c.campaign == self._campaign_key, _load.c.hash == digest(self._source))
            found = connection.execute(sa.select(_load).where(*named)).one_or_none()
            if found is not None:
                if found.done:
                    return "done"
                if is_alive(found.owner, found.lease, now):
                    return "busy"
                self._load_key = found.id
                if not any(self._others(connection, now)) and not self._has_rows(connection):
                    # An attempt that came to nothing leaves no row for each time that it is made; others may
                    # have watched it die.
                    connection.execute(sa.update(_load).where(_load.c.id == found.id).values(mine))
                    return "ours"
                self._break_off(connection, found.source)
            fresh = {
                "campaign": self._campaign_key,
                "hash": digest(self._source),
                "source": self._source,
                **mine,
            }
            made = connection.execute(sa.insert(_load).values(fresh))
            self._load_key = int(made.inserted_primary_key[0])  # type: ignore[index]  # one row has a key
            return "ours"

    def begin(self, revision: Revision | None) -> list[int]:
        """Begin to merge, perhaps once more; return the loads that the source is compared with."""
        self._watched, self._has_merged, self._slept = set(), False, False
        with self._ledger.reading() as connection:
            return loads_before(connection, self._campaign_key, revision)

    def renew(self) -> None:
        """Renew the lease.

        :raises LoadLost: when another process took the load over.
        """
        with self._ledger.writing() as connection:
            self._renew(connection, self._ledger.now(connection))

    def merge(self, batch: list[dict[str, Any]]) -> None:
        """Merge a batch of the audience.

        :raises LoadLost: when another process took the load over.
        """
        base, _ = positions_of(self._load_key)
        for row in batch:
            row["campaign"] = self._campaign_key
            row["position"] += base
        with self._ledger.writing() as connection:
            CampaignRow.lock(connection, self._campaign_key).refuse_if_purged()
            now = self._ledger.now(connection)
            alive = self._renew(connection, now)
            earlier, free = self._others(connection, now)
            # Literals: PyMySQL takes no parameters behind the values of a bulk insert.
            taken = [
                recipient.c.position.between(sa.literal_column(str(first)), sa.literal_column(str(last)))
                for first, last in map(positions_of, sorted(free))
            ]
            insert = (
                self._ledger.insert_or_adopt(
                    recipient, ["number", "campaign", "occurrence"], "position", sa.or_(*taken)
                )
                if taken
                else self._ledger.insert_if_absent(recipient)
            )
            connection.execute(insert, batch)
        self._watched |= earlier
        self._slept = self._slept or (self._has_merged and not alive)
        self._has_merged = True

    def finish(self, before: list[int], revision: Revision | None) -> Literal["done", "wait", "again"]:
        """Make the load's rows visible, unless another load may hide some or some are yet to be compared.

        :param before: the loads that the source was compared with.
        """
        with self._ledger.writing() as connection:
            row = CampaignRow.lock(connection, self._campaign_key)
            row.refuse_if_purged()
            now = self._ledger.now(connection)
            alive = self._renew(connection, now)
            earlier, free = self._others(connection, now)
            if self._slept or not alive or self._watched & free:
                return "again"
            if loads_before(connection, self._campaign_key, revision) != before:
                return "again"
            if earlier:
                self._watched |= earlier
                return "wait"
            done = sa.update(_load).where(_load.c.id == self._load_key).values(done=True, owner=None)
            connection.execute(done)
            table = schema.campaign
            unset = sa.update(table).where(table.c.id == self._campaign_key, table.c.loaded_at.is_(None))
            connection.execute(unset.values(loaded_at=now))
            row.counts.update(count_states(connection, self._campaign_key))
            row.save(connection)
        return "done"

    def hand_back(self) -> None:
        """Let the next attempt take the load at once."""
        mine = sa.update(_load).where(_load.c.id == self._load_key, _load.c.owner == self._id)
        try:
            with self._ledger.writing() as connection:
                connection.execute(mine.values(owner=None, lease=0.0))
        except LedgerUnavailable:
            log.info("The load could not be handed back; it can be taken over when its lease ends.")

    def withdraw(self) -> None:
        """Remove a load that is not wanted; rows that it had merged before stay hidden."""
        with self._ledger.writing() as connection:
            CampaignRow.lock(connection, self._campaign_key)
            mine = sa.select(_load.c.source).where(_load.c.id == self._load_key, _load.c.owner == self._id)
            source = connection.execute(mine).scalar_one_or_none()
            if source is None:
                return
            if self._has_rows(connection):
                self._break_off(connection, source)
            else:
                connection.execute(sa.delete(_load).where(_load.c.id == self._load_key))

    def _renew(self, connection: Connection, now: float) -> bool:
        """Renew the lease; return whether it had lasted."""
        mine = (_load.c.id == self._load_key, _load.c.owner == self._id)
        held = sa.select(_load.c.lease).where(*mine).with_for_update()
        before = connection.execute(held).scalar_one_or_none()
        if before is None:
            raise LoadLost("Another process took over the loading of this audience; it goes on there.")
        connection.execute(sa.update(_load).where(*mine).values(lease=now + self._lease))
        return is_alive(self._id, before, now)

    def _others(self, connection: Connection, now: float) -> tuple[set[int], set[int]]:
        """Return other incomplete loads: earlier ones that are alive; the rest, whose rows may be taken."""
        columns = (_load.c.id, _load.c.owner, _load.c.lease)
        unfinished = sa.select(*columns).where(_load.c.campaign == self._campaign_key, ~_load.c.done)
        others = connection.execute(unfinished.where(_load.c.id != self._load_key)).all()
        earlier = {
            one.id for one in others if one.id < self._load_key and is_alive(one.owner, one.lease, now)
        }
        return earlier, {one.id for one in others} - earlier

    def _has_rows(self, connection: Connection) -> bool:
        ours = recipient.c.position.between(*positions_of(self._load_key))
        rows = sa.select(recipient.c.id).where(recipient.c.campaign == self._campaign_key, ours)
        return connection.execute(rows.limit(1)).first() is not None

    def _break_off(self, connection: Connection, source: str) -> None:
        old = f"{BROKEN_OFF}{self._load_key}/{source}"
        values = {"hash": digest(old), "source": old, "owner": None, "lease": 0.0}
        connection.execute(sa.update(_load).where(_load.c.id == self._load_key).values(values))
