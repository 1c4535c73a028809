"""Processes that die, freeze and share: nobody billed twice, nobody lost."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL

from airflow_provider_caixin.china_time import china_midnight
from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.engines import WRITER
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.rows import load as load_rows
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.vocabulary import State
from tests.faults.clocks import Clock
from tests.faults.workers import freeze

SENDER = Path(__file__).with_name("sender.py")
LEASE = 3.0
# Where no lease is to run out: a busy machine's answers are late, and none of them is unknown.
PATIENT = {"timeout": 5.0, "lease": 20.0}
# As usual, longer than a database lets a suspended process hold everyone up.
OVER_IDLE = WRITER.idle + 3.0
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(ledger_url: URL, gateway: SandboxServer, audience: Path) -> Iterator[Start]:
    """Start sender processes on one ledger; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def one(*, lease: float = LEASE, clock: Clock | None = None, **plan: Any) -> subprocess.Popen[str]:
        order = {
            "plan": {
                "campaign_id": "campaign",
                "tpl_id": 65535,
                "account": "account",
                "timeout": 0.6,
                **plan,
            },
            "ledger": ledger_url.render_as_string(hide_password=False),
            "port": gateway.port,
            "file": str(audience),
            "lease": lease,
            "clock": clock and str(clock.file),
            # A file's clock is the host's.
            "ledger_clock": clock and ledger_url.get_backend_name() != "sqlite" and str(clock.file),
        }
        root = str(Path(__file__).parents[2])
        environment = {**os.environ, "PYTHONPATH": root}
        process = subprocess.Popen(
            [sys.executable, str(SENDER), json.dumps(order)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        started.append(process)
        return process

    yield one
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture
def audience(tmp_path: Path) -> Path:
    """Write two thousand numbers."""
    file = tmp_path / "audience.txt"
    file.write_text("".join(f"{13_912_340_000 + index}\n" for index in range(2_000)))
    return file


@pytest.fixture
def gateway() -> Iterator[SandboxServer]:
    """Run a sandbox that takes as long as the real gateway."""
    with SandboxServer(process=True, latency_ms=(150, 250)) as server:
        yield server


def wait_for_sends(gateway: SandboxServer, count: int, process: subprocess.Popen[str]) -> None:
    """Wait until the gateway saw so many, or the process has ended."""
    while gateway.state()["requests"] < count and process.poll() is None:
        time.sleep(0.01)


def result_of(process: subprocess.Popen[str]) -> Any:
    """Wait for a process and read what became of the campaign."""
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, output
    return json.loads(output.splitlines()[-1])


def counts_in(ledger_url: URL) -> dict[State, int]:
    """Count the campaign's recipients row by row, and check its own counts by that."""
    ledger = Ledger(ledger_url)
    with ledger.reading() as connection:
        key = campaign_rows.peek_campaign(connection, "campaign", 1, 65535)
        assert key is not None
        counted = load_rows.count_states(connection, key)
        assert campaign_rows.CampaignRow.read(connection, key).counts == counted
    ledger.close()
    return counted


def rows_in(ledger: Ledger) -> int:
    """Count the recipients of a ledger, also those of a load that is not done."""
    with ledger.reading() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(schema.recipient)).scalar_one()


def test_kill_9_in_the_middle(start: Start, gateway: SandboxServer, ledger_url: URL) -> None:
    """At a random moment, then run again.

    Nobody billed twice, nobody missing, unknown only what was in the air.
    """
    chance = random.Random(ledger_url.get_backend_name())
    process = start()
    wait_for_sends(gateway, chance.randint(1, 1_500), process)
    time.sleep(chance.uniform(0, 0.3))
    process.send_signal(signal.SIGKILL)
    process.wait()
    held = counts_in(ledger_url)
    in_air = held[State.IN_FLIGHT]
    result = result_of(start(**PATIENT))
    state = gateway.state()
    assert state["duplicates"] == 0
    assert result["total"] == 2_000
    assert result["sent"] + result["unknown"] == 2_000
    assert result["unknown"] == held[State.UNKNOWN] + in_air
    assert result["sent"] <= state["billed"] <= result["sent"] + result["unknown"]
    # A tick's claims, and what a rate of 294/s has out until the time-out and the tick that settles it.
    assert in_air <= 294 * (0.6 + 0.3)


def test_a_process_that_freezes_for_longer_than_its_lease(
    start: Start, gateway: SandboxServer, ledger_url: URL
) -> None:
    """The other one finishes; when the first wakes up it sends nothing late and nobody twice."""
    first = start(lease=OVER_IDLE)
    wait_for_sends(gateway, 300, first)
    freeze(first, ledger_url)
    frozen_at = gateway.state()["requests"]
    second = start(lease=OVER_IDLE)
    wait_for_sends(gateway, frozen_at + 300, second)
    time.sleep(OVER_IDLE)
    first.send_signal(signal.SIGCONT)
    results = [result_of(first), result_of(second)]
    state = gateway.state()
    assert state["duplicates"] == 0
    assert state["overlapping"] == 0
    final = counts_in(ledger_url)
    assert final[State.PENDING] == final[State.IN_FLIGHT] == 0
    assert final[State.SENT] + final[State.UNKNOWN] == 2_000
    assert results[0]["total"] == results[1]["total"] == 2_000
    assert final[State.SENT] <= state["billed"] <= final[State.SENT] + final[State.UNKNOWN]


def test_a_process_that_freezes_while_the_ledger_is_busy(
    start: Start, gateway: SandboxServer, ledger_url: URL
) -> None:
    """It slept longer than a lease; that is no silence of the ledger's, and the run goes on."""
    process, ledger = start(), Ledger(ledger_url)
    wait_for_sends(gateway, 300, process)
    with ledger.writing() as connection:
        connection.execute(sa.select(schema.account.c.id).with_for_update()).all()
        # By now it waits for this lock, as every tick needs it.
        time.sleep(0.5)
        freeze(process)
    time.sleep(LEASE + 0.5)
    process.send_signal(signal.SIGCONT)
    result = result_of(process)
    ledger.close()
    assert result["sent"] + result["unknown"] == 2_000
    assert gateway.state()["duplicates"] == 0


def test_two_processes_share_one_campaign_and_its_rate(start: Start, gateway: SandboxServer) -> None:
    """They take other recipients, and the account's slots are a rate apart, whoever takes them."""
    twins = [start(**PATIENT), start(**PATIENT)]
    results = [result_of(twin) for twin in twins]
    assert [result["sent"] for result in results] == [2_000, 2_000]
    state = gateway.state()
    assert state["billed"] == state["billed_numbers"] == 2_000
    assert state["last_arrival"] - state["first_arrival"] > 2_000 / 294 - 0.5


@pytest.mark.usefixtures("one_china_day")
def test_two_campaigns_in_two_processes_with_one_a_day(start: Start, gateway: SandboxServer) -> None:
    """Each recipient gets one message, from either."""
    both = [start(campaign_id=name, cap=1, **PATIENT) for name in ("one", "two")]
    results = [result_of(process) for process in both]
    assert sum(result["sent"] for result in results) == 2_000
    assert sum(result["skipped"].get("frequency_cap", 0) for result in results) == 2_000
    state = gateway.state()
    assert state["billed"] == state["billed_numbers"] == 2_000


def test_sigterm_ends_a_run_in_time_and_never_as_done(
    start: Start, gateway: SandboxServer, ledger_url: URL
) -> None:
    """The process answers for what it sent, leaves the rest pending, and a rerun finishes."""
    process = start(**PATIENT)
    wait_for_sends(gateway, 200, process)
    process.terminate()
    output, _ = process.communicate(timeout=30)
    assert output.splitlines()[-1] == "CampaignStopped"
    held = counts_in(ledger_url)
    assert held[State.IN_FLIGHT] == 0
    assert held[State.PENDING] > 0
    assert held[State.SENT] == gateway.state()["billed"]
    assert result_of(start(**PATIENT))["sent"] == 2_000
    assert gateway.state()["duplicates"] == 0


def test_a_window_that_closes(start: Start, gateway: SandboxServer, tmp_path: Path) -> None:
    """Of a running process: the last request leaves before the closing, the rest stays pending."""
    clock = Clock(tmp_path / "clock")
    closes = china_midnight(time.time()) + 18 * 3600
    clock.go_to(closes - 3600)
    process = start(window="09:00-18:00", rate=100, clock=clock)
    wait_for_sends(gateway, 200, process)
    clock.go_to(closes - 10)
    output, _ = process.communicate(timeout=60)
    assert output.splitlines()[-1] == "OutsideWindow"
    state = gateway.state()
    assert 200 <= state["billed"] < 2_000
    assert state["last_arrival"] + clock.offset <= closes - 5.0


def test_a_process_killed_while_it_loads(
    start: Start, gateway: SandboxServer, audience: Path, ledger_url: URL
) -> None:
    """Nothing was sent, and the next run takes the load over and sends everyone once."""
    with audience.open("a") as file:
        file.writelines(f"{13_500_000_000 + index}\n" for index in range(98_000))
    process = start(max_messages=100)
    ledger = Ledger(ledger_url)
    while not (loaded := rows_in(ledger)) and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    output, _ = process.communicate()
    assert "loaded" not in output
    assert 0 < loaded <= rows_in(ledger) < 100_000
    ledger.close()
    assert gateway.state()["requests"] == 0
    result = result_of(start(max_messages=100, **PATIENT))
    assert result["total"] == 100_000
    assert result["sent"] == 100
    assert gateway.state()["duplicates"] == 0
