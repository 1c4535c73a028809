"""The loop: one short transaction a tick hands out slots, settles answers and claims recipients."""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy.engine import Connection

from airflow_provider_caixin.campaign.answers import Answer, Job, is_channel_failure, settlement
from airflow_provider_caixin.campaign.clocks import Clocks
from airflow_provider_caixin.campaign.counts import Outcome, Progress
from airflow_provider_caixin.campaign.errors import (
    CampaignCancelled,
    CampaignError,
    CampaignFatal,
    CampaignInterrupted,
    CampaignPaused,
    CampaignStopped,
    DayVolumeUsedUp,
    LedgerSilent,
    OutsideWindow,
    StoppedInSilence,
)
from airflow_provider_caixin.campaign.health import Health
from airflow_provider_caixin.campaign.judge import judge
from airflow_provider_caixin.campaign.lookahead import REST_SECONDS, TICK_SECONDS, lead_of, learned, reach_of
from airflow_provider_caixin.campaign.plan import Plan
from airflow_provider_caixin.campaign.senders import Client, Senders
from airflow_provider_caixin.china_time import DAY_SECONDS, china_midnight
from airflow_provider_caixin.juhe import NotPosted, QuotaExceeded, RateLimited
from airflow_provider_caixin.ledger import Ledger, LedgerUnavailable
from airflow_provider_caixin.ledger.queue import claim as claims
from airflow_provider_caixin.ledger.queue import draw as drawing
from airflow_provider_caixin.ledger.queue import settle
from airflow_provider_caixin.ledger.queue.pacer import Pacer
from airflow_provider_caixin.ledger.queue.settle import Settlement
from airflow_provider_caixin.ledger.rows import recipient as recipient_rows
from airflow_provider_caixin.ledger.rows.account import AccountRow
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.rows.load import visible_ranges
from airflow_provider_caixin.rules.window import OPENING_GUARD_SECONDS
from airflow_provider_caixin.vocabulary import SkipReason, State

log = logging.getLogger(__name__)

# A tick is so much longer or shorter by chance: in step with another run, one of the two would find few slots for long.
SPREAD: Final = 0.01
IDLE: Final = 0.25
LOOKED_AT: Final = 2_000
STOP_WAIT: Final = 3.0
RESEND_AFTER: Final = 600.0
RATE_SPAN: Final = 10.0
DOUBTS_EVERY: Final = 10.0
LOOK: Final = 0.2
ASLEEP: Final = 2.0
# What opens in so many seconds is waited for: the two guards of midnight, and what the clocks may be apart.
SOON: Final = 60.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a tick saw of the ledger when it committed."""

    now: float
    counts: dict[State, int]
    paused: bool
    cancelled: bool
    over_budget: bool
    volume: int | None
    volume_used: bool
    slowest_for: float


class Dispatcher:
    """
    One process's run of a loaded campaign.

    :param plan: the rules of this run.
    :param ledger: the ledger.
    :param client: the gateway's client.
    :param campaign: the campaign's key.
    :param clock: the host's clock, for window and expiry.
    :param lease: seconds that a claim holds.
    :param senders: how many requests may be out at once.
    :param stop: set from outside when the process is to end within four seconds.
    :param outcomes: what this process brought about is added to it.
    """

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        client: Client,
        *,
        campaign: int,
        clock: Callable[[], float],
        lease: float,
        senders: int,
        stop: threading.Event,
        outcomes: Counter[Outcome],
    ) -> None:
        self._plan = plan
        self._ledger = ledger
        self._campaign = campaign
        self._clock = clock
        self._clocks = Clocks(clock)
        self._lease = lease
        self._stop = stop
        self._outcomes = outcomes
        # Of the transaction that runs, which may yet fail.
        self._tick_outcomes: Counter[Outcome] = Counter()
        self._senders = Senders(
            client, plan.tpl_id, self._may_post, rate=plan.rate, timeout=plan.timeout, most=senders
        )
        self._id = uuid.uuid4().hex
        self._ticks = 0
        self._seen: Seen | None = None
        self._ending: CampaignError | None = None
        self._stopped_at: float | None = None
        self._ledger_failed_at: float | None = None
        self._asked_at: float | None = None
        self._awake_since = 0.0
        self._health = Health(plan, clock)
        self._expires: float | None = None
        self._lead = 0.0
        # As this run left it.
        self._next_slot = 0.0
        # How long it is until the next slot comes into reach; of no meaning where a tick took some.
        self._slot_in = IDLE
        self._doubts_left = plan.on_unknown == "resend"
        self._doubts_at = 0.0
        self._rates: deque[tuple[float, int]] = deque()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._dispatch, name="caixin-dispatcher", daemon=True)

    def run(self, on_progress: Callable[[Progress], None] | None, every: float = 1.0) -> None:
        """
        Send until everything is settled; the calling thread only waits, so that signals reach it.

        :param on_progress: called in the calling thread, about once every ``every`` seconds.
        :param every: seconds.
        :raises CampaignError: when the run ends otherwise.
        """
        self._thread.start()
        told = time.monotonic()
        try:
            while self._thread.is_alive():
                self._wait(min(every, LOOK))
                self._give_up_if_silent()
                if on_progress and time.monotonic() - told >= every and (progress := self._progress()):
                    told = time.monotonic()
                    on_progress(progress)
        except CampaignError:
            # The dispatcher waits for a ledger that is silent; nobody waits for it.
            raise
        except BaseException:
            # A time-out of the task arrives as an exception in this thread: settle what is out before it goes on.
            self._stop.set()
            self._thread.join(STOP_WAIT + 1)
            raise
        if on_progress and (progress := self._progress()):
            on_progress(progress)
        if self._error is not None:
            raise self._error

    def _wait(self, seconds: float) -> None:
        began = time.monotonic()
        self._thread.join(seconds)
        now = time.monotonic()
        if now - began > seconds + ASLEEP:
            # This process was suspended: the ledger may have answered long ago, and nobody was there to hear it.
            self._awake_since = now

    def _give_up_if_silent(self) -> None:
        """
        Leave a dispatcher behind that waits for a ledger which neither answers nor fails.

        :raises CampaignError: when it has been so for a lease, or since this run was told to stop.
        """
        asked_at = self._asked_at
        if asked_at is None:
            return
        silent = time.monotonic() - max(asked_at, self._awake_since)
        if self._stop.is_set() and silent > STOP_WAIT:
            self._end(
                StoppedInSilence("The task was told to stop while the ledger did not answer."), force=True
            )
        elif silent > self._lease:
            self._end(LedgerSilent(f"The ledger has not answered for {silent:.0f} s."), force=True)
        else:
            return
        if self._ending is not None and self._thread.is_alive():
            raise self._ending

    # ------------------------------------------------------------------ the dispatcher's thread

    def _dispatch(self) -> None:
        try:
            self._prepare()
            while True:
                began = time.monotonic()
                pause = self._tick()
                if self._is_over():
                    break
                time.sleep(max(REST_SECONDS, began + pause - time.monotonic()))
            if self._ending is not None:
                raise self._ending
        except LedgerUnavailable as error:
            self._error = CampaignInterrupted(str(error))
        except BaseException as error:  # noqa: BLE001  # handed to the thread that waits
            self._error = error
        finally:
            self._senders.close()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Note since when the ledger is asked, for the thread that waits."""
        self._asked_at = time.monotonic()
        try:
            yield
        finally:
            self._asked_at = None

    def _prepare(self) -> None:
        with self._asking(), self._ledger.reading() as connection:
            row = CampaignRow.read(connection, self._campaign)
        self._health.quota_before = row.quota_since is not None
        self._expires = self._plan.expiry(row.loaded_at or row.created_at)

    def _tick(self) -> float:
        """Run one transaction; return how long after its beginning the next one is due, in seconds."""
        self._look_around()
        self._slot_in = IDLE
        answers = list(self._senders.answers)
        settlements: list[Settlement] = []
        jobs: list[Job] = []
        try:
            with self._asking():
                seen = self._transact(answers, settlements, jobs)
        except LedgerUnavailable as error:
            # Whether the commit took place is not known: these claims were never posted, so they are given back.
            self._senders.answers.extend(Answer(job, NotPosted("the ledger did not answer")) for job in jobs)
            self._ledger_failed(error)
            return IDLE
        self._ledger_failed_at = None
        self._outcomes.update(self._tick_outcomes)
        self._senders.settled(answers)
        self._senders.submit(jobs)
        for answer, settled in zip(answers, settlements, strict=True):
            self._end(self._health.learn(answer, settled, seen.slowest_for))
        self._seen = seen
        busy = jobs or self._senders.out or answers
        return (
            random.uniform(TICK_SECONDS - SPREAD, TICK_SECONDS + SPREAD)  # noqa: S311
            if busy
            else max(TICK_SECONDS, min(IDLE, self._slot_in))
        )

    def _look_around(self) -> None:
        """Notice the stop event; what is out for long after it is answered for."""
        if self._stop.is_set() and self._stopped_at is None:
            self._stopped_at = time.monotonic()
            self._end(
                CampaignStopped("The task was told to stop; what was not sent stays pending."), force=True
            )
        if self._stop_is_due():
            self._senders.give_up()

    def _transact(self, answers: list[Answer], settlements: list[Settlement], jobs: list[Job]) -> Seen:
        self._ticks += 1
        self._tick_outcomes.clear()
        with self._ledger.writing() as connection:
            account = AccountRow.of(connection, self._campaign)
            pacer = Pacer(account)
            row = CampaignRow.lock(connection, self._campaign)
            read_at = time.monotonic()
            now = self._clocks.read(partial(self._ledger.now, connection))
            apart = self._clocks.ending()
            self._end(apart)
            # By a clock that may be a day off no day begins and no lease runs out: what was answered is all that is known.
            if apart is None:
                row.active_at = now
                account.begin_day(china_midnight(now))
            settlements += self._settle(connection, account, row, answers, now)
            if apart is None:
                self._tick_outcomes[State.UNKNOWN, ""] += recipient_rows.expire_leases(connection, row, now)
                pacer.speed_up(now)
            stopped = row.paused or row.cancelled or account.paused
            used = row.counts[State.SENT] + row.counts[State.UNKNOWN]
            over_budget = self._plan.max_messages is not None and used >= self._plan.max_messages
            if not stopped and apart is None and self._may_claim():
                jobs += self._claim(connection, account, row, now, read_at)
            volume = self._volume(account)
            seen = Seen(
                now=now,
                counts=dict(row.counts),
                paused=row.paused or account.paused,
                cancelled=row.cancelled,
                over_budget=over_budget,
                volume=volume,
                volume_used=volume is not None and account.day_count >= volume,
                slowest_for=now - account.slowest_since if account.slowest_since is not None else 0.0,
            )
            row.save(connection)
            account.save(connection)
        if jobs:
            self._lead = learned(self._lead, time.monotonic() - read_at)
        return seen

    def _settle(
        self, connection: Connection, account: AccountRow, row: CampaignRow, answers: list[Answer], now: float
    ) -> list[Settlement]:
        pacer = Pacer(account)
        settlements: list[Settlement] = []
        for answer in answers:
            outcome = answer.outcome
            settled = settlement(answer, now, account.last_sent_at)
            settlements.append(settled)
            if settled.state is not State.PENDING:
                code = str(settled.code) if settled.state is State.REJECTED else ""
                self._tick_outcomes[settled.state, code] += 1
            if isinstance(outcome, str):
                pacer.got_through(now)
                row.quota_since = None
            elif is_channel_failure(outcome):
                pacer.channel_failed()
            if isinstance(outcome, RateLimited):
                pacer.slow_down(now)
            if isinstance(outcome, QuotaExceeded) and row.quota_since is None:
                row.quota_since = now
        if settlements:
            settle.write_settlements(connection, account, row, settlements)
        return settlements

    def _may_claim(self) -> bool:
        return self._ending is None and not self._health.is_backing_off() and self._may_post()

    def _may_post(self, within: float = 0.0) -> bool:
        """Look at everything that can forbid a request from one moment to the next, or within some seconds."""
        if self._stop.is_set() or self._ending is not None:
            return False
        moments = self._clocks.moments()
        if self._expires is not None and moments[0] >= self._expires:
            return False
        return self._seconds_to_post(*moments) <= within

    def _seconds_to_post(self, host: float, ledger: float) -> float:
        """Reckon how long until both clocks let a request leave, and name the same China day: caps and volume are that day's."""
        wait = max(self._plan.seconds_to_post(host), self._plan.seconds_to_post(ledger))
        if china_midnight(host) == china_midnight(ledger):
            return wait
        behind = min(host, ledger)
        return max(wait, china_midnight(behind) + DAY_SECONDS + OPENING_GUARD_SECONDS - behind)

    def _claim(
        self, connection: Connection, account: AccountRow, row: CampaignRow, now: float, read_at: float
    ) -> list[Job]:
        plan = self._plan
        pacer = Pacer(account)
        rate = pacer.rate(plan.rate)
        most = self._senders.free
        volume = self._volume(account)
        if volume is not None:
            most = min(most, volume - account.day_count)
        reach = reach_of(self._lead)
        slots = pacer.slots(now, rate, self._lead, reach, max(0, most))
        if not slots:
            if account.reach is not None and account.next_slot != self._next_slot:
                # Another run took them. One whose ledger is far away takes them further ahead: without its reach there are none.
                self._lead = max(self._lead, lead_of(account.reach))
            self._slot_in = account.next_slot - now - reach if most > 0 else IDLE
            return []
        doubts = self._choose_doubts(connection, row, now, len(slots))
        room = len(slots) - len(doubts)
        if plan.max_messages is not None:
            used = sum(row.counts[state] for state in (State.SENT, State.UNKNOWN, State.IN_FLIGHT))
            room = min(room, plan.max_messages - used)
        fresh = self._choose(connection, row, now, room) if room > 0 and row.counts[State.PENDING] else []
        mark, lease = f"{self._id}-{self._ticks}", now + self._lease
        claimed = list(zip(doubts + fresh, slots, strict=False))
        claims.write_claims(connection, claimed, mark, lease)
        row.move(State.UNKNOWN, State.IN_FLIGHT, len(doubts))
        row.move(State.PENDING, State.IN_FLIGHT, len(fresh))
        pacer.take(slots[: len(claimed)], rate, reach)
        self._next_slot = account.next_slot
        local, drift = read_at - now, time.time() - time.monotonic()
        return [
            Job(one.id, one.number, one.busy, mark, slot + local, lease + local, drift)
            for one, slot in claimed
        ]

    def _volume(self, account: AccountRow) -> int | None:
        """Say how many messages the account may send today: what a person set while campaigns run goes first."""
        return self._plan.max_per_day if account.max_per_day is None else account.max_per_day

    def _choose_doubts(
        self, connection: Connection, row: CampaignRow, now: float, most: int
    ) -> list[drawing.Drawn]:
        """Draw recipients in doubt to be sent once more; whom a rule holds back is looked at again later."""
        if self._plan.on_unknown != "resend" or time.monotonic() < self._doubts_at:
            return []
        drawn = drawing.draw_unknown(connection, row.id, now, now - RESEND_AFTER, most)
        judged = judge(connection, self._plan, row.account, drawn, now)
        passed = {one.id for one in judged.passed}
        held = [one.id for one in drawn if one.id not in passed]
        recipient_rows.put_off(connection, held, now + DOUBTS_EVERY)
        self._doubts_left = bool(drawn)
        self._doubts_at = 0.0 if drawn else time.monotonic() + DOUBTS_EVERY
        return judged.passed

    def _choose(self, connection: Connection, row: CampaignRow, now: float, most: int) -> list[drawing.Drawn]:
        """Draw recipients until enough pass the rules; those that do not leave the queue."""
        chosen: list[drawing.Drawn] = []
        looked_at, ranges = 0, visible_ranges(connection, row.id)
        while len(chosen) < most and looked_at < LOOKED_AT:
            # A queue full of skips is read in longer strides than one that sends.
            stride = most if not looked_at else LOOKED_AT // 4
            drawn = drawing.draw_pending(connection, row.id, now, stride, ranges)
            known = {one.id for one in chosen}
            judged = judge(
                connection, self._plan, row.account, [one for one in drawn if one.id not in known], now
            )
            for reason, rows in judged.skipped.items():
                recipient_rows.set_state(connection, [one.id for one in rows], State.SKIPPED, reason.value)
                row.move(State.PENDING, State.SKIPPED, len(rows))
                self._tick_outcomes[State.SKIPPED, reason.value] += len(rows)
            recipient_rows.set_state(
                connection, [one.id for one in judged.waiting], State.PENDING, due=now + 1
            )
            chosen += judged.passed
            looked_at += stride
            if len(drawn) < stride:
                break
        return chosen[:most]

    def _ledger_failed(self, error: LedgerUnavailable) -> None:
        now = time.monotonic()
        if self._ledger_failed_at is None:
            self._ledger_failed_at = now
            log.warning("%s Sending stops until it does; answers are kept.", error)
        if self._stop_is_due() or now - self._ledger_failed_at >= self._lease:
            raise CampaignInterrupted(
                f"{error} Requests whose answers could not be recorded become unknown when their leases run out."
            )

    def _stop_is_due(self) -> bool:
        return self._stopped_at is not None and time.monotonic() - self._stopped_at >= STOP_WAIT

    # ------------------------------------------------------------------ how a run ends

    def _end(self, reason: CampaignError | None, *, force: bool = False) -> None:
        if self._ending is None or force:
            self._ending = reason

    def _is_over(self) -> bool:
        """Decide after a tick whether the run goes on, ends, or first settles what is out."""
        seen = self._seen
        if seen is None or self._ledger_failed_at is not None:
            return False
        if seen.cancelled:
            self._end(CampaignCancelled("The campaign was cancelled; what was left is skipped."))
        elif seen.paused:
            self._end(CampaignPaused("The campaign is paused."))
        if self._senders.out:
            return False
        pending = seen.counts[State.PENDING]
        more = pending or (self._doubts_left and self._may_post(SOON) and not seen.volume_used)
        if not more and not seen.counts[State.IN_FLIGHT]:
            # Nothing is left to do or to be run again, whatever would have ended the run.
            if not isinstance(self._ending, CampaignCancelled | CampaignFatal):
                self._ending = None
            return True
        if self._ending is not None:
            if seen.cancelled:
                self._skip_rest(SkipReason.CANCELLED)
            return True
        if not pending:
            return False
        if self._expires is not None and self._clock() >= self._expires:
            self._skip_rest(SkipReason.EXPIRED)
        elif seen.over_budget:
            self._skip_rest(SkipReason.OVER_BUDGET)
        elif seen.volume_used:
            # Around midnight the new day's count is waited for here: by one of the clocks it may have begun already.
            days = {china_midnight(moment) for moment in (seen.now, *self._clocks.moments())}
            if not seen.counts[State.IN_FLIGHT] and len(days) == 1:
                sentence = f"max_per_day: {seen.volume} messages of this account have left today."
                self._end(DayVolumeUsedUp(sentence, self._plan.next_day(seen.now)))
        else:
            self._look_at_window()
        return self._ending is not None

    def _look_at_window(self) -> None:
        plan, (host, ledger) = self._plan, self._clocks.moments()
        wait = self._seconds_to_post(host, ledger)
        if self._expires is not None and host + wait >= self._expires:
            # Nobody needs to wait a night for that.
            self._skip_rest(SkipReason.EXPIRED)
        # An opening that has passed by the host's clock is no moment to come back at: the ledger's is waited for here.
        elif opens_at := plan.opening(host) or plan.opening(ledger, SOON):
            sentence = f"The send window {plan.window} is closed; it opens {opens_at:%Y-%m-%d %H:%M}."
            self._end(OutsideWindow(sentence, opens_at))

    def _skip_rest(self, reason: SkipReason) -> None:
        skipped = recipient_rows.BATCH_ROWS
        while skipped == recipient_rows.BATCH_ROWS:
            with self._asking():
                skipped = recipient_rows.skip_batch(self._ledger, self._campaign, reason)
            self._outcomes[State.SKIPPED, reason.value] += skipped

    def _progress(self) -> Progress | None:
        seen = self._seen
        if seen is None:
            return None
        counts = seen.counts
        now = time.monotonic()
        done = sum(counts[state] for state in (State.SENT, State.REJECTED, State.UNKNOWN))
        while self._rates and self._rates[0][0] < now - RATE_SPAN:
            self._rates.popleft()
        since, before = self._rates[0] if self._rates else (now, done)
        # Whoever waits for a busy channel is not a matter of the rate.
        moving = bool(self._rates) and done > self._rates[-1][1]
        self._rates.append((now, done))
        rate = (done - before) / (now - since) if now > since else 0.0
        left = counts[State.PENDING] + counts[State.IN_FLIGHT]
        return Progress(
            total=sum(counts.values()),
            rate=round(max(0.0, rate), 1),
            eta=round(left / rate, 1) if moving and rate > 0 else None,
            **counts,
        )
