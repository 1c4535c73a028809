"""Claim recipients for the next slots: draw, judge, and write them as in flight before anything leaves."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from sqlalchemy.engine import Connection

from airflow_provider_caixin.campaign.answers import Job
from airflow_provider_caixin.campaign.counts import Outcome
from airflow_provider_caixin.campaign.judge import judge
from airflow_provider_caixin.campaign.lookahead import Lookahead
from airflow_provider_caixin.campaign.plan import Plan
from airflow_provider_caixin.ledger.queue import draw as drawing
from airflow_provider_caixin.ledger.queue.claim import write_claims
from airflow_provider_caixin.ledger.queue.draw import Recipient
from airflow_provider_caixin.ledger.queue.pacer import Pacer
from airflow_provider_caixin.ledger.rows import recipient as recipient_rows
from airflow_provider_caixin.ledger.rows.account import AccountRow
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.rows.load import visible_ranges
from airflow_provider_caixin.machine import Machine
from airflow_provider_caixin.vocabulary import State

# A tick that draws mostly recipients whom a rule holds back looks at no more than so many.
MOST_DRAWN: Final = 2_000
RESEND_AFTER_SECONDS: Final = 600.0
RESEND_LOOK_SECONDS: Final = 10.0


class Locked(NamedTuple):
    """What a tick works on: a transaction that holds both rows' locks.

    :param read_at: when it was read, by the monotonic clock.
    """

    connection: Connection
    account: AccountRow
    row: CampaignRow
    now: float
    read_at: float


@dataclass(frozen=True, slots=True)
class Known:
    """What one tick leaves to the next.

    :param may_resend: whether there may be unknown outcomes to be sent once more: the last look found some.
    :param resend_at: no look for them before this moment of the monotonic clock.
    """

    lookahead: Lookahead = field(default_factory=Lookahead)
    may_resend: bool = False
    resend_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Claim:
    """What a tick claimed, and what it learned by that.

    :param skipped: whom the rules skipped meanwhile.
    :param slot_in: in how many seconds the next slot comes into reach, where none was.
    """

    known: Known
    jobs: tuple[Job, ...] = ()
    skipped: Counter[Outcome] = field(default_factory=Counter)
    slot_in: float = math.inf


def claim(
    locked: Locked, plan: Plan, known: Known, machine: Machine, *, mark: str, most: int, lease_seconds: float
) -> Claim:
    """Claim recipients, as many as there are slots in reach.

    :param mark: the claims' id.
    :param most: how many at the most; may be below 0.
    """
    connection, account, row, now, read_at = locked
    pacer, reach = Pacer(account), known.lookahead.reach
    rate = pacer.rate(plan.rate)
    slots = pacer.slots(now, rate, known.lookahead.lead, reach, max(0, most))
    if not slots:
        lookahead = known.lookahead.after_none_free(account.next_slot, account.reach)
        slot_in = account.next_slot - now - reach if most > 0 else math.inf
        return Claim(replace(known, lookahead=lookahead), slot_in=slot_in)
    again: list[Recipient] = []
    if plan.on_unknown == "resend" and (looked_at := machine.monotonic()) >= known.resend_at:
        again, found = _draw_unknown(locked, plan, len(slots))
        known = replace(known, may_resend=found, resend_at=0.0 if found else looked_at + RESEND_LOOK_SECONDS)
    room = len(slots) - len(again)
    if plan.max_messages is not None:
        used = sum(row.counts[state] for state in (State.SENT, State.UNKNOWN, State.IN_FLIGHT))
        room = min(room, plan.max_messages - used)
    fresh: list[Recipient] = []
    skipped: Counter[Outcome] = Counter()
    if room > 0 and row.counts[State.PENDING]:
        fresh, skipped = _draw_pending(locked, plan, room)
    claimed, lease = list(zip(again + fresh, slots, strict=False)), now + lease_seconds
    write_claims(connection, claimed, mark, lease)
    row.move(State.UNKNOWN, State.IN_FLIGHT, len(again))
    row.move(State.PENDING, State.IN_FLIGHT, len(fresh))
    pacer.take(slots[: len(claimed)], rate, reach)
    to_monotonic, drift = read_at - now, machine.clock() - machine.monotonic()
    jobs = (
        Job(one.id, one.number, one.busy, mark, slot + to_monotonic, lease + to_monotonic, drift)
        for one, slot in claimed
    )
    lookahead = replace(known.lookahead, next_slot=account.next_slot)
    return Claim(replace(known, lookahead=lookahead), tuple(jobs), skipped)


def _draw_unknown(locked: Locked, plan: Plan, most: int) -> tuple[list[Recipient], bool]:
    """Draw whom to send once more, and whether there was anybody; put off whom a rule holds back."""
    connection, _, row, now, _ = locked
    drawn = drawing.draw_unknown(connection, row.id, now, now - RESEND_AFTER_SECONDS, most)
    passed = judge(connection, plan, row.account, drawn, now).passed
    kept = {one.id for one in passed}
    held_back = [one.id for one in drawn if one.id not in kept]
    drawing.put_off(connection, held_back, now + RESEND_LOOK_SECONDS)
    return passed, bool(drawn)


def _draw_pending(locked: Locked, plan: Plan, most: int) -> tuple[list[Recipient], Counter[Outcome]]:
    """Draw recipients until enough pass the rules, and count those that the rules skip."""
    connection, _, row, now, _ = locked
    chosen: list[Recipient] = []
    skipped: Counter[Outcome] = Counter()
    looked_at, ranges = 0, visible_ranges(connection, row.id)
    while len(chosen) < most and looked_at < MOST_DRAWN:
        # A queue full of skips is read in longer strides than one that sends.
        stride = most if not looked_at else MOST_DRAWN // 4
        drawn = drawing.draw_pending(connection, row.id, now, stride, ranges)
        known = {one.id for one in chosen}
        judged = judge(connection, plan, row.account, [one for one in drawn if one.id not in known], now)
        for reason, rows in judged.skipped.items():
            recipient_rows.set_state(connection, [one.id for one in rows], State.SKIPPED, reason.value)
            row.move(State.PENDING, State.SKIPPED, len(rows))
            skipped[State.SKIPPED, reason.value] += len(rows)
        recipient_rows.set_state(connection, [one.id for one in judged.waiting], State.PENDING, due=now + 1)
        chosen += judged.passed
        looked_at += stride
        if len(drawn) < stride:
            break
    return chosen[:most], skipped
