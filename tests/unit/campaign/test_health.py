"""What the answers of a run say about gateway and channel.

The answers themselves are in tests/integration/test_answers.py.
"""

from __future__ import annotations

from airflow_provider_caixin.campaign import CampaignFatal, CampaignInterrupted, QuotaUsedUp
from airflow_provider_caixin.campaign.answers import Answer, NotAwaited, PostResult
from airflow_provider_caixin.campaign.errors import CampaignError
from airflow_provider_caixin.campaign.health import MOST_BACKOFF_SECONDS, Health
from airflow_provider_caixin.juhe import ChannelBusy, NotReached, OutcomeUnknown, QuotaExceeded, RateLimited
from airflow_provider_caixin.ledger.queue.settle import Settlement
from airflow_provider_caixin.vocabulary import State
from tests.unit.campaign.conftest import NOW, job, plan


def learn(
    health: Health, result: PostResult, now: float, *, busy: int = 0, slowest_for: float = 0.0
) -> CampaignError | None:
    """Let a run learn of an answer."""
    answer = Answer(job(busy=busy), result)
    return health.learn(answer, Settlement(1, "claim", State.PENDING), slowest_for, now, NOW)


def test_failures_in_a_row_have_to_last() -> None:
    """Many in a moment end no run, nor few for long; one that gets through begins anew."""
    health = Health(plan(max_consecutive_failures=3))
    for now in (0.0, 1.0, 2.0, 3.0):
        assert learn(health, OutcomeUnknown("x"), now) is None
    assert isinstance(learn(health, OutcomeUnknown("x"), 30.0), CampaignInterrupted)
    assert learn(health, "sid", 31.0) is None
    assert learn(health, OutcomeUnknown("x"), 40.0) is None
    assert learn(health, OutcomeUnknown("x"), 80.0) is None
    assert isinstance(learn(health, OutcomeUnknown("x"), 81.0), CampaignInterrupted)
    patient = Health(plan(max_consecutive_failures=None))
    assert not any(learn(patient, OutcomeUnknown("x"), float(now)) for now in range(100))


def test_who_was_told_to_stop_blames_nobody() -> None:
    """Answers that were not awaited are no failures of the channel."""
    health = Health(plan(max_consecutive_failures=1))
    assert not any(learn(health, NotAwaited("x"), now) for now in (0.0, 40.0, 80.0))


def test_backing_off_takes_longer_each_time() -> None:
    """Up to two seconds, and from the start again when a message got through.

    Meanwhile failures change nothing.
    """
    health, now = Health(plan(max_consecutive_failures=None)), 100.0
    for seconds in (0.5, 1.0, MOST_BACKOFF_SECONDS, MOST_BACKOFF_SECONDS):
        assert not health.is_backing_off(now)
        learn(health, NotReached("x"), now)
        learn(health, NotReached("x"), now + 0.1)
        assert health.is_backing_off(now + seconds - 0.01)
        now += seconds
    learn(health, "sid", now)
    learn(health, NotReached("x"), now)
    assert not health.is_backing_off(now + 0.5)


def test_a_second_quota_that_is_used_up_is_for_a_person() -> None:
    """Unless a message got through since the first one."""
    health = Health(plan())
    assert isinstance(learn(health, QuotaExceeded(10012, "x"), 0.0), QuotaUsedUp)
    health.quota_before = True
    assert isinstance(learn(health, QuotaExceeded(10012, "x"), 0.0), CampaignFatal)
    learn(health, "sid", 0.0)
    assert isinstance(learn(health, QuotaExceeded(10012, "x"), 0.0), QuotaUsedUp)


def test_limits_of_patience() -> None:
    """With the lowest rate, and with a channel that is busy for everyone."""
    health = Health(plan())
    assert learn(health, RateLimited(10011, "x"), 0.0, slowest_for=299.0) is None
    assert isinstance(learn(health, RateLimited(10011, "x"), 0.0, slowest_for=300.0), CampaignInterrupted)
    assert learn(health, ChannelBusy(236300, "x"), 0.0, busy=2) is None
    assert isinstance(learn(health, ChannelBusy(236300, "x"), 0.0, busy=3), CampaignInterrupted)
