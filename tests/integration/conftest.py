"""Campaigns against the sandbox, over real sockets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_caixin.audience import audience_from
from airflow_provider_caixin.campaign import Campaign, Plan
from airflow_provider_caixin.juhe import JuheClient
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.machine import Machine
from airflow_provider_caixin.sandbox import SandboxServer

KEY = "0123456789abcdef0123456789abcdef"
TIMEOUT = 2.0
LEASE = 7.0

Make = Callable[..., Campaign]


@pytest.fixture
def gateway() -> Iterator[SandboxServer]:
    """Run a sandbox on a free port."""
    with SandboxServer() as server:
        yield server


@pytest.fixture
def make(gateway: SandboxServer, ledger: Ledger) -> Iterator[Make]:
    """Make loaded campaigns on each ledger in turn; the plan's fields are keywords.

    A clock is the host's and the ledger's.
    """
    clients: list[JuheClient] = []

    def made(numbers: list[str] | None = None, *, key: str = KEY, clock: Any = None, **plan: Any) -> Campaign:
        opened = plan.pop("ledger", ledger)
        opened.machine = Machine(clock or time.time)
        if ledger_clock := plan.pop("ledger_clock", clock):
            opened.now = lambda _: ledger_clock()  # the servers' clocks are their own
        port = plan.pop("port", gateway.port)
        timeout, lease = plan.pop("timeout", TIMEOUT), plan.pop("lease", LEASE)
        client = JuheClient(key, host=gateway.host, port=port, schema="http", timeout=timeout)
        clients.append(client)
        fields = {
            "campaign_id": "campaign",
            "tpl_id": 65535,
            "account": "account",
            "timeout": timeout,
            **plan,
        }
        campaign = Campaign(Plan(**fields), opened, client, lease=lease)
        if numbers is not None:
            campaign.load(audience_from(numbers), f"test/{hash(tuple(numbers))}")
        return campaign

    yield made
    for client in clients:
        client.close()
