"""The dispatcher: the thread that ticks until a run is over, and the thread that waits for it."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from airflow_provider_caixin.campaign import errors
from airflow_provider_caixin.campaign.answers import Answer
from airflow_provider_caixin.campaign.claiming import Known
from airflow_provider_caixin.campaign.clocks import Clocks
from airflow_provider_caixin.campaign.counts import Outcome
from airflow_provider_caixin.campaign.endings import STOP_WAIT_SECONDS, decide, given_up_after
from airflow_provider_caixin.campaign.health import Health
from airflow_provider_caixin.campaign.lookahead import (
    IDLE_SECONDS,
    JITTER_SECONDS,
    REST_SECONDS,
    tick_seconds,
)
from airflow_provider_caixin.campaign.plan import Hours, Plan
from airflow_provider_caixin.campaign.progress import Progress, ProgressMeter
from airflow_provider_caixin.campaign.senders import Client, Senders
from airflow_provider_caixin.campaign.tick import Due, Tick, TickFailed, TickResult
from airflow_provider_caixin.juhe import NotPosted
from airflow_provider_caixin.ledger import Ledger, LedgerUnavailable
from airflow_provider_caixin.ledger.rows import recipient as recipient_rows
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.vocabulary import SkipReason, State

log = logging.getLogger(__name__)

WATCH_SECONDS: Final = 0.2
ASLEEP_SECONDS: Final = 2.0


class Dispatcher:
    """One process's run of a loaded campaign.

    :param lease: seconds that a claim holds.
    :param senders: how many requests may be out at once.
    :param stop: set from outside when the process is to end within four seconds.
    :param note: told in the dispatcher's thread what each transaction brought about.
    """

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        client: Client,
        *,
        campaign_key: int,
        lease: float,
        senders: int,
        stop: threading.Event,
        note: Callable[[Counter[Outcome]], None],
    ) -> None:
        # Set here and never again.
        self._ledger = ledger
        self._campaign_key = campaign_key
        self._machine = machine = ledger.machine
        self._lease = lease
        self._stop = stop
        self._note = note
        self._id = machine.new_id()
        self._clocks = Clocks(machine)
        self._tick = Tick(ledger, campaign_key, plan, self._clocks, lease)
        self._senders = Senders(
            client, plan.tpl_id, self._may_post, machine, rate=plan.rate, timeout=plan.timeout, most=senders
        )
        self._thread = machine.thread(self._dispatch, "caixin-dispatcher")

        # The dispatcher's thread only.
        self._health = Health(plan)
        self._known = Known(may_resend=plan.on_unknown == "resend")
        self._ticks = 0
        self._stopped_at: float | None = None
        self._ledger_failed_at: float | None = None

        # Written by the dispatcher's thread, read by the senders: when messages may leave, what ends the run.
        self._hours = Hours(plan)
        self._ending: errors.CampaignError | None = None
        # Written by the dispatcher's thread, read by the waiting one: what the last tick saw, since when the
        # ledger is asked (None: it is not), and how the thread ended.
        self._seen: TickResult | None = None
        self._asked_at: float | None = None
        self._error: BaseException | None = None

        # Written by the waiting thread, read by all: why nobody waits for the dispatcher any more.
        self._given_up: errors.CampaignError | None = None
        # The waiting thread only.
        self._awake_since = 0.0
        self._meter = ProgressMeter()

    # ------------------------------------------------------------------ the thread that waits

    def run(self, on_progress: Callable[[Progress], None] | None, every: float = 1.0) -> None:
        """Send until everything is settled; the calling thread only waits, so that signals reach it.

        :param on_progress: called in the calling thread, about once every ``every`` seconds.
        :raises CampaignError: when the run ends otherwise.
        """
        self._thread.start()
        told = self._machine.monotonic()
        try:
            while self._thread.is_alive():
                self._wait(min(every, WATCH_SECONDS))
                self._give_up_if_silent()
                now, seen = self._machine.monotonic(), self._seen
                if on_progress and seen and now - told >= every:
                    told = now
                    on_progress(self._meter.read(seen.counts, now))
        except errors.CampaignError:
            # The dispatcher waits for a ledger that is silent; nobody waits for it.
            raise
        except BaseException:
            # A time-out of the task arrives as an exception in this thread: settle what is out first.
            self._stop.set()
            self._thread.join(STOP_WAIT_SECONDS + 1)
            raise
        if on_progress and self._seen:
            on_progress(self._meter.read(self._seen.counts, self._machine.monotonic()))
        if self._error is not None:
            raise self._error

    def _wait(self, seconds: float) -> None:
        began = self._machine.monotonic()
        self._thread.join(seconds)
        now = self._machine.monotonic()
        if now - began > seconds + ASLEEP_SECONDS:
            # This process was suspended: the ledger may have answered, and nobody was there to hear it.
            self._awake_since = now

    def _give_up_if_silent(self) -> None:
        """Leave a dispatcher behind that waits for a ledger which neither answers nor fails.

        :raises CampaignError: when it has been so for a lease, or since this run was told to stop.
        """
        if (asked_at := self._asked_at) is None:
            return
        silent = self._machine.monotonic() - max(asked_at, self._awake_since)
        given_up = given_up_after(silent, self._lease, is_told_to_stop=self._stop.is_set())
        if given_up is not None:
            self._given_up = given_up
            if self._thread.is_alive():
                raise given_up

    # ------------------------------------------------------------------ the dispatcher's thread

    def _dispatch(self) -> None:
        try:
            self._prepare()
            while not self._step():
                pass
            # Not what has been given up since: where nothing was left to do, the run ended well.
            if self._ending is not None:
                raise self._ending
        except LedgerUnavailable as error:
            self._error = errors.CampaignInterrupted(str(error))
        except BaseException as error:  # noqa: BLE001  # handed to the thread that waits
            self._error = error
        finally:
            self._senders.close()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Note since when the ledger is asked, for the thread that waits."""
        self._asked_at = self._machine.monotonic()
        try:
            yield
        finally:
            self._asked_at = None

    def _prepare(self) -> None:
        with self._asking(), self._ledger.reading() as connection:
            row = CampaignRow.read(connection, self._campaign_key)
        self._health.quota_before = row.quota_since is not None
        plan = self._hours.plan
        self._hours = Hours(plan, plan.expiry(row.loaded_at or row.created_at))

    def _step(self) -> bool:
        """Run a tick, carry out what it leads to and rest; return whether the run is over."""
        began = self._machine.monotonic()
        self._look_at_stop()
        seen, seconds = self._run_tick(), IDLE_SECONDS
        if seen is not None:
            ending, is_out, stop = self._ends_with(), bool(self._senders.out), self._stop.is_set()
            moments = self._clocks.moments()
            decision = decide(seen, self._hours, moments, ending=ending, is_out=is_out, is_told_to_stop=stop)
            self._ending = decision.ending
            if decision.skip is not None:
                self._skip_rest(decision.skip)
            if decision.is_over:
                return True
            seconds = tick_seconds(
                busy=bool(seen.claim.jobs or seen.settlements or self._senders.out),
                slot_in=seen.claim.slot_in,
                jitter=self._machine.uniform(-JITTER_SECONDS, JITTER_SECONDS),
            )
        self._machine.sleep(max(REST_SECONDS, began + seconds - self._machine.monotonic()))
        return False

    def _look_at_stop(self) -> None:
        """Notice the stop event; what is out for long after it is answered for."""
        if self._stop.is_set() and self._stopped_at is None:
            self._stopped_at = self._machine.monotonic()
            self._ending = errors.CampaignStopped(
                "The task was told to stop; what was not sent stays pending."
            )
        if self._stop_is_due():
            self._senders.give_up()

    def _run_tick(self) -> TickResult | None:
        """Run one transaction, and hand out what it claimed; None: the ledger did not answer."""
        self._ticks += 1
        due = Due(
            mark=f"{self._id}-{self._ticks}",
            answers=tuple(self._senders.answers),
            free=self._senders.free,
            hours=self._hours,
            is_held=self._is_held,
            known=self._known,
        )
        try:
            with self._asking():
                seen = self._tick.run(due)
        except TickFailed as failed:
            # Whether the commit took place is not known; never posted, its claims are given back.
            lost = NotPosted("the ledger did not answer")
            self._senders.answers.extend(Answer(job, lost) for job in failed.jobs)
            self._end(self._clocks.ending())
            self._bear_silence(failed)
            return None
        self._ledger_failed_at = None
        self._end(self._clocks.ending())
        self._note(seen.outcomes)
        self._senders.settled(due.answers)
        self._senders.submit(seen.claim.jobs)
        now, wall = self._machine.monotonic(), self._machine.clock()
        for answer, settled in zip(due.answers, seen.settlements, strict=True):
            self._end(self._health.learn(answer, settled, seen.slowest_for, now, wall))
        self._known, self._seen = seen.claim.known, seen
        return seen

    def _bear_silence(self, failed: TickFailed) -> None:
        now = self._machine.monotonic()
        if self._ledger_failed_at is None:
            self._ledger_failed_at = now
            log.warning("%s Sending stops until it does; answers are kept.", failed)
        if self._stop_is_due() or now - self._ledger_failed_at >= self._lease:
            raise errors.CampaignInterrupted(
                f"{failed} Requests whose answers could not be recorded become unknown when their leases run out."
            )

    def _stop_is_due(self) -> bool:
        """Return whether answers have been awaited for long enough since the run was told to stop."""
        stopped_at = self._stopped_at
        return stopped_at is not None and self._machine.monotonic() - stopped_at >= STOP_WAIT_SECONDS

    def _end(self, ending: errors.CampaignError | None) -> None:
        """Let the run end, unless something else ends it already."""
        self._ending = self._ending or ending

    def _ends_with(self) -> errors.CampaignError | None:
        return self._given_up or self._ending

    def _is_held(self) -> bool:
        return self._is_ending() or self._health.is_backing_off(self._machine.monotonic())

    def _skip_rest(self, reason: SkipReason) -> None:
        skipped = recipient_rows.BATCH_ROWS
        while skipped == recipient_rows.BATCH_ROWS:
            with self._asking():
                skipped = recipient_rows.skip_batch(self._ledger, self._campaign_key, reason)
            self._note(Counter({(State.SKIPPED, reason.value): skipped}))

    # ------------------------------------------------------------------ the senders' threads

    def _is_ending(self) -> bool:
        return self._stop.is_set() or self._ends_with() is not None

    def _may_post(self) -> bool:
        """Return whether a request may leave this moment."""
        clocks = self._clocks
        return not self._is_ending() and clocks.are_near and self._hours.may_post(clocks.moments())
