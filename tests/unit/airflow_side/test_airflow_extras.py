"""What comes beside a campaign: asset events, metrics, the link to the media, a word about opting out, who had the template."""

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
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, Asset, Stats
from airflow.sdk import AssetAlias
from airflow.sdk._shared.observability.metrics.statsd_logger import SafeStatsdLogger
from airflow.sdk.execution_time.context import OutletEventAccessors
from statsd import StatsClient  # type: ignore[import-untyped]

from airflow_provider_caixin.juhe import Template
from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.operators.links import TemplateMediaLink
from airflow_provider_caixin.sandbox import SandboxServer, magic_mobile
from tests.unit.conftest import Connect

A, B, C = "13912340001", "13912340002", "13912340003"
BEIJING = "13501000001"

pytestmark = pytest.mark.usefixtures("to_sandbox")


def operator(**arguments: Any) -> CaixinSendOperator:
    """Make an operator of template 65535."""
    return CaixinSendOperator(**{"task_id": "send", "tpl_id": 65535, **arguments})


# ---------------------------------------------------------------------- asset events


def test_asset_events(context: Any) -> None:
    """Each asset among the outlets gets the counts, beside what the Dag put there; no number and no sid."""
    sent, other, alias = Asset("sent"), Asset("other"), AssetAlias("alias")
    events = OutletEventAccessors()
    events[other].extra["by"] = "me"
    result = operator(mobiles=A, outlets=[sent, other, alias]).execute(dict(context, outlet_events=events))  # type: ignore[arg-type]
    counts = {key: value for key, value in result.items() if key not in ("report_file", "sid")}
    assert counts["sent"] == 1
    assert events[sent].extra == counts
    assert events[other].extra == {"by": "me", **counts}
    assert A not in repr(events)


# ---------------------------------------------------------------------- metrics


class Received:
    """A StatsD server as far as metrics need one: a UDP socket."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0)

    def lines(self) -> list[str]:
        """Give what has arrived; loopback delivers before sendto returns."""
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
    """Counters by code and reason, gauges and timers; nothing that names a person or a campaign."""
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
    """Give a window of two hours that is closed now."""
    from datetime import datetime, timedelta

    from airflow_provider_caixin.china_time import CHINA

    hour = (datetime.now(CHINA) + timedelta(hours=3)).hour
    return f"{hour:02}:00-{hour:02}:59"


# ---------------------------------------------------------------------- the media link


def test_the_media_link(context: Any, sandbox: SandboxServer) -> None:
    """It leads to the video, from when the template was looked at: the UI does not ask again when the task has ended."""
    task = operator(mobiles=[A])
    pushed: dict[str, tuple[str, int]] = {}
    context["ti"].xcom_push = lambda key, value: pushed.update({key: (value, len(sandbox.requests()))})
    link = TemplateMediaLink()
    assert link.get_link(task, ti_key=context["ti"]) == ""
    task.execute(context)
    assert link.get_link(task, ti_key=context["ti"]) == f"{sandbox.url}/media/sunrise.mp4"
    assert pushed[link.xcom_key] == (f"{sandbox.url}/media/sunrise.mp4", 0)
    assert [one.name for one in task.operator_extra_links] == ["Campaign", "Template media"]


# ---------------------------------------------------------------------- opting out


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("拒收请回复R", True),
        ("退订回T", True),
        ("回TD退订", True),
        ("回T", True),
        ("回复TD", True),
        ("回复“N”", True),
        ("回Ｔ", True),
        ("取消订阅请致电", True),
        ("您预订的图书已到店", False),
        ("回TOP领奖", False),
        ("回复1参加", False),
        ("", False),
    ],
)
def test_ways_to_opt_out(text: str, named: bool) -> None:
    """In words or as the code that people know."""
    assert Template(1, f"【店】{text}", "", True, None).names_opt_out is named


@pytest.mark.parametrize(("tpl_id", "warned"), [(65535, False), (65539, True)])
def test_content_without_a_way_out(
    context: Any, logged: Callable[[], str], tpl_id: int, warned: bool
) -> None:
    """The check warns, and sends all the same."""
    assert operator(tpl_id=tpl_id, mobiles=[A]).execute(context)["sent"] == 1
    assert ("names no way to opt out" in logged()) is warned


# ---------------------------------------------------------------------- dry runs and budgets


def test_who_had_the_template(context: Any, to_sandbox: Connect) -> None:
    """A dry run tells how many of those who would get it already did, in another campaign or this one's other rows."""
    to_sandbox(frequency_cap="none")
    operator(mobiles=[A, B, magic_mobile(99004)], campaign_id="before", max_failure_ratio=None).execute(
        context
    )
    operator(tpl_id=65536, mobiles=[C], campaign_id="another template").execute(context)
    mobiles = [A, B, C, C, magic_mobile(99004), "12"]
    result = operator(mobiles=mobiles, dry_run=True, campaign_id="now").execute(context)
    assert (result["would_send"], result["had_template"], result["had_template_among"]) == (4, 3, 4)
    operator(mobiles=[C], campaign_id="now").execute(context)
    result = operator(mobiles=mobiles, dry_run=True, campaign_id="now").execute(context)
    assert (result["would_send"], result["had_template"], result["had_template_among"]) == (3, 3, 3)
    assert "had_template" not in operator(mobiles=[C], campaign_id="now").execute(context)


@pytest.mark.parametrize(("given", "sent"), [("1", 1), (" 0 ", 0), ("off", 2), (" Off", 2)])
def test_a_budget_may_be_a_template(context: Any, given: Any, sent: int) -> None:
    """Jinja makes a text of a number."""
    assert operator(mobiles=[A, B], max_messages=given).execute(context)["sent"] == sent


@pytest.mark.parametrize("given", ["many", "-2", "1.5", -1, 2.5, True, "None", ""])
def test_a_budget_that_is_none(context: Any, given: Any) -> None:
    """It is refused before anything is sent."""
    with pytest.raises(
        AirflowFailException, match=r"max_messages .*: expected a (whole number from 0, or None|value)"
    ):
        operator(mobiles=[A], max_messages=given).execute(context)
