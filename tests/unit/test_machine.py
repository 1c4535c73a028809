"""The machine that a process really runs on, and what every machine does."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from airflow_provider_caixin.machine import MACHINE, Machine


def test_once_a_second() -> None:
    """Not within a second of being made, nor of the last time."""
    moments: Iterator[float] = iter([0.0, 0.9, 1.1, 1.2, 2.1, 2.3, 2.4])
    done: list[None] = []
    act = Machine(monotonic=lambda: next(moments)).once_a_second(lambda: done.append(None))
    act()
    assert not done
    act()  # done at 1.2
    assert len(done) == 1
    act()
    assert len(done) == 1
    act()
    assert len(done) == 2


def test_a_thread_is_a_daemon_with_its_name() -> None:
    """A process that was told to stop does not wait for an answer that is late."""
    seen: list[tuple[str, bool]] = []

    def work() -> None:
        this = threading.current_thread()
        seen.append((this.name, this.daemon))

    thread = MACHINE.thread(work, "caixin-sender-1")
    thread.start()
    thread.join()
    assert not thread.is_alive()
    assert seen == [("caixin-sender-1", True)]


def test_ids_are_nobody_elses() -> None:
    """And fit into the ledger's columns."""
    ids = {MACHINE.new_id() for _ in range(100)}
    assert len(ids) == 100
    assert {len(one) for one in ids} == {32}
