"""What an answer means for the recipient and for the run (design: what an answer means)."""

from __future__ import annotations

from typing import Final, NamedTuple

from airflow_provider_caixin.juhe import (
    CaixinError,
    ChannelBusy,
    GatewayError,
    Kind,
    NotReached,
    OutcomeUnknown,
    RateLimited,
    RecipientRejected,
)
from airflow_provider_caixin.ledger.queue.settle import Settlement
from airflow_provider_caixin.vocabulary import State

BUSY_DELAYS: Final = (10.0, 30.0, 90.0)
RATE_DELAY: Final = 1.0

Outcome = str | CaixinError
"""The sid of an accepted message, or what was raised instead."""


class NotAwaited(OutcomeUnknown):
    """The process ended before the answer came: a doubt that says nothing of the channel."""


class Job(NamedTuple):
    """
    A claimed recipient on its way to a sender.

    :param slot: when to post, by the host's monotonic clock.
    :param lease: until when the claim holds, by the same clock.
    :param drift: the host's wall clock minus its monotonic clock when the slot was reckoned.
    """

    id: int
    number: str
    busy: int
    claim: str
    slot: float
    lease: float
    drift: float


class Answer(NamedTuple):
    """What came of a job."""

    job: Job
    outcome: Outcome


def settlement(answer: Answer, now: float, last_sent_at: float | None) -> Settlement:
    """
    Say which state a recipient takes after an answer.

    :param answer: the answer.
    :param now: the ledger's clock.
    :param last_sent_at: when the gateway last accepted a message of the account.
    """
    job, outcome = answer
    if isinstance(outcome, str):
        return Settlement(job.id, job.claim, State.SENT, sid=outcome[:255], code=0)
    code = outcome.code if isinstance(outcome, GatewayError) else None
    text = outcome.reason if isinstance(outcome, GatewayError) else str(outcome)
    if isinstance(outcome, OutcomeUnknown):
        return Settlement(job.id, job.claim, State.UNKNOWN, code=code, reason=text)
    if isinstance(outcome, RecipientRejected):
        return Settlement(job.id, job.claim, State.REJECTED, code=code, reason=text)
    if isinstance(outcome, ChannelBusy):
        if job.busy < len(BUSY_DELAYS):
            due = now + BUSY_DELAYS[job.busy]
            return Settlement(
                job.id, job.claim, State.PENDING, due=due, busy=job.busy + 1, reason=text, code=code
            )
        if last_sent_at is not None and now - last_sent_at <= sum(BUSY_DELAYS):
            return Settlement(job.id, job.claim, State.REJECTED, code=code, reason=text)
        return Settlement(job.id, job.claim, State.PENDING, due=now + BUSY_DELAYS[-1], reason=text, code=code)
    if isinstance(outcome, RateLimited):
        return Settlement(job.id, job.claim, State.PENDING, due=now + RATE_DELAY, busy=job.busy)
    return Settlement(job.id, job.claim, State.PENDING, busy=job.busy)


def is_channel_failure(outcome: Outcome) -> bool:
    """
    Tell whether an answer speaks of the channel and not of the recipient.

    :param outcome: what came of a request.
    """
    if isinstance(outcome, RecipientRejected):
        return outcome.entry.kind is not Kind.RECIPIENT
    if isinstance(outcome, NotAwaited):
        return False
    return isinstance(outcome, ChannelBusy | OutcomeUnknown | NotReached)
