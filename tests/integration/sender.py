"""A process that runs one campaign, for tests that kill, stop and suspend it.

Arguments are one JSON object.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from airflow_provider_caixin.audience import FileAudience
from airflow_provider_caixin.campaign import Campaign, CampaignError, Plan, answers
from airflow_provider_caixin.juhe import JuheClient
from airflow_provider_caixin.ledger import Ledger, LedgerUnavailable
from airflow_provider_caixin.machine import MACHINE, Machine
from airflow_provider_caixin.rules import FrequencyCap, SendWindow

KEY = "k" * 32


class Witness(JuheClient):
    """A client that writes down when each request leaves: its key, the machine's monotonic clock, the number.

    :param key: the AppKey.
    :param file: where to append a line right before a request is written; None: nowhere.
    :param options: as of the client.
    """

    def __init__(self, key: str, file: str | None, **options: Any) -> None:
        super().__init__(key, **options)
        self._name = key
        self._file = os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600) if file else None

    def send(self, tpl_id: int, mobile: str, *, last_look: Callable[[], bool] | None = None) -> str:
        """Post one message, and write down that it left."""

        def look() -> bool:
            leaves = last_look is None or last_look()
            if leaves and self._file is not None:
                os.write(self._file, f"{self._name} {time.monotonic():.6f} {mobile}\n".encode())
            return leaves

        return super().send(tpl_id, mobile, last_look=look)


def offset_in(file: str) -> Callable[[], float]:
    """Read how many seconds a clock is off, as often as somebody asks.

    :param file: eight bytes, a double, which others may change at any time.
    """
    with Path(file).open("rb") as opened:
        seconds = mmap.mmap(opened.fileno(), 8, access=mmap.ACCESS_READ)
    return lambda: float(struct.unpack_from("d", seconds)[0])


def machine_of(file: str) -> Machine:
    """Return this machine with a wall clock that is off, as a step of the host's clock would.

    :param file: by how much.
    """
    offset = offset_in(file)
    return Machine(lambda: time.time() + offset())


class OtherClock(Ledger):
    """A ledger on a database server whose clock is off.

    :param url: its address.
    :param machine: where this process runs.
    :param file: by how many seconds.
    """

    def __init__(self, url: str, machine: Machine, file: str) -> None:
        self._offset = offset_in(file)
        super().__init__(url, machine)

    def now(self, connection: Connection) -> float:
        """Read the clock that slots and leases go by."""
        return super().now(connection) + self._offset()


def say(line: str) -> None:
    """Write a line that the test reads at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Load and send; print what became of it, or the name of what ended it."""
    order = json.loads(sys.argv[1])
    plan = order["plan"]
    if plan.get("window"):
        plan["window"] = SendWindow(plan["window"])
    if plan.get("cap"):
        plan["cap"] = FrequencyCap(plan["cap"])
    machine = machine_of(order["clock"]) if order.get("clock") else MACHINE
    if order.get("busy_delays"):
        answers.BUSY_DELAY_SECONDS = tuple(order["busy_delays"])  # type: ignore[misc]  # minutes, otherwise
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    client = Witness(
        order.get("key", KEY),
        order.get("posts"),
        host="127.0.0.1",
        port=order["port"],
        schema="http",
        timeout=plan["timeout"],
    )
    try:
        url, other = order["ledger"], order.get("ledger_clock")
        ledger = OtherClock(url, machine, other) if other else Ledger(url, machine)
        campaign = Campaign(Plan(**plan), ledger, client, lease=order["lease"])
        campaign.load(FileAudience(Path(order["file"])), order.get("source", "file"), stop.is_set)
        say("loaded")
        campaign.send(stop)
        result = campaign.counts().as_result()
    except (CampaignError, LedgerUnavailable) as error:
        sys.stderr.write(f"{error}\n")
        say(type(error).__name__)
        return 1
    say(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
