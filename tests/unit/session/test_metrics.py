"""Metrics arrive at a real socket, and a campaign does not stop because they cannot."""

from __future__ import annotations

import inspect
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, Stats
from airflow.sdk._shared.observability.metrics.statsd_logger import SafeStatsdLogger
from statsd import StatsClient  # type: ignore[import-untyped]

from airflow_provider_caixin.sandbox import SandboxServer, magic_mobile
from tests.unit.sends import BEIJING, A, B, C, operator

pytestmark = pytest.mark.usefixtures("to_sandbox")


class Received:
    """A StatsD server as far as metrics need one: a UDP socket."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0)

    def lines(self) -> list[str]:
        """Return what has arrived; loopback delivers before sendto returns."""
        found: list[str] = []
        with suppress(BlockingIOError):
            while True:
                found += self.socket.recv(65_536).decode().splitlines()
        return found

    def counters(self) -> Counter[str]:
        """Sum what arrived for each of our counters."""
        counted: Counter[str] = Counter()
        for line in self.lines():
            if match := re.fullmatch(r"airflow\.(caixin\.[\w.]+):(\d+)\|c", line):
                counted[match[1]] += int(match[2])
        return counted


def _send_metrics(factory: Callable[[], Any]) -> None:
    """Send this process's metrics to what a factory makes; Airflow 3.3 has one argument more."""
    options: dict[str, Any] = {"factory": factory, "export_legacy_names": False}
    known = inspect.signature(Stats.initialize).parameters
    Stats.initialize(**{name: value for name, value in options.items() if name in known})


@pytest.fixture
def statsd() -> Iterator[Received]:
    """Let this process's metrics arrive at a socket of ours."""
    received = Received()
    host, port = received.socket.getsockname()

    client = StatsClient(host=host, port=port, prefix="airflow")
    _send_metrics(lambda: SafeStatsdLogger(client))
    yield received
    from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger

    _send_metrics(NoStatsLogger)
    client.close()
    received.socket.close()


def test_metrics(statsd: Received, context: Any) -> None:
    """Counters by code and reason, gauges and timers; nothing that names a recipient or a campaign."""
    mobiles = [A, B, B, "12", BEIJING, magic_mobile(236306), magic_mobile(99004)]
    operator(mobiles=mobiles, max_failure_ratio=None).execute(context)
    lines = statsd.lines()
    counted = sorted(line for line in lines if ":" in line and line.endswith("|c"))
    assert sorted(line.partition(":")[0] for line in counted) == [
        "airflow.caixin.rejected.236306",
        "airflow.caixin.sent",
        "airflow.caixin.skipped.blocked_region",
        "airflow.caixin.skipped.duplicate",
        "airflow.caixin.skipped.invalid_number",
        "airflow.caixin.unknown",
    ]
    others = {line.partition(":")[0] for line in lines} - {line.partition(":")[0] for line in counted}
    assert others == {f"airflow.caixin.{name}" for name in ("load", "send", "pending", "rate", "lag")}
    text = "\n".join(lines)
    assert A not in text
    assert "dag/run" not in text


def test_attempts_add_up(statsd: Received, context: Any, sandbox: SandboxServer) -> None:
    """A retry counts what it does itself, not again what an earlier attempt did."""
    operator(mobiles=[A, B, BEIJING]).execute(context)
    assert statsd.counters() == {"caixin.sent": 2, "caixin.skipped.blocked_region": 1}
    operator(mobiles=[A, B, BEIJING]).execute(context)
    assert statsd.counters() == {}
    operator(mobiles=[A, B, BEIJING, C]).execute(context)
    assert statsd.counters() == {"caixin.sent": 1}
    operator(mobiles=[A], campaign_id="other").execute(context)
    assert statsd.counters() == {"caixin.skipped.frequency_cap": 1}
    assert len(sandbox.billed()) == 3


def test_a_failed_run_counts(statsd: Received, context: Any, sandbox: SandboxServer) -> None:
    """What was done before an error is counted, too; codes outside the document have one name."""
    lost = magic_mobile(236308)
    with pytest.raises(AirflowException):
        operator(mobiles=[lost]).execute(context)
    assert statsd.counters() == {"caixin.rejected.236308": 1}
    assert not sandbox.billed()


def test_window_waits(statsd: Received, context: Any) -> None:
    """A run that finds the window closed says for how long."""
    task = operator(mobiles=[A], send_window=_closed(), outside_window="fail")
    with pytest.raises(AirflowFailException):
        task.execute(context)
    lines = statsd.lines()
    assert "airflow.caixin.window.closed:1|c" in lines
    (wait,) = (line for line in lines if line.startswith("airflow.caixin.window.wait:"))
    assert 0 < float(wait.partition(":")[2].removesuffix("|ms")) <= 86_400_000


@pytest.mark.usefixtures("statsd")
def test_metrics_that_cannot_be_told(context: Any, logged: Callable[[], str]) -> None:
    """The campaign goes on, and the log says it once."""
    broken = SimpleNamespace()
    _send_metrics(lambda: broken)
    assert operator(mobiles=[A]).execute(context)["sent"] == 1
    assert logged().count("Metrics cannot be sent") == 1


def _closed() -> str:
    """Return a window of two hours that is closed now."""
    from datetime import datetime, timedelta

    from airflow_provider_caixin.china_time import CHINA

    hour = (datetime.now(CHINA) + timedelta(hours=3)).hour
    return f"{hour:02}:00-{hour:02}:59"
