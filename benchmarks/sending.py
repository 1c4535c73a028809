"""
How fast messages leave, how evenly, and at what cost: one process, four processes, and a bare ``requests`` loop.

Usage: python -m benchmarks.sending

The sandbox runs in a process of its own with 150-250 ms latency, and its record of arrivals is what counts: the mean
rate over the whole run and the most arrivals in any sliding second. The bare loop posts the same messages from
threads with one ``requests.Session`` each, at the same rate, and records nothing: what a Dag author would write
today. The sandbox and all senders share this machine's cores.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import requests

from airflow_provider_caixin.audience import ListAudience
from airflow_provider_caixin.campaign import Campaign, Plan
from airflow_provider_caixin.juhe import JuheClient
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.sandbox import SandboxServer

RUNS = 3
SECONDS = 15
RATE = 294.0
LATENCY_MS = (150, 250)
THREADS = 96
KEY = "benchmark"


class Figures(NamedTuple):
    """What one run came to."""

    rate: float
    worst_second: int
    cpu_ms: float


def people(count: int) -> list[str]:
    """
    Make up numbers that every rule lets pass.

    :param count: how many.
    """
    return [str(13_900_000_000 + index) for index in range(count)]


def cpu() -> float:
    """Return this process's CPU time so far, in seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def send_campaign(port: int, ledger: str) -> float:
    """
    Send what is pending of the benchmark's campaign; return the CPU seconds that it took.

    :param port: the sandbox's.
    :param ledger: the ledger's address.
    """
    client = JuheClient(KEY, host="127.0.0.1", port=port, schema="http")
    campaign = Campaign(plan(), Ledger(ledger), client)
    began = cpu()
    campaign.send()
    return cpu() - began


def plan() -> Plan:
    """Give the plan that all processes share."""
    return Plan(campaign_id="benchmark", tpl_id=65535, account="benchmark", rate=RATE)


def campaign_of(processes: int) -> Callable[[SandboxServer, int], float]:
    """
    Give a contestant: so many processes on one campaign and one ledger.

    :param processes: how many.
    """

    def run(gateway: SandboxServer, count: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            address = f"sqlite:///{Path(folder) / 'ledger.db'}"
            client = JuheClient(KEY, host="127.0.0.1", port=gateway.port, schema="http")
            Campaign(plan(), Ledger(address), client).load(ListAudience(people(count)), "benchmark")
            command = [sys.executable, "-m", "benchmarks.sending", str(gateway.port), address]
            started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
            return sum(float(json.loads(process.communicate()[0])) for process in started)

    return run


def bare_loop(gateway: SandboxServer, count: int) -> float:
    """
    Post the messages from threads at the same rate, with nothing around it; return the CPU seconds.

    :param gateway: the sandbox.
    :param count: how many messages.
    """
    numbers = iter(people(count))
    lock, slot = threading.Lock(), [time.monotonic()]

    def work() -> None:
        with requests.Session() as session:
            while True:
                with lock:
                    number = next(numbers, None)
                    slot[0] = mine = max(slot[0] + 1 / RATE, time.monotonic())
                if number is None:
                    return
                time.sleep(max(0.0, mine - time.monotonic()))
                form = {"key": KEY, "tplId": 65535, "mobile": number}
                session.post(f"{gateway.url}/caixinv2/send", data=form, timeout=10).json()

    began = cpu()
    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return cpu() - began


def measure(run: Callable[[SandboxServer, int], float]) -> Figures:
    """
    Run a contestant against a sandbox of its own.

    :param run: the contestant.
    """
    count = round(RATE * SECONDS)
    with SandboxServer(process=True, latency_ms=LATENCY_MS) as gateway:
        used = run(gateway, count)
        state = gateway.state()
    if state["billed"] != state["billed_numbers"] or state["billed"] != count:
        raise RuntimeError(f"{count} messages, {state['billed']} billed to {state['billed_numbers']} numbers")
    lasted = state["last_arrival"] - state["first_arrival"]
    return Figures((count - 1) / lasted, state["worst_second"], 1000 * used / count)


def main() -> None:
    """Print the figures of each run; the contestants take turns, so that a noisy moment meets all."""
    contestants = {
        "1 process": campaign_of(1),
        "4 processes": campaign_of(4),
        "bare requests loop": bare_loop,
    }
    print(f"{RATE:g}/s set, {LATENCY_MS[0]}-{LATENCY_MS[1]} ms latency, {SECONDS} s a run, {RUNS} runs")
    print(f"{'':22}{'messages/s':>12}{'worst second':>14}{'CPU ms/message':>16}{'to bare loop':>14}")
    for _ in range(RUNS):
        figures = {name: measure(run) for name, run in contestants.items()}
        bare = figures["bare requests loop"].cpu_ms
        for name, one in figures.items():
            print(
                f"{name:22}{one.rate:12.1f}{one.worst_second:14d}{one.cpu_ms:16.2f}{one.cpu_ms / bare:14.2f}",
                flush=True,
            )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(send_campaign(int(sys.argv[1]), sys.argv[2]))
    else:
        main()
