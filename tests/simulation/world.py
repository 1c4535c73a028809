"""A world of virtual time: events in their order, tasks that wait for them, and hosts with clocks."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final, Protocol

from greenlet import GreenletExit, getcurrent, greenlet

#: The moment of the world's second 0, in seconds since the epoch: 2026-11-24 00:00 in China.
EPOCH: Final = 1_795_449_600.0
#: A world has some thousands.
MOST_EVENTS: Final = 150_000


class Stuck(AssertionError):
    """The world has not come to its end in the time that it was given."""


class Owner(Protocol):
    """Whose a task is; a process that is dead does nothing any more, and a frozen one not yet."""

    is_dead: bool
    is_frozen: bool

    def defer(self, resume: Callable[[], None]) -> None:
        """Keep what is to be done until the process is thawed."""


class Task:
    """A thread of a process, or something else that waits.

    :param work: what it does.
    """

    def __init__(self, world: World, owner: Owner, work: Callable[[], None]) -> None:
        self.owner = owner
        self._world = world
        self.greenlet = greenlet(lambda _: work(), world.hub)

    @property
    def is_over(self) -> bool:
        """Whether its work is done."""
        return bool(self.greenlet.dead)

    def switch(self, value: object) -> None:
        """Let it go on, as soon as its process can."""
        if self.owner.is_dead or self.is_over:
            return
        if self.owner.is_frozen:
            self.owner.defer(lambda: self.switch(value))
            return
        self._world.current = self
        self.greenlet.switch(value)


class Sleeper:
    """A task that waits for something, until somebody wakes it or its time is over."""

    def __init__(self, world: World) -> None:
        if world.current is None or world.is_over:
            raise GreenletExit
        self._world = world
        self._task = world.current
        self._is_woken = False

    def wake(self, value: object = None) -> None:
        """Let the task go on now; only the first call does."""
        if not self._is_woken:
            self._is_woken = True
            self._world.at(self._world.now, lambda: self._task.switch(value))

    def wait(self, seconds: float | None = None) -> Any:
        """Wait; return what :meth:`wake` was given, and None when the time is over."""
        world = self._world
        if seconds is not None:
            world.at(world.now + max(0.0, seconds), self.wake)
        return world.rest()


class World:
    """Events in the order of their moments; nothing happens between them.

    :param keep: whether the story is kept, and not only its digest.
    """

    def __init__(self, *, keep: bool = False) -> None:
        #: Seconds since :data:`EPOCH`, a midnight in China; each clock shows this one, more or less rightly.
        self.now = 0.0
        self.hub = getcurrent()
        self.current: Task | None = None
        self.is_over = False
        self.story: list[str] = []
        self._keep = keep
        self._digest = sha256()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._tasks: list[Task] = []

    @property
    def digest(self) -> str:
        """What tells this course of the world from any other."""
        return self._digest.hexdigest()

    def tell(self, line: str) -> None:
        """Write down what happens."""
        self._digest.update(f"{self.now!r} {line}\n".encode())
        if self._keep:
            days, seconds = divmod(self.now, 86_400)
            at = f"{seconds // 3600:02.0f}:{seconds // 60 % 60:02.0f}:{seconds % 60:06.3f}"
            self.story.append(f"{f'day {days:.0f}, ' if days else ''}{at}  {line}")

    def at(self, moment: float, act: Callable[[], None]) -> None:
        """Let something happen at a moment, behind what was to happen at it before."""
        heapq.heappush(self._events, (moment, next(self._numbers), act))

    def spawn(self, owner: Owner, work: Callable[[], None]) -> Task:
        """Start a task."""
        task = Task(self, owner, work)
        self._tasks.append(task)
        self.at(self.now, lambda: task.switch(None))
        return task

    def rest(self) -> Any:
        """Let the current task wait until something switches to it."""
        if self.is_over:
            raise GreenletExit
        value = self.hub.switch()
        if self.is_over:
            raise GreenletExit
        return value

    def pause(self, seconds: float) -> None:
        """Let the current task wait."""
        Sleeper(self).wait(seconds)

    def run(self, is_done: Callable[[], bool], until: float) -> None:
        """Let happen what is to happen.

        :raises Stuck: when the world is not done until a moment, too much happens, or nothing any more.
        """
        left = MOST_EVENTS
        while not is_done():
            left -= 1
            if not self._events or self._events[0][0] > until or not left:
                raise Stuck(f"not done at {self.now:.1f} s, after {MOST_EVENTS - left} events")
            moment, _, act = heapq.heappop(self._events)
            self.now = max(self.now, moment)
            act()
            self.current = None

    def close(self) -> None:
        """End all tasks; whatever they ask of the world now is refused."""
        self.is_over = True
        self._events.clear()
        for task in self._tasks:
            if not task.is_over:
                task.greenlet.throw(GreenletExit)
        self._tasks.clear()


class Host:
    """A machine with a wall clock, which somebody may set, and a monotonic one.

    :param offset: how many seconds the wall clock is off.
    """

    def __init__(self, world: World, name: str, offset: float = 0.0) -> None:
        self.name = name
        self._world = world
        self._suspended = 0.0
        self._steps = [(float("-inf"), offset)]

    def clock(self) -> float:
        """Return the wall clock, in seconds since the epoch."""
        return EPOCH + self._world.now + self._steps[-1][1]

    def monotonic(self) -> float:
        """Return the clock that nobody sets, and that stands still while the host is suspended."""
        return self._world.now - self._suspended

    def step(self, seconds: float) -> None:
        """Set the wall clock forward, or back."""
        self._world.tell(f"the clock of {self.name} is stepped by {seconds:+.3f} s")
        self._steps.append((self._world.now, self._steps[-1][1] + seconds))

    def was_suspended(self, seconds: float) -> None:
        """Note for how long the monotonic clock stood still."""
        self._suspended += seconds

    def readings(self, moment: float, span: float) -> set[float]:
        """Return what the wall clock said at a moment, by each of its settings in a span before it."""
        ends = [began for began, _ in self._steps[1:]] + [float("inf")]
        return {
            EPOCH + moment + offset
            for (began, offset), ended in zip(self._steps, ends, strict=True)
            if began <= moment and ended >= moment - span
        }

    def stepped_within(self, first: float, last: float) -> bool:
        """Return whether somebody set the wall clock between two moments."""
        return any(first <= moment <= last for moment, _ in self._steps)
