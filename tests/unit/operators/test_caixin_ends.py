"""How a task ends when its campaign does not: closed window, quota, pause, cancel, kill."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    TaskDeferred,
)
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk.exceptions import AirflowRescheduleException

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.ledger.admin import controls
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.settings.ledgers import open_ledger
from tests.unit.sends import TWENTY, billed, closed_window, to_twenty

pytestmark = pytest.mark.usefixtures("to_sandbox")


def opening() -> datetime:
    """Return when the closed window opens."""
    return closed_window().next_opening(datetime.now(UTC))


# ---------------------------------------------------------------------- before the first send


def test_deferred(sandbox: SandboxServer, context: Any) -> None:
    """Outside the window it waits in the triggerer until the opening; the trigger carries nothing else."""
    with pytest.raises(TaskDeferred) as caught:
        to_twenty(send_window=closed_window(), deferrable=True).execute(context)
    trigger = caught.value.trigger
    assert isinstance(trigger, DateTimeTrigger)
    assert trigger.moment == opening()
    assert trigger.serialize()[1] == {"moment": opening(), "end_from_trigger": False}
    assert (caught.value.method_name, caught.value.kwargs) == ("resume", None)
    assert not sandbox.requests()
    assert sandbox.state()["template_calls"] == 1, "a new campaign's, before it is bound to it"


@pytest.mark.parametrize("hours", [{}, {"send_window": closed_window()}], ids=["by day", "at night"])
def test_a_wrong_template_binds_no_campaign(
    context: Any, sandbox: SandboxServer, hours: dict[str, Any]
) -> None:
    """It is corrected in the Dag, and the same task goes on with the same campaign_id."""
    with pytest.raises(AirflowFailException, match="99999"):
        to_twenty(tpl_id=99999, campaign_id="c", **hours).execute(context)
    assert sandbox.billed() == []
    assert to_twenty(campaign_id="c").execute(context)["sent"] == 20


def test_a_gateway_that_is_down_at_night(context: Any, sandbox: SandboxServer) -> None:
    """The campaign waits for its opening, when the template is looked at in any case."""
    sandbox.configure(maintenance=True)
    with pytest.raises(AirflowRescheduleException):
        to_twenty(send_window=closed_window(), deferrable=False).execute(context)
    with pytest.raises(AirflowException, match="10020"):
        to_twenty(campaign_id="by day").execute(context)


def test_rescheduled(sandbox: SandboxServer, context: Any) -> None:
    """Without a triggerer the task is rescheduled for the opening."""
    with pytest.raises(AirflowRescheduleException) as caught:
        to_twenty(send_window=closed_window(), deferrable=False).execute(context)
    assert caught.value.reschedule_date == opening()
    assert caught.value.reschedule_date.utcoffset() == timedelta(0)
    assert not sandbox.requests()


def test_resumed(sandbox: SandboxServer, context: Any) -> None:
    """To resume is to run again, whatever the trigger said."""
    with pytest.raises(TaskDeferred):
        to_twenty(send_window=closed_window(), deferrable=True).execute(context)
    assert to_twenty(deferrable=True).resume(context, event=opening())["sent"] == 20
    assert billed(sandbox) == TWENTY


def test_failed(sandbox: SandboxServer, context: Any) -> None:
    """On request it fails without a retry, names the opening and keeps everybody pending."""
    with pytest.raises(AirflowFailException, match="20 recipients stay pending") as caught:
        to_twenty(send_window=closed_window(), outside_window="fail").execute(context)
    assert f"{opening():%Y-%m-%d %H:%M}" in str(caught.value)
    assert not sandbox.requests()
    assert to_twenty(mobiles=[]).execute(context)["sent"] == 20


def test_skipped(sandbox: SandboxServer, context: Any) -> None:
    """On request the task is skipped, and nobody is left for a later run of the campaign to send to."""
    with pytest.raises(AirflowSkipException) as caught:
        to_twenty(send_window=closed_window(), outside_window="skip").execute(context)
    assert f"{opening():%Y-%m-%d %H:%M}" in str(caught.value)
    assert to_twenty(mobiles=[]).execute(context)["total"] == 0
    assert not sandbox.requests()


def test_a_finished_campaign_does_not_wait(context: Any) -> None:
    """A cleared task with nobody left returns its counts at any hour."""
    first = to_twenty().execute(context)
    for choice in ("wait", "fail", "skip"):
        assert to_twenty(send_window=closed_window(), outside_window=choice).execute(context) == first


def test_a_dry_run_does_not_wait(context: Any) -> None:
    """A dry run sends nothing, so it runs at any hour."""
    assert to_twenty(send_window=closed_window(), dry_run=True).execute(context)["would_send"] == 20


# ---------------------------------------------------------------------- half-way, by a quota that ends


def half_way(sandbox: SandboxServer, context: Any, **arguments: Any) -> Any:
    """Run until the gateway's quota is used up."""
    sandbox.configure(quota=5)
    try:
        return to_twenty(**arguments).execute(context)
    finally:
        sandbox.configure(quota=None)


def test_deferred_half_way(sandbox: SandboxServer, context: Any) -> None:
    """What is left waits for the next day; the resumed task sends it and nobody gets two messages."""
    with pytest.raises(TaskDeferred) as caught:
        half_way(sandbox, context, deferrable=True)
    tomorrow = datetime.now(CHINA).date() + timedelta(days=1)
    assert isinstance(caught.value.trigger, DateTimeTrigger)
    assert caught.value.trigger.moment.astimezone(CHINA).isoformat() == f"{tomorrow}T00:00:00+08:00"
    assert len(billed(sandbox)) == 5
    assert to_twenty().resume(context)["sent"] == 20
    assert billed(sandbox) == TWENTY


def test_failed_half_way(sandbox: SandboxServer, context: Any) -> None:
    """The failure says how many are left."""
    with pytest.raises(AirflowFailException, match="15 recipients stay pending"):
        half_way(sandbox, context, outside_window="fail")


def test_skipped_half_way(sandbox: SandboxServer, context: Any) -> None:
    """The rest is skipped and the counts come back."""
    result = half_way(sandbox, context, outside_window="skip")
    assert (result["sent"], result["skipped"], result["pending"]) == (5, {"window_closed": 15}, 0)


# ---------------------------------------------------------------------- paused, cancelled, killed


def test_paused(sandbox: SandboxServer, context: Any) -> None:
    """A paused campaign is looked at again in a minute, deferrable or not, and goes on when it is resumed."""
    to_twenty(mobiles=[]).execute(context)
    with closing(open_ledger(None)) as ledger:
        controls.pause_campaign(ledger, "dag/run/send")
    with pytest.raises(AirflowRescheduleException) as caught:
        to_twenty(deferrable=True).execute(context)
    assert timedelta(seconds=50) < caught.value.reschedule_date - datetime.now(UTC) <= timedelta(seconds=60)
    assert not sandbox.requests()
    with closing(open_ledger(None)) as ledger:
        controls.pause_campaign(ledger, "dag/run/send", paused=False)
    assert to_twenty().execute(context)["sent"] == 20


def test_cancelled(sandbox: SandboxServer, context: Any, tmp_path: Any, logged: Callable[[], str]) -> None:
    """A cancelled campaign fails without a retry, after its counts and its report."""
    to_twenty(mobiles=[]).execute(context)
    with closing(open_ledger(None)) as ledger:
        controls.cancel_campaign(ledger, "dag/run/send")
    with pytest.raises(AirflowFailException, match="was cancelled"):
        to_twenty(report_file=str(tmp_path / "report.csv")).execute(context)
    assert not sandbox.requests()
    assert "cancelled: 20" in logged()
    assert (tmp_path / "report.csv").read_text(encoding="utf-8-sig").count("cancelled") == 20


def test_killed(sandbox: SandboxServer, to_sandbox: Any, context: Any) -> None:
    """A kill ends the run as a failure that Airflow retries; the retry finishes, nobody gets two messages."""
    to_sandbox(messages_per_second=20)
    running = to_twenty()

    def kill_when_it_sends() -> None:
        while not sandbox.requests():
            pass
        running.on_kill()

    killer = threading.Thread(target=kill_when_it_sends)
    killer.start()
    with pytest.raises(AirflowException, match="told to stop") as caught:
        running.execute(context)
    killer.join()
    assert not isinstance(caught.value, AirflowFailException)
    assert 0 < len(billed(sandbox)) < 20
    to_sandbox()
    assert to_twenty().execute(context)["sent"] == 20
    assert billed(sandbox) == TWENTY


def test_killed_before_it_began(sandbox: SandboxServer, context: Any) -> None:
    """A kill that comes before execute is not lost."""
    killed = to_twenty()
    killed.on_kill()
    with pytest.raises(AirflowException, match="stop"):
        killed.execute(context)
    assert not sandbox.requests()


def test_a_kill_stays_with_its_task(context: Any) -> None:
    """Another task of the same class goes on."""
    to_twenty().on_kill()
    assert to_twenty().execute(context)["sent"] == 20


def test_progress(context: Any, to_sandbox: Any, logged: Callable[[], str]) -> None:
    """A run that takes its time tells how far it is, in the log and in the state store."""
    to_sandbox(messages_per_second=10)
    kept: dict[str, Any] = {}

    class Store:
        def get(self, key: str) -> Any:
            return kept.get(key)

        def set(self, key: str, value: Any, **_: Any) -> None:
            kept[key] = value

    context["task_state_store"] = Store()
    to_twenty().execute(context)
    assert " of 20 done: " in logged()
    assert kept["progress"]["total"] == 20
