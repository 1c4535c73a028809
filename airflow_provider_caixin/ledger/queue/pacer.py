"""The pacer: hands out send slots from the account's row, so that all senders share one rate."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from airflow_provider_caixin.china_time import DAY_SECONDS
from airflow_provider_caixin.ledger.rows.account import AccountRow

log = logging.getLogger(__name__)

CLOCK_WENT_BACK_SECONDS: Final = 2.0
HALVED_AFTER_FAILURES: Final = 10
SLOWEST_PACE: Final = 1 / 64
SPEED_UP_AFTER_SECONDS: Final = 5.0
SPEED_UP_BY: Final = 1.25


@dataclass(frozen=True, slots=True)
class Pacer:
    """The pace of an account: plain arithmetic on its row, which is locked by whoever takes slots."""

    account: AccountRow

    def rate(self, configured: float) -> float:
        """Return the rate in force: slowed down by 10011, halved while nothing gets through.

        :param configured: messages a second that the run is set to.
        """
        return (
            configured * self.account.pace * (0.5 if self.account.failures >= HALVED_AFTER_FAILURES else 1.0)
        )

    def slots(self, now: float, rate: float, lead: float, reach: float, most: int) -> list[float]:
        """Return the next free slots without taking them; none behind the midnight that ends the counted day.

        :param now: read under the lock.
        :param rate: messages a second in force.
        :param lead: how far ahead of now a slot lies at least, in seconds.
        :param reach: and at most.
        """
        gap = 1 / rate
        if self.account.next_slot > now + lead + CLOCK_WENT_BACK_SECONDS + gap:
            log.warning(
                "The account's next slot lay %.1f s ahead: a clock went back. Reset.",
                self.account.next_slot - now,
            )
            self.account.next_slot = now
        first = max(self.account.next_slot, now + lead)
        slots = (first + index * gap for index in range(most))
        return [slot for slot in slots if slot <= now + reach and slot < self.account.day + DAY_SECONDS]

    def take(self, slots: list[float], rate: float, reach: float) -> None:
        """Take the first ones of what :meth:`slots` returned; they count as messages of the day."""
        if slots:
            self.account.next_slot, self.account.reach = slots[-1] + 1 / rate, reach
            self.account.day_count += len(slots)

    def got_through(self, now: float) -> None:
        """Note that the gateway accepted a message."""
        self.account.failures = 0
        self.account.last_sent_at = now

    def channel_failed(self) -> None:
        """Note a channel failure; from the tenth in a row the rate is halved until one gets through."""
        self.account.failures += 1

    def slow_down(self, now: float) -> None:
        """Halve the pace after 10011, at most once a second: requests on their way bring many of these."""
        if (
            self.account.paced_at is not None
            and 0 <= now - self.account.paced_at < 1.0
            and self.account.pace < 1.0
        ):
            return
        self.account.pace = max(SLOWEST_PACE, self.account.pace / 2)
        self.account.paced_at = now
        if self.account.pace == SLOWEST_PACE and self.account.slowest_since is None:
            self.account.slowest_since = now

    def speed_up(self, now: float) -> None:
        """Raise the pace again after five seconds without a 10011."""
        if self.account.pace < 1.0 and (
            self.account.paced_at is None or not 0 <= now - self.account.paced_at < SPEED_UP_AFTER_SECONDS
        ):
            self.account.pace = min(1.0, self.account.pace * SPEED_UP_BY)
            self.account.paced_at = now
            self.account.slowest_since = None
