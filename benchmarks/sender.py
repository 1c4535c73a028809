"""A process that sends one campaign and says what that took.

Usage: python -m benchmarks.sender LEDGER PORT PLAN

It opens the ledger, says ``ready``, and sends when a line comes in, so that several begin together. PLAN is a
JSON object of the plan's fields.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from typing import Any, NamedTuple

from sqlalchemy import event
from sqlalchemy.engine import URL

from airflow_provider_caixin.campaign import Campaign, Plan
from airflow_provider_caixin.juhe import JuheClient
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.rules import FrequencyCap
from airflow_provider_caixin.sandbox import SandboxServer

KEY = "benchmark"
RATE = 294.0
PLAN: dict[str, Any] = {"campaign_id": "benchmark", "tpl_id": 65535, "account": "benchmark", "rate": RATE}


class Effort(NamedTuple):
    """What sending took.

    :param cpu: seconds of this process's CPU.
    :param transactions: of the ledger.
    :param middle: the median of their times, in milliseconds, from taking the connection to giving it back.
    :param slow: the time that 5 % of them exceeded.
    """

    cpu: float
    transactions: int
    middle: float
    slow: float


def cpu() -> float:
    """Return this process's CPU time so far, in seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def campaign_on(ledger: Ledger, port: int, **plan: Any) -> Campaign:
    """Open a campaign of the benchmarks, by default with one message a recipient and day.

    :param ledger: the ledger.
    :param port: the sandbox's.
    :param plan: fields of the plan that differ.
    """
    client = JuheClient(KEY, host="127.0.0.1", port=port, schema="http")
    cap = FrequencyCap.parse(plan.pop("cap", "member_marketing"))
    return Campaign(Plan(cap=cap, **{**PLAN, **plan}), ledger, client)


def send(address: str, port: int, **plan: Any) -> Effort:
    """Send what is pending of a campaign.

    :param address: the ledger's.
    :param port: the sandbox's.
    :param plan: fields of the plan that differ.
    """
    ledger = Ledger(address)
    campaign = campaign_on(ledger, port, **plan)
    taken: dict[int, float] = {}
    times: list[float] = []
    pool = ledger.engine.pool

    @event.listens_for(pool, "checkout")
    def take(_connection: object, record: object, _proxy: object) -> None:
        taken[id(record)] = time.monotonic()

    @event.listens_for(pool, "checkin")
    def give_back(_connection: object, record: object) -> None:
        times.append(1000 * (time.monotonic() - taken.pop(id(record))))

    print("ready", flush=True)
    sys.stdin.readline()
    began = cpu()
    campaign.send()
    return Effort(cpu() - began, len(times), statistics.median(times), statistics.quantiles(times, n=20)[-1])


def send_together(processes: int, url: URL, gateway: SandboxServer, **plan: Any) -> list[Effort]:
    """Send a loaded campaign from several processes, which begin when all of them are ready.

    :param processes: how many.
    :param url: the ledger's address.
    :param gateway: the sandbox.
    :param plan: fields of the plan that differ.
    """
    address = url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "benchmarks.sender", address, str(gateway.port), json.dumps(plan)]
    pipe = subprocess.PIPE
    started = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(processes)]
    pipes = [(one.stdin, one.stdout) for one in started if one.stdin and one.stdout]
    for _, output in pipes:
        output.readline()
    for order, _ in pipes:
        order.write("\n")
        order.flush()
    return [Effort(*json.loads(one.communicate()[0])) for one in started]


if __name__ == "__main__":
    print(json.dumps(send(sys.argv[1], int(sys.argv[2]), **json.loads(sys.argv[3]))))
