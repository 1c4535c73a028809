"""Processes: their threads, locks and queues, and where they die, freeze or lose a connection."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Literal

from greenlet import GreenletExit

from airflow_provider_caixin.machine import Machine
from tests.simulation.world import Host, Sleeper, Task, World

POINTS: Final = (
    "read",  # before a transaction that reads
    "begin",  # before a transaction that writes
    "body",  # within it, before its commit
    "commit",  # the commit is done, its answer is not there yet
    "done",  # after the transaction
    "batch",  # before each batch of a load, and around it its transaction's points
    "write",  # between the last look and the write of a request
    "answer",  # between the answer and its settlement
)
"""Where a process may be struck."""

Kind = Literal["die", "freeze", "lose"]


@dataclass(frozen=True)
class Fault:
    """What strikes a process.

    :param point: one of :data:`POINTS`.
    :param nth: the how manieth time that the process is there.
    :param kind: it dies, it is suspended, or its connection breaks.
    :param seconds: for how long it is suspended.
    """

    point: str
    nth: int
    kind: Kind
    seconds: float = 0.0


class ConnectionLost(Exception):
    """The connection of a process broke where it stands."""


class Process:
    """A process on a host: one attempt of a task, or somebody at a page.

    :param name: its own.
    :param seed: what its machine's chance is drawn from.
    :param faults: what strikes it.
    :param flaky: at which share of its points a connection breaks besides.
    """

    def __init__(
        self,
        world: World,
        host: Host,
        name: str,
        seed: str,
        faults: Iterable[Fault] = (),
        flaky: float = 0.0,
    ) -> None:
        self.world, self.host, self.name = world, host, name
        self.is_dead = self.is_frozen = False
        #: When it was suspended for the last time, and until when.
        self.frozen_until = float("-inf")
        #: How often it was at each point.
        self.visits: Counter[str] = Counter()
        #: What the operating system does when it is no more.
        self.at_end: list[Callable[[], None]] = []
        #: Called when it was killed.
        self.killed: Callable[[], None] = lambda: None
        #: Whether what it has in the air may be unknown for that: it was killed, suspended or stopped.
        self.is_struck = False
        #: The ids that it drew: its claims begin with one of them.
        self.ids: set[str] = set()
        #: How many threads it has begun.
        self.threads = 0
        self.chance = Random(f"{seed}/{name}")
        self._flaky = flaky
        self._faults = {(fault.point, fault.nth): fault for fault in faults}
        self._deferred: list[Callable[[], None]] = []
        self.machine = Machine(
            clock=host.clock,
            monotonic=host.monotonic,
            sleep=self._sleep,
            uniform=self.chance.uniform,
            new_id=self._new_id,
            thread=lambda work, _: Thread(self, work),
            lock=lambda: Lock(world),
            queue=lambda: Queue(self),
        )

    def tell(self, line: str) -> None:
        """Write down what it does."""
        self.world.tell(f"{self.name}: {line}")

    def point(self, name: str) -> None:
        """Be struck here, if something is to strike.

        :raises ConnectionLost: when the connection breaks.
        """
        if self.world.is_over:
            raise GreenletExit
        self.visits[name] += 1
        fault = self._faults.pop((name, self.visits[name]), None)
        if fault is None and self._flaky and self.chance.random() < self._flaky:
            fault = Fault(name, self.visits[name], "lose")
        if fault is None:
            return
        if fault.kind == "lose":
            self.tell(f"loses its connection at {name} {fault.nth}")
            raise ConnectionLost
        if fault.kind == "die":
            self.die(f"at {name} {fault.nth}")
            self.world.rest()
        self.freeze(fault.seconds, f"at {name} {fault.nth}")
        self.world.pause(0)

    def die(self, where: str) -> None:
        """Be killed: nothing of its code runs any more."""
        if not self.is_dead:
            self.tell(f"is killed {where}")
            self.is_struck = True
            self.leave()
            self.killed()

    def leave(self) -> None:
        """Be no more: the threads end, and the operating system closes what is open."""
        if not self.is_dead:
            self.is_dead = True
            for act in self.at_end:
                act()

    def freeze(self, seconds: float, where: str = "") -> None:
        """Be suspended for a while."""
        if self.is_dead or self.is_frozen:
            return
        self.tell(f"is suspended for {seconds:.3f} s {where}")
        self.is_struck = True
        self.is_frozen, self.frozen_until = True, self.world.now + seconds
        self.world.at(self.frozen_until, self._thaw)

    def defer(self, resume: Callable[[], None]) -> None:
        """Keep what is to be done until the process is thawed."""
        self._deferred.append(resume)

    def _thaw(self) -> None:
        self.is_frozen = False
        if self.is_dead:
            return
        self.tell("goes on")
        deferred, self._deferred = self._deferred, []
        for resume in deferred:
            self.world.at(self.world.now, resume)

    def _new_id(self) -> str:
        drawn = f"{self.chance.getrandbits(128):032x}"
        self.ids.add(drawn)
        return drawn

    def _sleep(self, seconds: float) -> None:
        # A thread wakes a little late, and now and then much too late.
        late = self.chance.random()
        late = 0.001 * late if late < 0.99 else self.chance.uniform(0.005, 0.08)
        self.world.pause(seconds + late)


class Thread:
    """A thread of a process."""

    def __init__(self, process: Process, work: Callable[[], None]) -> None:
        self._process = process
        self._work = work
        self._task: Task | None = None
        self._joining: list[Sleeper] = []

    def start(self) -> None:
        """Let it begin."""
        self._process.threads += 1
        self._task = self._process.world.spawn(self._process, self._run)

    def is_alive(self) -> bool:
        """Return whether it has begun and not ended."""
        return self._task is not None and not self._task.is_over

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        if self.is_alive():
            sleeper = Sleeper(self._process.world)
            self._joining.append(sleeper)
            sleeper.wait(timeout)

    def _run(self) -> None:
        self._work()
        for sleeper in self._joining:
            sleeper.wake()


class Queue:
    """A queue between the threads of a process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._items: deque[Any] = deque()
        self._waiting: deque[Sleeper] = deque()

    def put(self, item: Any) -> None:
        """Add an item."""
        self._items.append(item)
        if self._waiting:
            self._waiting.popleft().wake()

    def get(self) -> Any:
        """Take the oldest item; wait for one."""
        while not self._items:
            sleeper = Sleeper(self._process.world)
            self._waiting.append(sleeper)
            sleeper.wait()
        return self._items.popleft()


class Lock:
    """A lock between tasks."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._is_held = False
        self._waiting: deque[Sleeper] = deque()

    def __enter__(self) -> None:
        while self._is_held:
            sleeper = Sleeper(self._world)
            self._waiting.append(sleeper)
            sleeper.wait()
        self._is_held = True

    def __exit__(self, *_: object) -> None:
        self._is_held = False
        if self._waiting:
            self._waiting.popleft().wake()
