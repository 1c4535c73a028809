"""What an answer means for the recipient and for the run (design: what an answer means)."""

from __future__ import annotations

from typing import Final, NamedTuple

from airflow_provider_caixin import juhe
from airflow_provider_caixin.ledger.queue.settle import Settlement
from airflow_provider_caixin.vocabulary import State

BUSY_DELAY_SECONDS: Final = (10.0, 30.0, 90.0)
RATE_DELAY_SECONDS: Final = 1.0

PostResult = str | juhe.CaixinError
"""The sid of an accepted message, or what was raised instead."""


class NotAwaited(juhe.OutcomeUnknown):
    """The process ended before the answer came: an unknown outcome that says nothing of the channel."""


class Job(NamedTuple):
    """A claimed recipient on its way to a sender.

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
    result: PostResult


def settlement(answer: Answer, now: float, last_sent_at: float | None) -> Settlement:
    """Return which state a recipient takes after an answer.

    :param last_sent_at: when the gateway last accepted a message of the account.
    """
    job, result = answer
    if isinstance(result, str):
        return Settlement(job.id, job.claim, State.SENT, sid=result[:255], code=0)
    code = result.code if isinstance(result, juhe.GatewayError) else None
    text = result.reason if isinstance(result, juhe.GatewayError) else str(result)
    if isinstance(result, juhe.OutcomeUnknown):
        return Settlement(job.id, job.claim, State.UNKNOWN, code=code, reason=text)
    if isinstance(result, juhe.RecipientRejected):
        return Settlement(job.id, job.claim, State.REJECTED, code=code, reason=text)
    if isinstance(result, juhe.ChannelBusy):
        if job.busy < len(BUSY_DELAY_SECONDS):
            due = now + BUSY_DELAY_SECONDS[job.busy]
            return Settlement(
                job.id, job.claim, State.PENDING, due=due, busy=job.busy + 1, reason=text, code=code
            )
        if last_sent_at is not None and now - last_sent_at <= sum(BUSY_DELAY_SECONDS):
            return Settlement(job.id, job.claim, State.REJECTED, code=code, reason=text)
        return Settlement(
            job.id, job.claim, State.PENDING, due=now + BUSY_DELAY_SECONDS[-1], reason=text, code=code
        )
    if isinstance(result, juhe.RateLimited):
        return Settlement(job.id, job.claim, State.PENDING, due=now + RATE_DELAY_SECONDS, busy=job.busy)
    return Settlement(job.id, job.claim, State.PENDING, busy=job.busy)


def is_channel_failure(result: PostResult) -> bool:
    """Return whether a result speaks of the channel and not of the recipient."""
    if isinstance(result, juhe.RecipientRejected):
        return result.entry.kind is not juhe.Kind.RECIPIENT
    if isinstance(result, NotAwaited):
        return False
    return isinstance(result, juhe.ChannelBusy | juhe.OutcomeUnknown | juhe.NotReached)
