"""The rows of accounts: what all senders of an account share, locked and saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.china_time import DAY_SECONDS
from airflow_provider_caixin.ledger.errors import LedgerUnavailable
from airflow_provider_caixin.ledger.schema import account, campaign

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
class AccountRow:
    """An account's row, locked for the length of one transaction.

    The methods open and of lock it; save writes back all but ``paused`` and ``max_per_day``, which users set.
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
    def open(cls, connection: Connection, account_key: int) -> AccountRow:
        """Lock the row. Read the clock only after this: the wait for the lock may be long.

        :raises LedgerUnavailable: when the account is no more.
        """
        found = connection.execute(_LOCK, {"key": account_key}).one_or_none()
        if found is None:
            raise LedgerUnavailable("The account was merged into another this very moment.")
        return cls._of(found)

    @classmethod
    def of(cls, connection: Connection, campaign_key: int) -> AccountRow:
        """Lock the row of a campaign's account, also of one that was merged into another a moment ago.

        The campaign's row is asked each time, and once more under the lock, without which nobody changes its
        account: a key that was remembered may be another account's by now.
        """
        key = connection.execute(_WHOSE, {"key": campaign_key}).scalar_one()
        while True:
            found = connection.execute(_LOCK, {"key": key}).one_or_none()
            now = connection.execute(_WHOSE, {"key": campaign_key}).scalar_one()
            if found is not None and now == key:
                return cls._of(found)
            key = now

    @classmethod
    def _of(cls, row: sa.Row[Any]) -> AccountRow:
        return cls(**{name: row._mapping[name] for name in cls.__slots__})

    def save(self, connection: Connection) -> None:
        """Write the row back, in the transaction that locked it."""
        values: dict[str, Any] = {f"new_{name}": getattr(self, name) for name in self.__slots__}
        connection.execute(_SAVE, {"key": self.id, **values})

    def absorb(self, other: AccountRow) -> None:
        """Take in what another account has used up, whose row is locked, too: the stricter of each."""
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

    def begin_day(self, midnight: float) -> None:
        """Start a new count when a China day has begun; if the clock goes back a little, keep the later day.

        :param midnight: the start of the current day.
        """
        if midnight > self.day:
            self.day, self.day_count = midnight, 0
        elif self.day > midnight + DAY_SECONDS:
            # A clock was far ahead: what was counted then is counted to today.
            self.day = midnight

    def uncount(self, slot: float | None) -> None:
        """Take a message off the day's count: it turned out not to be billed.

        :param slot: when it left or was to leave.
        """
        if slot is not None and slot >= self.day and self.day_count > 0:
            self.day_count -= 1
