"""A tick: one short transaction that settles answers and claims recipients for the next slots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy.engine import Connection

from airflow_provider_caixin.campaign.answers import Answer, Job, is_channel_failure, settlement
from airflow_provider_caixin.campaign.claiming import Claim, Known, Locked, claim
from airflow_provider_caixin.campaign.clocks import Clocks
from airflow_provider_caixin.campaign.counts import Outcome
from airflow_provider_caixin.campaign.plan import Hours, Plan
from airflow_provider_caixin.china_time import china_midnight
from airflow_provider_caixin.juhe import QuotaExceeded, RateLimited
from airflow_provider_caixin.ledger import Ledger, LedgerUnavailable
from airflow_provider_caixin.ledger.queue.pacer import Pacer
from airflow_provider_caixin.ledger.queue.settle import Settlement, write_settlements
from airflow_provider_caixin.ledger.rows import recipient as recipient_rows
from airflow_provider_caixin.ledger.rows.account import AccountRow
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.vocabulary import State


@dataclass(frozen=True, slots=True)
class Due:
    """What there is for a tick to do.

    :param mark: the id of this tick's claims; no other tick of any run has it.
    :param answers: what came of requests since the last tick.
    :param free: how many more requests may be out.
    :param is_held: whether nothing may be claimed, whatever the hour; asked while the ledger's locks are
        held.
    """

    mark: str
    answers: tuple[Answer, ...]
    free: int
    hours: Hours
    is_held: Callable[[], bool]
    known: Known


@dataclass(frozen=True, slots=True)
class TickResult:
    """What a tick did and saw, committed.

    :param settlements: what became of the recipients of the answers, in their order.
    :param outcomes: how many recipients it brought to which end.
    :param counts: the campaign's recipients by state.
    :param over_budget: ``max_messages`` is used up.
    :param volume: how many messages the account may send today; None: any number.
    :param slowest_for: seconds since when the account is at its lowest rate.
    """

    now: float
    settlements: tuple[Settlement, ...]
    claim: Claim
    outcomes: Counter[Outcome]
    counts: dict[State, int]
    paused: bool
    cancelled: bool
    over_budget: bool
    volume: int | None
    volume_used: bool
    slowest_for: float


class TickFailed(Exception):
    """The ledger did not answer; whether the transaction was committed is not known.

    :param jobs: the recipients that are claimed if it was.
    """

    def __init__(self, error: LedgerUnavailable, jobs: tuple[Job, ...]) -> None:
        super().__init__(str(error))
        self.jobs = jobs


@dataclass(frozen=True, slots=True)
class Tick:
    """The ticks of one run: what is the same for all of them."""

    ledger: Ledger
    campaign_key: int
    plan: Plan
    clocks: Clocks
    lease_seconds: float

    def run(self, due: Due) -> TickResult:
        """Run one transaction.

        :raises TickFailed: when the ledger did not answer.
        """
        jobs: tuple[Job, ...] = ()
        try:
            with self.ledger.writing() as connection:
                locked = self._lock(connection)
                result = self._transact(locked, due)
                jobs = result.claim.jobs
        except LedgerUnavailable as error:
            raise TickFailed(error, jobs) from error
        if not jobs:
            return result
        took, known = self.clocks.machine.monotonic() - locked.read_at, result.claim.known
        known = replace(known, lookahead=known.lookahead.after_commit(took))
        return replace(result, claim=replace(result.claim, known=known))

    def _lock(self, connection: Connection) -> Locked:
        account = AccountRow.of(connection, self.campaign_key)
        row = CampaignRow.lock(connection, self.campaign_key)
        read_at = self.clocks.machine.monotonic()
        now = self.clocks.read(partial(self.ledger.now, connection))
        return Locked(connection, account, row, now, read_at)

    def _transact(self, locked: Locked, due: Due) -> TickResult:
        connection, account, row, now, _ = locked
        plan, are_near = self.plan, self.clocks.are_near
        # By a clock that may be a day off no day begins and no lease runs out: what was answered is all that
        # is known.
        if are_near:
            row.active_at = now
            account.begin_day(china_midnight(now))
        settlements = _settle(locked, due.answers)
        outcomes = outcomes_of(settlements)
        if are_near:
            outcomes[State.UNKNOWN, ""] += recipient_rows.expire_leases(connection, row, now)
            Pacer(account).speed_up(now)
        used = row.counts[State.SENT] + row.counts[State.UNKNOWN]
        over_budget = plan.max_messages is not None and used >= plan.max_messages
        # What someone set while campaigns run goes before what the run was given.
        volume = plan.max_per_day if account.max_per_day is None else account.max_per_day
        claimed = Claim(due.known)
        if may_claim(row, account, self.clocks, due.hours, is_held=due.is_held()):
            most = due.free if volume is None else min(due.free, volume - account.day_count)
            lease_seconds, machine = self.lease_seconds, self.clocks.machine
            claimed = claim(
                locked, plan, due.known, machine, mark=due.mark, most=most, lease_seconds=lease_seconds
            )
        result = TickResult(
            now=now,
            settlements=settlements,
            claim=claimed,
            outcomes=outcomes + claimed.skipped,
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
        return result


def may_claim(row: CampaignRow, account: AccountRow, clocks: Clocks, hours: Hours, *, is_held: bool) -> bool:
    """Return whether a tick may claim recipients.

    :param is_held: the run ends, or the gateway could not be reached a moment ago.
    """
    is_stopped = row.paused or row.cancelled or account.paused
    return not is_stopped and not is_held and clocks.are_near and hours.may_post(clocks.moments())


def outcomes_of(settlements: Iterable[Settlement]) -> Counter[Outcome]:
    """Count what became of recipients; those that wait once more are not counted."""
    return Counter(
        (one.state, str(one.code) if one.state is State.REJECTED else "")
        for one in settlements
        if one.state is not State.PENDING
    )


def _settle(locked: Locked, answers: Iterable[Answer]) -> tuple[Settlement, ...]:
    """Write what became of claimed recipients; account and campaign remember what it says of the gateway."""
    connection, account, row, now, _ = locked
    pacer = Pacer(account)
    settlements: list[Settlement] = []
    for answer in answers:
        result = answer.result
        settlements.append(settlement(answer, now, account.last_sent_at))
        if isinstance(result, str):
            pacer.got_through(now)
            row.quota_since = None
        elif is_channel_failure(result):
            pacer.channel_failed()
        if isinstance(result, RateLimited):
            pacer.slow_down(now)
        if isinstance(result, QuotaExceeded) and row.quota_since is None:
            row.quota_since = now
    if settlements:
        write_settlements(connection, account, row, settlements)
    return tuple(settlements)
