"""The machine that a process runs on: where it gets time, chance, ids and threads from."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Final, Protocol


class Thread(Protocol):
    """What is asked of a thread; :class:`threading.Thread` is one."""

    def start(self) -> None:
        """Let it begin."""

    def is_alive(self) -> bool:
        """Return whether it has begun and not ended."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, or so many seconds."""


class Queue(Protocol):
    """What is asked of a queue between threads; :class:`queue.SimpleQueue` is one."""

    def put(self, item: Any) -> None:
        """Add an item."""

    def get(self) -> Any:
        """Take the oldest item; wait for one."""


def _daemon(work: Callable[[], None], name: str) -> Thread:
    return threading.Thread(target=work, name=name, daemon=True)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where loop and ledger get time, chance, ids and threads from; they ask nobody else.

    :param clock: the host's wall clock, seconds since the epoch, which somebody may set.
    :param monotonic: the clock that nobody sets, in seconds.
    :param sleep: waits so many seconds.
    :param uniform: draws a number between two others.
    :param new_id: draws an id of up to 32 characters that nobody else has.
    :param thread: makes a thread from its work and its name; the process does not wait for it at its end.
    :param lock: makes a lock.
    :param queue: makes a queue.
    """

    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    uniform: Callable[[float, float], float] = random.uniform
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex
    thread: Callable[[Callable[[], None], str], Thread] = _daemon
    lock: Callable[[], AbstractContextManager[Any]] = threading.Lock
    queue: Callable[[], Queue] = SimpleQueue

    def once_a_second(self, act: Callable[[], None]) -> Callable[[], None]:
        """Return a function that does something, but not if it has done so, or was made, within a second."""
        done_at = self.monotonic()

        def act_if_due() -> None:
            nonlocal done_at
            if self.monotonic() - done_at > 1:
                act()
                done_at = self.monotonic()

        return act_if_due


MACHINE: Final = Machine()
"""The machine that this process really runs on."""
