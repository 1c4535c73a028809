"""What the answers of a run say about gateway and channel: go on, hold back, or end the run."""

from __future__ import annotations

import platform
from typing import Final

from airflow_provider_caixin import juhe
from airflow_provider_caixin.campaign import errors
from airflow_provider_caixin.campaign.answers import BUSY_DELAY_SECONDS, Answer, is_channel_failure
from airflow_provider_caixin.campaign.plan import Plan
from airflow_provider_caixin.ledger.queue.settle import Settlement
from airflow_provider_caixin.vocabulary import State

FAILING_FOR_SECONDS: Final = 30.0
SLOWEST_FOR_SECONDS: Final = 300.0
MOST_BACKOFF_SECONDS: Final = 2.0
FORBIDDEN_IP_CODE: Final = 10008


class Health:
    """The memory of one run: failures in a row, backing off, and whether the quota was used up before."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._failures = 0
        # Moments of the monotonic clock.
        self._failing_since = 0.0
        self._hold_until = 0.0
        self._backoff_seconds = 0.0
        #: Whether an earlier run ended with 10012 and no message got through since.
        self.quota_before = False

    def is_backing_off(self, now: float) -> bool:
        """Return whether the gateway could not be reached a moment ago, by the monotonic clock."""
        return now < self._hold_until

    def learn(
        self, answer: Answer, settled: Settlement, slowest_for: float, now: float, wall: float
    ) -> errors.CampaignError | None:
        """Take in an answer that is in the ledger now; return what ends the run, or None.

        :param settled: what became of the recipient.
        :param slowest_for: seconds since when the account is at its lowest rate.
        :param now: the monotonic clock.
        :param wall: the host's wall clock.
        """
        result = answer.result
        if isinstance(result, str):
            self._failures, self._backoff_seconds, self.quota_before = 0, 0.0, False
            return None
        if is_channel_failure(result):
            self._failing_since = self._failing_since if self._failures else now
            self._failures += 1
        if isinstance(result, juhe.NotReached) and not self.is_backing_off(now):
            doubled = 2 * self._backoff_seconds or MOST_BACKOFF_SECONDS / 4
            self._backoff_seconds = min(MOST_BACKOFF_SECONDS, doubled)
            self._hold_until = now + self._backoff_seconds
        if isinstance(result, juhe.AccountRefused | juhe.WrongEndpoint):
            host = getattr(result, "code", None) == FORBIDDEN_IP_CODE and f" This host is {platform.node()}."
            return errors.CampaignFatal(f"{result}{host or ''}")
        if isinstance(result, juhe.QuotaExceeded):
            if self.quota_before:
                return errors.CampaignFatal(
                    f"{result} It was so before, and no message has got through since."
                )
            return errors.QuotaUsedUp(str(result), self._plan.next_day(wall))
        if isinstance(result, juhe.Maintenance):
            return errors.CampaignInterrupted(str(result))
        if isinstance(result, juhe.RateLimited) and slowest_for >= SLOWEST_FOR_SECONDS:
            return errors.CampaignInterrupted(f"{result} It was so at the lowest rate for five minutes.")
        exhausted = isinstance(result, juhe.ChannelBusy) and answer.job.busy >= len(BUSY_DELAY_SECONDS)
        if exhausted and settled.state is State.PENDING:
            return errors.CampaignInterrupted(
                f"The channel was busy for over two minutes, for everyone: {result}"
            )
        most, lasting = self._plan.max_consecutive_failures, now - self._failing_since
        if most is not None and self._failures >= most and lasting >= FAILING_FOR_SECONDS:
            sentence = f"{self._failures} channel failures in a row over {lasting:.0f} s, the last: {result}"
            return errors.CampaignInterrupted(sentence)
        return None
