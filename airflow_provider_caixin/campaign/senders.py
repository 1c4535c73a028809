"""The threads that post: each takes a job, connects, waits for its slot, looks once more and writes."""

from __future__ import annotations

import logging
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from airflow_provider_caixin.campaign.answers import Answer, Job, NotAwaited, PostResult
from airflow_provider_caixin.juhe import CaixinError, NotPosted, OutcomeUnknown
from airflow_provider_caixin.machine import Machine

log = logging.getLogger(__name__)

LATE_SECONDS: Final = 0.02
CLOCK_STEP_SECONDS: Final = 1.0
STALL_SECONDS: Final = 0.005
# After a stall what is late follows at no more than so many times the rate.
CATCH_UP: Final = 1.01


class Client(Protocol):
    """What the loop asks of the gateway's client; :class:`.JuheClient` is one."""

    def warm(self) -> None:
        """Reserve a connection that stands for this thread."""

    def release(self) -> None:
        """Return the reserved connection unused."""

    def send(self, tpl_id: int, mobile: str, *, last_look: Callable[[], bool] | None = None) -> str:
        """Post one message and return its sid."""


class Senders:
    """Threads that post claimed recipients at their slots.

    They are daemons: a process that was told to stop does not wait for an answer that is late.

    :param may_post: asked, in the senders' threads, right before a request is written; False gives the
        recipient back.
    :param rate: messages a second; after a stall what is late follows at no more than 1 % above it, because a
        second in which it all left at once would break the gateway's limit.
    :param timeout: seconds that an answer may take; a claim whose lease ends before twice that is not posted.
    :param most: how many threads at the most; they are started when they are needed.
    """

    def __init__(
        self,
        client: Client,
        tpl_id: int,
        may_post: Callable[[], bool],
        machine: Machine,
        *,
        rate: float,
        timeout: float,
        most: int,
    ) -> None:
        # Set here and never again.
        self._client = client
        self._tpl_id = tpl_id
        self._may_post = may_post
        self._machine = machine
        self._gap = 1 / (CATCH_UP * rate)
        # Half a gap more or less between the few messages of a low rate breaks no limit, and a connection
        # that is made anew for each of them has the time that it takes.
        self._late = max(LATE_SECONDS, 0.5 / rate)
        self._timeout = timeout
        self._most = most
        # Put by the dispatcher's thread, taken by the senders.
        self._jobs = machine.queue()
        # Appended by the senders and by the dispatcher's thread, which alone takes them.
        self.answers: deque[Answer] = deque()
        # Written and read by the senders, one at a time.
        self._pace = machine.lock()
        self._next_post = 0.0
        # The dispatcher's thread only.
        self._threads = 0
        self._out: dict[int, Job] = {}

    @property
    def free(self) -> int:
        """How many more jobs can be taken."""
        return self._most - len(self._out)

    @property
    def out(self) -> list[Job]:
        """The jobs whose answer is not settled yet."""
        return list(self._out.values())

    def submit(self, jobs: Iterable[Job]) -> None:
        """Hand out claimed recipients, which have been recorded."""
        for job in jobs:
            self._out[job.id] = job
            self._jobs.put(job)
        while self._threads < min(self._most, len(self._out)):
            self._threads += 1
            self._machine.thread(self._work, f"caixin-sender-{self._threads}").start()

    def settled(self, answers: Iterable[Answer]) -> None:
        """Forget answers that are in the ledger now.

        :param answers: the first of :attr:`answers`.
        """
        for answer in answers:
            self.answers.popleft()
            if self._out.get(answer.job.id) is answer.job:
                del self._out[answer.job.id]

    def give_up(self) -> None:
        """Answer for the jobs that have no answer yet, because the process ends."""
        answered = {answer.job.id for answer in list(self.answers)}
        ended = NotAwaited("the process was stopped before the answer")
        self.answers.extend(Answer(job, ended) for job in self.out if job.id not in answered)

    def close(self) -> None:
        """Let the threads end when they have no job left."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self.answers.append(Answer(job, self._post(job)))

    def _post(self, job: Job) -> PostResult:
        def last_look() -> bool:
            now, wall = self._machine.monotonic(), self._machine.clock()
            return is_in_time(job, now, wall, late=self._late, timeout=self._timeout) and self._may_post()

        try:
            self._client.warm()
            if not self._wait_for(job.slot) or not last_look():
                self._client.release()
                return NotPosted("the slot had passed")
            return self._client.send(self._tpl_id, job.number, last_look=last_look)
        except CaixinError as error:
            return error
        except Exception as error:  # noqa: BLE001  # a defect must not end the thread
            # A defect must not make a request that may have gone out one that is repeated. The trace is
            # logged without the exception's text, which may hold what was sent.
            trace = "".join(traceback.format_tb(error.__traceback__))
            log.error("A sender failed; its message counts as unknown: %s\n%s", type(error).__name__, trace)  # noqa: TRY400
            return OutcomeUnknown(f"unexpected {type(error).__name__}")

    def _wait_for(self, slot: float) -> bool:
        """Wait for a place among this process's requests, at the slot or soon after; False: none in time."""
        while True:
            with self._pace:
                now = self._machine.monotonic()
                at = max(slot, self._next_post, now)
                if at - slot > self._late:
                    return False
                self._next_post = at + self._gap
            self._machine.sleep(at - now)
            # Threads that a stall woke together would leave together.
            if self._machine.monotonic() - at <= STALL_SECONDS:
                return True


def is_in_time(job: Job, now: float, wall: float, *, late: float, timeout: float) -> bool:
    """Return whether a request may still be written: its slot has not passed, and its claim lasts.

    :param now: the monotonic clock.
    :param wall: the host's wall clock.
    :param late: how many seconds after its slot a request may leave.
    """
    # A machine that was suspended stops the monotonic clock but not the wall clock.
    was_suspended = wall - now - job.drift >= CLOCK_STEP_SECONDS
    return now - job.slot <= late and job.lease - now >= 2 * timeout and not was_suspended
