"""How fast messages leave, how evenly, and at what cost: 1, 2 and 4 processes, and a bare ``requests`` loop.

Usage: python -m benchmarks.sending [SECONDS]

The sandbox runs in a process of its own with 150-250 ms latency, and its record of arrivals is what counts:
the mean rate over the whole run and the most arrivals in any sliding second. The bare loop posts the same
messages from threads with one ``requests.Session`` each, at the same rate, and records nothing: the least
that a Dag author's code can cost. CPU is the senders' alone; sandbox, database and senders share this
machine's cores.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import requests

from airflow_provider_caixin.audience import ListAudience
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.sandbox import SandboxServer
from benchmarks.ledgers import DATABASES, empty_ledger, running
from benchmarks.sender import KEY, RATE, Effort, campaign_on, cpu, send_together

RUNS = 3
SECONDS = 10
PROCESSES = (1, 2, 4)
LATENCY_MS = (150, 250)
THREADS = 96

Contestant = Callable[[SandboxServer, list[str]], list[Effort]]


class Figures(NamedTuple):
    """What one run came to.

    :param rate: messages a second, from the first arrival to the last.
    :param worst_second: the most arrivals in any sliding second.
    :param transactions: of the ledger, a message.
    :param cpu_ms: of the senders, a message.
    :param middle: the median of the transactions' times, in milliseconds.
    :param slow: the time that 5 % of them exceeded, in the process where it was the longest.
    """

    rate: float
    worst_second: int
    transactions: float
    cpu_ms: float
    middle: float
    slow: float


def numbers(count: int) -> list[str]:
    """Make up numbers that every rule lets pass.

    :param count: how many.
    """
    return [str(13_900_000_000 + index) for index in range(count)]


def campaign(database: str, processes: int, gateway: SandboxServer, numbers: list[str]) -> list[Effort]:
    """Send with so many processes on one campaign and one ledger.

    :param database: what the ledger is on.
    :param processes: how many.
    :param gateway: the sandbox.
    :param numbers: the audience.
    """
    with empty_ledger(database) as url:
        ledger = Ledger(url)
        campaign_on(ledger, gateway.port).load(ListAudience(numbers), "benchmark")
        ledger.close()
        return send_together(processes, url, gateway)


def bare_loop(gateway: SandboxServer, numbers: list[str]) -> list[Effort]:
    """Post the messages from threads at the same rate, with nothing around it.

    :param gateway: the sandbox.
    :param numbers: the audience.
    """
    left = iter(numbers)
    lock, slot = threading.Lock(), [time.monotonic()]

    def work() -> None:
        with requests.Session() as session:
            while True:
                with lock:
                    number = next(left, None)
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
    return [Effort(cpu() - began, 0, 0.0, 0.0)]


def measure(run: Contestant, count: int) -> Figures:
    """Run a contestant against a sandbox of its own.

    :param run: the contestant.
    :param count: how many messages.
    :raises RuntimeError: when anybody was not billed exactly once: such a run has no figures.
    """
    with SandboxServer(process=True, latency_ms=LATENCY_MS) as gateway:
        efforts = run(gateway, numbers(count))
        state = gateway.state()
    return figures(state, efforts, count)


def figures(state: dict[str, float], efforts: list[Effort], count: int) -> Figures:
    """Put together what one run came to.

    :param state: the sandbox's counts.
    :param efforts: those of each process.
    :param count: how many messages were to be sent.
    :raises RuntimeError: when anybody was not billed exactly once: such a run has no figures.
    """
    if state["billed"] != state["billed_numbers"] or state["billed"] != count:
        raise RuntimeError(f"{count} messages, {state['billed']} billed to {state['billed_numbers']} numbers")
    return Figures(
        rate=(count - 1) / (state["last_arrival"] - state["first_arrival"]),
        worst_second=int(state["worst_second"]),
        transactions=sum(one.transactions for one in efforts) / count,
        cpu_ms=1000 * sum(one.cpu for one in efforts) / count,
        middle=max(one.middle for one in efforts),
        slow=max(one.slow for one in efforts),
    )


def main(seconds: float = SECONDS) -> None:
    """Print the figures of each run; the contestants take turns, so that a noisy moment meets all.

    :param seconds: how long a run is to take.
    """
    contestants: dict[str, Contestant] = {
        f"{processes} on {database}": partial(campaign, database, processes)
        for database in filter(running, DATABASES)
        for processes in PROCESSES
    }
    contestants["bare requests loop"] = bare_loop
    taken: dict[str, list[Figures]] = {name: [] for name in contestants}
    for turn in range(RUNS):
        for name, run in contestants.items():
            taken[name].append(measure(run, round(RATE * seconds)))
            print(f"run {turn + 1}: {name}: {taken[name][-1]}", file=sys.stderr, flush=True)
    print(
        f"{RATE:g}/s set, {LATENCY_MS[0]}-{LATENCY_MS[1]} ms latency, {seconds:g} s a run, {RUNS} runs\n\n"
        "| processes | messages/s | of the rate set | worst sliding second | transactions a message | CPU ms a message | to the bare loop |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    bare = taken["bare requests loop"]
    for name, runs in taken.items():
        cells = (
            [f"{one.rate:.1f}" for one in runs],
            [f"{one.rate / RATE:.1%}" for one in runs],
            [str(one.worst_second) for one in runs],
            [f"{one.transactions:.2f}" for one in runs],
            [f"{one.cpu_ms:.2f}" for one in runs],
            [f"{one.cpu_ms / beside.cpu_ms:.2f}" for one, beside in zip(runs, bare, strict=True)],
        )
        print(f"| {name} |", " | ".join(", ".join(cell) for cell in cells), "|")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
