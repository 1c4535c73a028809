"""A ledger that fails or falls silent while a campaign runs."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

import pytest
from sqlalchemy.engine import URL

from airflow_provider_caixin.campaign import (
    CampaignError,
    LedgerSilent,
    StoppedInSilence,
)
from airflow_provider_caixin.campaign.lookahead import MOST_LEAD_SECONDS, reach_of
from airflow_provider_caixin.ledger import Ledger, LedgerUnavailable
from airflow_provider_caixin.sandbox import SandboxServer
from tests.databases import SERVERS
from tests.integration.campaigns import LEASE, Make, numbers


def test_a_ledger_that_is_locked_stops_sending_and_loses_no_answer(
    make: Make, gateway: SandboxServer, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nothing can be recorded nothing leaves.

    When it is back, answers are settled and the rest goes out.
    """
    writing, failing, failed = ledger.writing, threading.Event(), threading.Event()

    def sometimes() -> object:
        if failing.is_set():
            failed.set()
            raise LedgerUnavailable("The ledger did not answer: disk full")
        return writing()

    gateway.configure(latency_ms=[100, 100])
    # Longer than a busy machine keeps an answer waiting.
    campaign = make(numbers(150), rate=100, timeout=5, lease=20)
    monkeypatch.setattr(ledger, "writing", sometimes)
    thread = threading.Thread(target=campaign.send)
    thread.start()
    while gateway.state()["requests"] < 30:
        time.sleep(0.01)
    failing.set()
    assert failed.wait(10)
    # What was claimed before that leaves at its slots.
    time.sleep(reach_of(MOST_LEAD_SECONDS) + 0.1)
    stuck = gateway.state()["requests"]
    time.sleep(0.5)
    assert gateway.state()["requests"] == stuck
    failing.clear()
    thread.join(30)
    assert campaign.counts().sent == 150
    assert gateway.state()["billed"] == 150


class Silence:
    """Pass a database's connections on, until it falls silent: it then takes everything and says nothing."""

    def __init__(self, host: str, port: int) -> None:
        self.fallen = threading.Event()
        self._to = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                pair = (self._listener.accept()[0], socket.create_connection(self._to))
                self._sockets += pair
                for one, other in (pair, pair[::-1]):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65_536):
                if not self.fallen.is_set():
                    other.sendall(data)

    def end(self) -> None:
        """Close everything."""
        for one in (self._listener, *self._sockets):
            one.close()


@SERVERS
@pytest.mark.parametrize(
    ("told", "kind", "within"), [(True, StoppedInSilence, 4.5), (False, LedgerSilent, LEASE + 1)]
)
def test_a_ledger_that_falls_silent(
    make: Make,
    gateway: SandboxServer,
    ledger_url: URL,
    told: bool,
    kind: type[Exception],
    within: float,
) -> None:
    """It neither answers nor fails.

    The run ends after a lease, or soon after it was told to, and nothing leaves meanwhile.
    """
    assert ledger_url.host is not None
    assert ledger_url.port is not None
    silence = Silence(ledger_url.host, ledger_url.port)
    ledger = Ledger(ledger_url.set(port=silence.port))
    stop = threading.Event()
    ended: list[BaseException] = []

    def send() -> None:
        try:
            make(numbers(500), rate=100, ledger=ledger).send(stop)
        except CampaignError as error:
            ended.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    while gateway.state()["requests"] < 20:
        time.sleep(0.01)
    silence.fallen.set()
    fell_at = time.monotonic()
    if told:
        stop.set()
    thread.join(20)
    assert [type(error) for error in ended] == [kind]
    assert time.monotonic() - fell_at < within
    requests = gateway.state()["requests"]
    # A tick's slots, and as much again for what had been claimed before.
    assert requests < 20 + 100
    silence.end()
    time.sleep(0.3)
    assert gateway.state()["requests"] == requests
