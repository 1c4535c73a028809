"""The gate: one row per account that hands out send slots, so that all senders share one rate."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger.database import LedgerUnavailable
from airflow_provider_caixin.ledger.schema import account, campaign

log = logging.getLogger(__name__)

CLOCK_WENT_BACK: Final = 2.0
HALVED_AFTER: Final = 10
SLOWEST: Final = 1 / 64
SPEED_UP_AFTER: Final = 5.0
SPEED_UP_BY: Final = 1.25
DAY: Final = 86_400.0

_LOCK: Final = sa.select(account).where(account.c.id == sa.bindparam("key")).with_for_update()
_WHOSE: Final = sa.select(campaign.c.account).where(campaign.c.id == sa.bindparam("key"))
_SAVE: Final = (
    sa.update(account)
    .where(account.c.id == sa.bindparam("key"))
    .values({name: sa.bindparam(f"new_{name}") for name in ("next_slot", "reach", "pace", "paced_at")})
    .values(
        {
            name: sa.bindparam(f"new_{name}")
            for name in ("slowest_since", "failures", "last_sent_at", "day", "day_count")
        }
    )
)


@dataclass(slots=True)
class Gate:
    """
    An account's gate row, locked for the length of one transaction.

    Only :meth:`open` and :meth:`of` make one and only :meth:`save` writes it back; in between it is plain arithmetic.
    """

    id: int
    next_slot: float
    reach: float | None
    pace: float
    paced_at: float | None
    slowest_since: float | None
    failures: int
    last_sent_at: float | None
    day: float
    day_count: int
    paused: bool
    max_per_day: int | None

    @classmethod
    def open(cls, connection: Connection, key: int) -> Gate:
        """
        Lock the row. Read the clock only after this: the wait for the lock may be long.

        :param connection: a writing transaction.
        :param key: the account's surrogate key.
        :raises LedgerUnavailable: when the account is no more.
        """
        found = connection.execute(_LOCK, {"key": key}).one_or_none()
        if found is None:
            raise LedgerUnavailable("The account was merged into another this very moment.")
        return cls._of(found)

    @classmethod
    def of(cls, connection: Connection, campaign: int) -> Gate:
        """
        Lock the row of a campaign's account, also of one that was merged into another a moment ago.

        The campaign's row is asked each time, and once more under the lock, without which nobody changes its account: a key
        that was remembered may be another account's by now.

        :param connection: a writing transaction.
        :param campaign: the campaign's surrogate key.
        """
        key = connection.execute(_WHOSE, {"key": campaign}).scalar_one()
        while True:
            found = connection.execute(_LOCK, {"key": key}).one_or_none()
            now = connection.execute(_WHOSE, {"key": campaign}).scalar_one()
            if found is not None and now == key:
                return cls._of(found)
            key = now

    @classmethod
    def _of(cls, row: sa.Row[Any]) -> Gate:
        return cls(**{name: row._mapping[name] for name in cls.__slots__})

    def save(self, connection: Connection) -> None:
        """
        Write the row back.

        :param connection: the transaction that opened it.
        """
        values: dict[str, Any] = {f"new_{name}": getattr(self, name) for name in self.__slots__}
        connection.execute(_SAVE, {"key": self.id, **values})

    def absorb(self, other: Gate) -> None:
        """
        Take in what another account of the same AppKey has used up: of each the stricter.

        :param other: the other one's row, locked, too; of its day's messages those of the later day count.
        """
        self.next_slot = max(self.next_slot, other.next_slot)
        self.reach = max((self.reach, other.reach), key=lambda reach: reach or 0.0)
        if other.pace < self.pace:
            self.pace, self.paced_at, self.slowest_since = other.pace, other.paced_at, other.slowest_since
        self.failures = max(self.failures, other.failures)
        self.last_sent_at = max((self.last_sent_at, other.last_sent_at), key=lambda moment: moment or 0.0)
        if other.day > self.day:
            self.day, self.day_count = other.day, other.day_count
        elif other.day == self.day:
            self.day_count += other.day_count
        self.paused = self.paused or other.paused
        limits = [limit for limit in (self.max_per_day, other.max_per_day) if limit is not None]
        self.max_per_day = min(limits, default=None)

    def rate(self, configured: float) -> float:
        """
        Give the rate in force: slowed down by 10011, halved while nothing gets through.

        :param configured: messages a second that the run is set to.
        """
        return configured * self.pace * (0.5 if self.failures >= HALVED_AFTER else 1.0)

    def slots(self, now: float, rate: float, lead: float, reach: float, limit: int) -> list[float]:
        """
        Reckon the next free slots without taking them; none behind the midnight that ends the day which is counted.

        :param now: the ledger's clock, read under the lock.
        :param rate: messages a second in force.
        :param lead: how far ahead of now a slot lies at least, in seconds.
        :param reach: and at most.
        :param limit: how many at the most.
        """
        gap = 1 / rate
        if self.next_slot > now + lead + CLOCK_WENT_BACK + gap:
            log.warning(
                "The gate's next slot lay %.1f s ahead: a clock went back. Reset.", self.next_slot - now
            )
            self.next_slot = now
        first = max(self.next_slot, now + lead)
        slots = (first + index * gap for index in range(limit))
        return [slot for slot in slots if slot <= now + reach and slot < self.day + DAY]

    def take(self, slots: list[float], rate: float, reach: float) -> None:
        """
        Take slots that :meth:`slots` gave, counting them as messages of their day.

        :param slots: the ones that are used, the first ones of those given.
        :param rate: the rate they were reckoned with.
        :param reach: how far ahead of now they might have been.
        """
        if slots:
            self.next_slot, self.reach = slots[-1] + 1 / rate, reach
            self.day_count += len(slots)

    def begin_day(self, midnight: float) -> None:
        """
        Start counting a new day when one has begun; a clock that goes back by less than two days keeps the later one.

        :param midnight: the start of the current China day.
        """
        if midnight > self.day:
            self.day, self.day_count = midnight, 0
        elif self.day > midnight + DAY:
            # A clock was far ahead: what was counted then is counted to today.
            self.day = midnight

    def uncount(self, slot: float | None) -> None:
        """
        Take one message off the day's count: it turned out not to be billed.

        :param slot: when it left or was to leave.
        """
        if slot is not None and slot >= self.day and self.day_count > 0:
            self.day_count -= 1

    def got_through(self, now: float) -> None:
        """
        Note that the gateway accepted a message.

        :param now: the ledger's clock.
        """
        self.failures = 0
        self.last_sent_at = now

    def channel_failed(self) -> None:
        """Note a channel failure; from the tenth in a row the rate is halved until one gets through."""
        self.failures += 1

    def slow_down(self, now: float) -> None:
        """
        Halve the pace after 10011, at most once a second: what is in the air brings many such answers.

        :param now: the ledger's clock.
        """
        if self.paced_at is not None and 0 <= now - self.paced_at < 1.0 and self.pace < 1.0:
            return
        self.pace = max(SLOWEST, self.pace / 2)
        self.paced_at = now
        if self.pace == SLOWEST and self.slowest_since is None:
            self.slowest_since = now

    def speed_up(self, now: float) -> None:
        """
        Raise the pace again after five seconds without a 10011.

        :param now: the ledger's clock.
        """
        if self.pace < 1.0 and (self.paced_at is None or not 0 <= now - self.paced_at < SPEED_UP_AFTER):
            self.pace = min(1.0, self.pace * SPEED_UP_BY)
            self.paced_at = now
            self.slowest_since = None
