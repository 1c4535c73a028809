"""The shared rate, where it is low and where ledgers are slow."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy.engine import URL, Connection

from airflow_provider_caixin.juhe.transport import Transport
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.sandbox import SandboxServer
from tests.databases import SERVERS
from tests.integration.campaigns import Make, numbers


def test_a_slow_rate_with_a_slow_connect(
    make: Make, gateway: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections are made anew for each message, and take longer than a tick: they leave all the same."""
    connect = Transport._connect

    def slowly(self: Transport) -> object:
        time.sleep(0.12)
        return connect(self)

    monkeypatch.setattr(Transport, "_connect", slowly)
    monkeypatch.setattr("airflow_provider_caixin.juhe.transport.MAX_IDLE_SECONDS", 0.2)
    campaign = make(numbers(4), rate=3)
    campaign.send()
    assert campaign.counts().sent == gateway.state()["billed"] == 4


def test_a_slow_rate_is_reached(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next slot is looked for when it comes into reach, however long an idle run would sleep."""
    monkeypatch.setattr("airflow_provider_caixin.campaign.lookahead.IDLE_SECONDS", 600.0)
    campaign = make(numbers(4), rate=4)
    campaign.send()
    assert campaign.counts().sent == 4


def test_a_ledger_that_takes_longer_than_a_tick(
    make: Make, gateway: SandboxServer, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slots are taken as far ahead as a commit takes, so that not everything is late."""
    now = ledger.now

    def slow(connection: Any) -> float:
        time.sleep(0.005)
        read = now(connection)
        time.sleep(0.08)
        return read

    monkeypatch.setattr(ledger, "now", slow)
    campaign = make(numbers(60), rate=100)
    campaign.send()
    assert campaign.counts().sent == 60
    assert gateway.state()["worst_second"] <= 102


@SERVERS
def test_campaigns_on_a_quick_and_a_slow_host_share_the_rate(
    make: Make, gateway: SandboxServer, ledger_url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose commits are slow takes slots further ahead, and yet leaves some to the other one."""
    far = Ledger(ledger_url)
    writing = far.writing

    @contextmanager
    def from_afar() -> Iterator[Connection]:
        with writing() as connection:
            yield connection
            # Each statement took its time, and the account was locked meanwhile.
            time.sleep(0.15)

    monkeypatch.setattr(far, "writing", from_afar)
    audiences = {"quick": numbers(200), "slow": numbers(200, start=200)}
    both = [
        make(audiences["quick"], campaign_id="quick", rate=60),
        make(audiences["slow"], campaign_id="slow", rate=60, ledger=far),
    ]
    threads = [threading.Thread(target=campaign.send) for campaign in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    sent = [campaign.counts().sent for campaign in both]
    far.close()
    assert sent == [200, 200]
    mobiles = [row["mobile"] for row in gateway.requests()]
    last = {name: max(mobiles.index(number) for number in given) for name, given in audiences.items()}
    together = mobiles[: min(last.values())]
    for given in audiences.values():
        assert len(set(together) & set(given)) > len(together) / 10
