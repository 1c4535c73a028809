"""The ledger: the real code on a real SQLite file, with the waits, delays and failures of a world."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

from greenlet import GreenletExit
from sqlalchemy.engine import URL, Connection, Dialect, Engine

from airflow_provider_caixin.ledger import Ledger, LedgerUnavailable
from airflow_provider_caixin.ledger.sessions import Limits
from tests.simulation.process import ConnectionLost, Process
from tests.simulation.world import Host, World

LOCK_SECONDS: Final = 5.0
# All engines share their compiled statements, which are a dialect's: each process has two engines of its own.
_COMPILED: Final[dict[Any, Any]] = {}
_DIALECTS: Final[list[Dialect]] = []

_COUNTS: Final = """
    SELECT campaign.id, pending, in_flight, sent, rejected, unknown, skipped, state, count(recipient.id)
    FROM caixin_campaign AS campaign LEFT JOIN caixin_recipient AS recipient
      ON recipient.campaign = campaign.id AND EXISTS (SELECT 1 FROM caixin_load AS load
        WHERE load.campaign = campaign.id AND load.done AND recipient.position / 4294967296 = load.id)
    WHERE campaign.purged_at IS NULL GROUP BY campaign.id, state
"""
_STATES: Final = ("pending", "in_flight", "sent", "rejected", "unknown", "skipped")
_RECORDED: Final = """
    SELECT sent_at FROM caixin_recipient JOIN caixin_campaign ON caixin_campaign.id = caixin_recipient.campaign
    WHERE number = ? AND tpl_id = ? AND state IN ('in_flight', 'unknown')
"""


class Database:
    """A file that the ledgers of all processes write to, one at a time.

    :param file: where it is; a copy of a ledger without a campaign.
    :param host: whose wall clock the ledger goes by.
    :param seed: what the time of its commits is drawn from.
    :param wrong: receives a sentence when a commit left something that must not be.
    """

    def __init__(
        self, world: World, file: Path, empty: Path, host: Host, seed: str, wrong: Callable[[str], None]
    ) -> None:
        shutil.copyfile(empty, file)
        self.world, self.file, self.host = world, file, host
        self._chance = Random(f"{seed}/database")
        self._holder: Process | None = None
        self._wrong = wrong
        #: The ledgers that were opened.
        self.ledgers: list[Ledger] = []
        self._reader = sqlite3.connect(file, isolation_level=None)

    def close(self) -> None:
        """Close the file."""
        for ledger in self.ledgers:
            ledger.close()
        self._reader.close()

    def lock(self, process: Process) -> None:
        """Wait for the writers' lock, as SQLite does: it asks now and then, and queues for nobody.

        :raises LedgerUnavailable: when others have it for too long.
        """
        until = self.world.now + LOCK_SECONDS
        while self._holder is not None:
            if self.world.now >= until:
                raise LedgerUnavailable("The ledger did not answer: OperationalError: database is locked")
            self.world.pause(self._chance.uniform(0.001, 0.05))
        self._holder = process

    def unlock(self, process: Process) -> None:
        """Let others write."""
        if self._holder is process:
            self._holder = None

    def commit_seconds(self) -> float:
        """Return how long a commit takes, as a disk does: little as a rule, and at times much."""
        share = self._chance.random()
        if share < 0.9:
            return self._chance.uniform(0.001, 0.006)
        return self._chance.uniform(0.006, 0.03) if share < 0.98 else self._chance.uniform(0.05, 0.6)

    def check_counts(self) -> None:
        """Check that campaigns count their rows, of which complete loads are all that there is."""
        counted: dict[tuple[int, ...], dict[str, int]] = {}
        for *campaign, state, number in self._reader.execute(_COUNTS):
            counted.setdefault(tuple(campaign), {})[state] = number
        for (_, *counts), rows in counted.items():
            if counts != [rows.get(state, 0) for state in _STATES]:
                self._wrong(
                    f"rows: {rows}, and the campaign counts {dict(zip(_STATES, counts, strict=True))}"
                )

    def slot_of(self, template: int, number: str) -> float | None:
        """Return the slot, by the ledger's clock, of a request that is recorded; None: none is."""
        found = self._reader.execute(_RECORDED, (number, template)).fetchone()
        return found and float(found[0])


class SimulatedLedger(Ledger):
    """The package's ledger as one process has it open."""

    def __init__(self, database: Database, process: Process) -> None:
        self._database, self._process = database, process
        self._writer: Connection | None = None
        process.at_end.append(self._break_off)
        super().__init__(URL.create("sqlite", database=str(database.file)), process.machine)
        database.ledgers.append(self)

    def _engine(self, limits: Limits) -> Engine:
        return _sharing(super()._engine(limits))

    def now(self, _: Connection) -> float:
        """Return the ledger's clock, as a database server would."""
        return self._database.host.clock()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that only reads."""
        with self._struck():
            self._process.point("read")
        with super().reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that may write; its commit takes a while."""
        database, process = self._database, self._process
        if process.world.is_over:
            raise GreenletExit
        assert self._writer is None, "a process writes twice at once"
        with self._struck():
            process.point("begin")
        database.lock(process)
        try:
            with super().writing() as connection, self._struck():
                self._writer = connection
                yield connection
                process.world.pause(database.commit_seconds())
                process.point("body")
            self._writer = None
            database.check_counts()
            with self._struck():
                process.point("commit")
        finally:
            self._writer = None
            database.unlock(process)
        with self._struck():
            process.point("done")

    def _break_off(self) -> None:
        """Roll back, as a database does with a session that is gone."""
        if self._writer is not None:
            self._writer.connection.driver_connection.rollback()  # type: ignore[union-attr]  # SQLite's
        self._database.unlock(self._process)

    @contextmanager
    def _struck(self) -> Iterator[None]:
        try:
            yield
        except ConnectionLost:
            raise LedgerUnavailable("The ledger did not answer: OperationalError: connection lost") from None


def _sharing(engine: Engine) -> Engine:
    if not _DIALECTS:
        _DIALECTS.append(engine.dialect)
    engine.dialect = _DIALECTS[0]
    return engine.execution_options(compiled_cache=_COMPILED)


def empty_ledger(folder: Path) -> Path:
    """Make a ledger without a campaign, of which each world gets a copy."""
    file = folder / "empty.db"
    ledger = Ledger.sqlite(file)
    with ledger.writing() as connection:
        # One id for all worlds: the same seed is the same story.
        connection.exec_driver_sql("UPDATE caixin_meta SET value = 'simulation' WHERE name = 'uuid'")
    ledger.close()
    return file
