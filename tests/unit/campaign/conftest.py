"""Campaigns without a network: a gateway in memory, and what the loop works on as values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_caixin.audience import Classifier, audience_from
from airflow_provider_caixin.campaign import Campaign, Plan
from airflow_provider_caixin.campaign.answers import Job, PostResult
from airflow_provider_caixin.juhe import NotPosted
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.rows.account import AccountRow
from airflow_provider_caixin.machine import Machine

NOW = 1_795_400_000.0
NUMBERS = [str(13_912_340_000 + index) for index in range(20)]
# One for all: it takes a moment to make.
CLASSIFIER = Classifier()

Make = Callable[..., Campaign]


def plan(**fields: Any) -> Plan:
    """Make a plan of which only some fields matter."""
    given = {"campaign_id": "campaign", "tpl_id": 65535, "account": "account", "classifier": CLASSIFIER}
    return Plan(**{**given, **fields})


def job(**fields: Any) -> Job:
    """Make a claimed recipient on its way to a sender.

    Whose slot is at 100 s and whose lease ends at 160 s.
    """
    given = Job(id=1, number=NUMBERS[0], busy=0, claim="claim", slot=100.0, lease=160.0, drift=NOW)
    return given._replace(**fields)


def account(**fields: Any) -> AccountRow:
    """Make the row of an account that nobody has used."""
    values: dict[str, Any] = {
        "id": 1, "next_slot": 0.0, "reach": None, "pace": 1.0, "paced_at": None, "slowest_since": None,
        "failures": 0, "last_sent_at": None, "day": NOW - 40_000, "day_count": 0, "paused": False,
        "max_per_day": None,
    }  # fmt: skip
    return AccountRow(**{**values, **fields})


class VirtualTime:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += max(0.0, seconds)

    @property
    def machine(self) -> Machine:
        """A machine that has this time."""
        return Machine(lambda: NOW + self.now, lambda: self.now, self.sleep, lambda _low, _high: 0.0)


class Gateway:
    """A gateway in memory: it accepts each message, but those whose result it was told."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.results: dict[str, PostResult] = {}
        self.reserved = 0

    def warm(self) -> None:
        """Reserve a connection."""
        self.reserved += 1

    def release(self) -> None:
        """Return it."""
        self.reserved -= 1

    def send(self, tpl_id: int, mobile: str, *, last_look: Callable[[], bool] | None = None) -> str:  # noqa: ARG002
        """Take a message."""
        self.release()
        if last_look is not None and not last_look():
            raise NotPosted("the last look said no")
        self.sent.append(mobile)
        result = self.results.get(mobile, f"sid {mobile}")
        if isinstance(result, str):
            return result
        raise result


@pytest.fixture
def gateway() -> Gateway:
    """Run a gateway in memory."""
    return Gateway()


@pytest.fixture
def make(sqlite_ledger: Ledger, gateway: Gateway) -> Make:
    """Make campaigns on an embedded ledger, loaded where there are numbers.

    The plan's fields are keywords.
    """

    def made(numbers: list[str] | None = None, *, lease: float = 60.0, **fields: Any) -> Campaign:
        campaign = Campaign(plan(**fields), sqlite_ledger, gateway, lease=lease)
        if numbers is not None:
            campaign.load(audience_from(numbers), f"test/{hash(tuple(numbers))}")
        return campaign

    return made
