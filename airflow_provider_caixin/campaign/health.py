"""What the answers of a run say about gateway and channel: go on, hold back, or end the run."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from typing import Final

from airflow_provider_caixin.campaign.answers import BUSY_DELAYS, Answer, is_channel_failure
from airflow_provider_caixin.campaign.errors import (
    CampaignError,
    CampaignFatal,
    CampaignInterrupted,
    QuotaUsedUp,
)
from airflow_provider_caixin.campaign.plan import Plan
from airflow_provider_caixin.juhe import (
    AccountRefused,
    ChannelBusy,
    Maintenance,
    NotReached,
    QuotaExceeded,
    RateLimited,
    WrongEndpoint,
)
from airflow_provider_caixin.ledger.queue.settle import Settlement
from airflow_provider_caixin.vocabulary import State

FAILING_FOR: Final = 30.0
SLOWEST_FOR: Final = 300.0
BACKOFF: Final = 2.0
FORBIDDEN_IP: Final = 10008


class Health:
    """
    The memory of one run: failures in a row, backing off, and whether the quota was used up before.

    :param plan: the rules of the run.
    :param clock: the host's clock, seconds since the epoch.
    """

    def __init__(self, plan: Plan, clock: Callable[[], float]) -> None:
        self._plan = plan
        self._clock = clock
        self._failures = 0
        self._failing_since = 0.0
        self._backoff = 0.0
        self._hold_until = 0.0
        #: Whether an earlier run ended with 10012 and no message got through since.
        self.quota_before = False

    def is_backing_off(self) -> bool:
        """Tell whether the gateway could not be reached a moment ago."""
        return time.monotonic() < self._hold_until

    def learn(self, answer: Answer, settled: Settlement, slowest_for: float) -> CampaignError | None:
        """
        Take in an answer that is in the ledger now; return what ends the run, or None.

        :param answer: the answer.
        :param settled: what became of the recipient.
        :param slowest_for: seconds since when the account is at its lowest rate.
        """
        outcome = answer.outcome
        if isinstance(outcome, str):
            self._failures, self._backoff, self.quota_before = 0, 0.0, False
            return None
        if is_channel_failure(outcome):
            self._failing_since = self._failing_since if self._failures else time.monotonic()
            self._failures += 1
        if isinstance(outcome, NotReached):
            self._back_off()
        if isinstance(outcome, AccountRefused | WrongEndpoint):
            host = getattr(outcome, "code", None) == FORBIDDEN_IP and f" This host is {platform.node()}."
            return CampaignFatal(f"{outcome}{host or ''}")
        if isinstance(outcome, QuotaExceeded):
            if self.quota_before:
                return CampaignFatal(f"{outcome} It was so before, and no message has got through since.")
            return QuotaUsedUp(str(outcome), self._plan.next_day(self._clock()))
        if isinstance(outcome, Maintenance):
            return CampaignInterrupted(str(outcome))
        if isinstance(outcome, RateLimited) and slowest_for >= SLOWEST_FOR:
            return CampaignInterrupted(f"{outcome} It was so at the lowest rate for five minutes.")
        exhausted = isinstance(outcome, ChannelBusy) and answer.job.busy >= len(BUSY_DELAYS)
        if exhausted and settled.state is State.PENDING:
            return CampaignInterrupted(f"The channel was busy for over two minutes, for everyone: {outcome}")
        most, lasting = self._plan.max_consecutive_failures, time.monotonic() - self._failing_since
        if most is not None and self._failures >= most and lasting >= FAILING_FOR:
            sentence = f"{self._failures} channel failures in a row over {lasting:.0f} s, the last: {outcome}"
            return CampaignInterrupted(sentence)
        return None

    def _back_off(self) -> None:
        if not self.is_backing_off():
            self._backoff = min(BACKOFF, 2 * self._backoff or BACKOFF / 4)
            self._hold_until = time.monotonic() + self._backoff
