"""Sender processes: started, frozen, thawed, killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]  # Airflow brings it, without types
import sqlalchemy as sa
from sqlalchemy.engine import URL

ROOT = Path(__file__).parents[2]
SENDER = ROOT / "tests" / "integration" / "sender.py"

# Servers are asked to wait: a suspended process may stand in the queue for the lock, and get it later.
_LOCKING: Final = {
    "sqlite": ("PRAGMA busy_timeout = 0", "BEGIN IMMEDIATE"),
    "postgresql": ("SET lock_timeout = 300", "BEGIN", "SELECT id FROM caixin_account FOR UPDATE"),
    "mysql": ("SET innodb_lock_wait_timeout = 1", "BEGIN", "SELECT id FROM caixin_account FOR UPDATE"),
}


class Worker:
    """A process that runs one campaign.

    :param name: its name, unique in the round; it is its AppKey, too, so that the gateway's record tells who
        sent what.
    :param order: what the sender is told, see ``tests/integration/sender.py``.
    :param folder: where its output goes.
    """

    def __init__(self, name: str, order: dict[str, Any], folder: Path) -> None:
        self.name = name
        self.frozen_at: float | None = None
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"
        # Files and not pipes: nobody reads while a round goes on.
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, str(SENDER), json.dumps({**order, "key": name})],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    @property
    def status(self) -> int | None:
        """How it ended: the exit status, a signal's number below 0, or None: it runs."""
        return self.process.poll()

    @property
    def is_sending(self) -> bool:
        """Whether it runs, is not frozen and has its audience in the ledger."""
        return self.status is None and self.frozen_at is None and "loaded" in self.said

    @property
    def said(self) -> list[str]:
        """What it printed."""
        return self._out.read_text(encoding="utf-8").splitlines()

    @property
    def complaints(self) -> str:
        """What it logged: warnings and worse."""
        return self._err.read_text(encoding="utf-8")

    def freeze(self, ledger: URL | None = None) -> None:
        """Suspend it, and return when it is suspended.

        :param ledger: the ledger that it must not hold up everyone at; None: at any moment.
        """
        freeze(self.process, ledger)
        self.frozen_at = time.monotonic()

    def thaw(self) -> float:
        """Let it go on, and return for how many seconds it was suspended."""
        assert self.frozen_at is not None
        assert psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED
        frozen_for = time.monotonic() - self.frozen_at
        self.process.send_signal(signal.SIGCONT)
        self.frozen_at = None
        return frozen_for

    def end(self) -> None:
        """Kill it if it still runs, and wait for its end."""
        self.process.kill()
        self.process.wait()


def freeze(process: subprocess.Popen[Any], ledger: URL | None = None) -> None:
    """Suspend a process, and return when it is suspended or has ended.

    :param process: a child of this process.
    :param ledger: not while it holds what every writer of this ledger needs; None: at any moment.
    """
    while True:
        process.send_signal(signal.SIGSTOP)
        if process.returncode is not None:
            return
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        if ledger is None or _can_write(ledger):
            return
        process.send_signal(signal.SIGCONT)
        # Suspended again at once it would never come to the end of its transaction.
        time.sleep(0.01)


def _can_write(ledger: URL) -> bool:
    engine = sa.create_engine(ledger, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        try:
            for statement in _LOCKING[ledger.get_backend_name()]:
                connection.exec_driver_sql(statement)
        except sa.exc.OperationalError:
            return False
        finally:
            with contextlib.suppress(sa.exc.OperationalError):
                connection.exec_driver_sql("ROLLBACK")
    return True
