"""The pool of threads that post: each takes a job, connects, waits for its slot, looks once more and writes."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final, Protocol

from airflow_provider_caixin.campaign.answers import Answer, Job, NotAwaited
from airflow_provider_caixin.juhe import CaixinError, NotPosted, OutcomeUnknown

log = logging.getLogger(__name__)

LATE: Final = 0.02
CLOCK_STEP: Final = 1.0
CATCH_UP: Final = 1.01
STALL: Final = 0.005


class Client(Protocol):
    """What the loop asks of the gateway's client; :class:`~airflow_provider_caixin.juhe.JuheClient` is one."""

    def warm(self) -> None:
        """Reserve a connection that stands for this thread."""

    def release(self) -> None:
        """Give the reserved connection back unused."""

    def send(self, tpl_id: int, mobile: str, *, last_look: Callable[[], bool] | None = None) -> str:
        """Post one message and return its sid."""


class Senders:
    """
    Threads that post claimed recipients at their slots.

    They are daemons: a process that was told to stop does not wait for an answer that is late.

    :param client: the gateway's client.
    :param tpl_id: the template.
    :param may_post: asked right before a request is written; False gives the recipient back.
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
        *,
        rate: float,
        timeout: float,
        most: int,
    ) -> None:
        self._client = client
        self._tpl_id = tpl_id
        self._may_post = may_post
        self._gap = 1 / (CATCH_UP * rate)
        # Half a gap more or less between the few messages of a low rate breaks no limit, and a connection that is
        # made anew for each of them has the time that it takes.
        self._late = max(LATE, 0.5 / rate)
        self._next_post = 0.0
        self._pace = threading.Lock()
        self._timeout = timeout
        self._most = most
        self._threads = 0
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._out: dict[int, Job] = {}
        self.answers: deque[Answer] = deque()

    @property
    def free(self) -> int:
        """How many more jobs can be taken."""
        return self._most - len(self._out)

    @property
    def out(self) -> list[Job]:
        """The jobs whose answer is not settled yet."""
        return list(self._out.values())

    def submit(self, jobs: list[Job]) -> None:
        """
        Hand jobs out; they have been recorded.

        :param jobs: claimed recipients.
        """
        for job in jobs:
            self._out[job.id] = job
            self._jobs.put(job)
        while self._threads < min(self._most, len(self._out)):
            self._threads += 1
            threading.Thread(target=self._work, name=f"caixin-sender-{self._threads}", daemon=True).start()

    def settled(self, answers: list[Answer]) -> None:
        """
        Forget answers that are in the ledger now.

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

    def _post(self, job: Job) -> str | CaixinError:
        def last_look() -> bool:
            now = time.monotonic()
            return (
                now - job.slot <= self._late
                and job.lease - now >= 2 * self._timeout
                # A machine that was suspended stops the monotonic clock but not the wall clock.
                and time.time() - now - job.drift < CLOCK_STEP
                and self._may_post()
            )

        try:
            self._client.warm()
            if not self._wait_for(job.slot) or not last_look():
                self._client.release()
                return NotPosted("the slot had passed")
            return self._client.send(self._tpl_id, job.number, last_look=last_look)
        except CaixinError as error:
            return error
        except Exception as error:  # noqa: BLE001  # a defect must not end the thread
            # A defect must not make a request that may have gone out one that is repeated. The trace is logged
            # without the exception's text, which may hold what was sent.
            trace = "".join(traceback.format_tb(error.__traceback__))
            log.error("A sender failed; its message counts as unknown: %s\n%s", type(error).__name__, trace)  # noqa: TRY400
            return OutcomeUnknown(f"unexpected {type(error).__name__}")

    def _wait_for(self, slot: float) -> bool:
        """Wait for a place among this process's requests, at the slot or soon after; False: there is none in time."""
        while True:
            with self._pace:
                now = time.monotonic()
                at = max(slot, self._next_post, now)
                if at - slot > self._late:
                    return False
                self._next_post = at + self._gap
            time.sleep(at - now)
            # Threads that a stall woke together would leave together.
            if time.monotonic() - at <= STALL:
                return True
