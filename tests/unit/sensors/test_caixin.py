from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    Asset,
    TaskDeferred,
)
from airflow.sdk.exceptions import AirflowRescheduleException
from airflow.serialization.serialized_objects import BaseSerialization, DagSerialization
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.sensors.caixin import CaixinTemplateSensor, CaixinWindowSensor
from airflow_provider_caixin.triggers.caixin import CaixinTemplateTrigger, CaixinWindowTrigger


def sensor(**arguments: Any) -> CaixinTemplateSensor:
    """Make a sensor of template 65535."""
    return CaixinTemplateSensor(**{"task_id": "wait", "tpl_id": 65535, **arguments})


@pytest.mark.usefixtures("to_sandbox")
def test_an_available_template(context: Any) -> None:
    """The template comes back as a dict of plain values."""
    template = sensor(tpl_id="65535").execute(context)
    assert list(template) == ["tpl_id", "content", "url", "available", "created_at"]
    assert (template["tpl_id"], template["available"]) == (65535, True)
    assert template["created_at"] == "2021-05-19T18:09:15+08:00"


@pytest.mark.usefixtures("to_sandbox")
@pytest.mark.parametrize("tpl_id", [1, 65537])
def test_waiting(tpl_id: int, context: Any) -> None:
    """A template that is missing or not available is waited for, until the time is over."""
    assert not sensor(tpl_id=tpl_id).poke(context)
    with pytest.raises(AirflowSensorTimeout):
        sensor(tpl_id=tpl_id, timeout=0).execute(context)


@pytest.mark.usefixtures("to_sandbox")
@pytest.mark.parametrize(
    ("tpl_id", "arguments", "sentence"),
    [
        (1, {"missing": "fail"}, "Template 1 does not exist"),
        (65537, {"unavailable": "fail"}, "Template 65537 is not available"),
    ],
)
def test_failing(tpl_id: int, arguments: dict[str, Any], sentence: str, context: Any) -> None:
    """On request it fails without a retry and names the template."""
    with pytest.raises(AirflowFailException, match=sentence):
        sensor(tpl_id=tpl_id, **arguments).execute(context)


@pytest.mark.usefixtures("to_sandbox")
def test_a_template_that_becomes_available(sandbox: SandboxServer, context: Any) -> None:
    """The poke after the approval succeeds."""
    waiting = sensor(tpl_id=65538)
    assert not waiting.poke(context)
    sandbox.set_template(65538, available=True)
    assert waiting.poke(context)


@pytest.mark.usefixtures("to_sandbox")
def test_reschedule(context: Any) -> None:
    """In reschedule mode the slot is given back between two pokes."""
    context["ti"].get_first_reschedule_date = lambda _: None
    with pytest.raises(AirflowRescheduleException):
        sensor(tpl_id=65537, mode="reschedule").execute(context)


@pytest.mark.usefixtures("to_sandbox")
def test_a_gateway_in_maintenance(sandbox: SandboxServer, context: Any, logged: Callable[[], str]) -> None:
    """An answer that will change is a warning, and the next poke asks again."""
    sandbox.configure(maintenance=True)
    waiting = sensor()
    assert not waiting.poke(context)
    assert "10020" in logged()
    sandbox.configure(maintenance=False)
    assert waiting.poke(context)


def test_a_gateway_out_of_reach(connect: Any, context: Any) -> None:
    """A connection that is refused may work later."""
    connect(host="127.0.0.1", port=1, schema="http")
    assert not sensor().poke(context)


def test_a_refused_account(sandbox: SandboxServer, connect: Any, context: Any) -> None:
    """An AppKey that the gateway refuses will be refused at the next poke, too."""
    connect(host=sandbox.host, port=sandbox.port, schema="http", password="sandbox-10003")
    with pytest.raises(AirflowFailException, match="10003"):
        sensor().execute(context)


def test_a_bad_connection(connect: Any, context: Any) -> None:
    """A mistake in the connection is not waited for."""
    connect(extra={"timeout": "long"})
    with pytest.raises(AirflowFailException, match="timeout 'long'"):
        sensor().execute(context)


@pytest.mark.usefixtures("to_sandbox")
def test_a_bad_template_id(context: Any) -> None:
    """What a template field came to is checked when it is known."""
    with pytest.raises(AirflowFailException, match="tpl_id 'None'"):
        sensor(tpl_id="None").execute(context)


@pytest.mark.parametrize("argument", ["missing", "unavailable"])
def test_an_unknown_choice(argument: str) -> None:
    """A misspelled choice is an error of the Dag."""
    with pytest.raises(ValueError, match=f"{argument} 'explode'"):
        sensor(**{argument: "explode"})


# ------------------------------------------------------------------ deferred


def deferred(waiting: Any, context: Any) -> TaskDeferred:
    """Execute a sensor that has to wait."""
    with pytest.raises(TaskDeferred) as caught:
        waiting.execute(context)
    return caught.value


def event_of(trigger: Any) -> Any:
    """Run a trigger up to its first event."""

    async def run() -> Any:
        async with aclosing(trigger.run()) as events:
            return (await asyncio.wait_for(anext(events), 30)).payload

    return asyncio.run(run())


@pytest.mark.usefixtures("to_sandbox")
def test_deferrable_and_available(context: Any) -> None:
    """What is there at the first look takes no triggerer."""
    assert sensor(deferrable=True).execute(context) == sensor().execute(context)


@pytest.mark.usefixtures("to_sandbox")
def test_deferred_until_it_is_available(sandbox: SandboxServer, context: Any) -> None:
    """The result is as in the other modes; the end is a moment, and Airflow's own time-out comes after it."""
    waiting = sensor(tpl_id="65538", deferrable=True, timeout=600, poke_interval=5)
    before = datetime.now(UTC)
    deferral = deferred(waiting, context)
    trigger = deferral.trigger
    assert isinstance(trigger, CaixinTemplateTrigger)
    assert (trigger.tpl_id, trigger.poll_interval) == (65538, 5)
    assert trigger.ends_at is not None
    assert timedelta(0) <= trigger.ends_at - before - timedelta(seconds=600) < timedelta(seconds=30)
    assert deferral.timeout == timedelta(seconds=660)
    sandbox.set_template(65538, available=True)
    result = waiting.resume_execution(deferral.method_name, {"event": event_of(trigger)}, context)
    assert result == sensor(tpl_id=65538).execute(context)


@pytest.mark.usefixtures("to_sandbox")
def test_an_event_that_is_not_known(context: Any) -> None:
    """The template is looked at again, and the task may be resumed any number of times."""
    for event in (None, {}, {"status": "surprise"}):
        assert sensor(deferrable=True).resume(context, event)["tpl_id"] == 65535
        deferred(sensor(tpl_id=65538, deferrable=True), context)


@pytest.mark.usefixtures("to_sandbox")
@pytest.mark.parametrize("soft_fail", [False, True])
def test_the_end_of_a_deferral(soft_fail: bool, context: Any) -> None:
    """A time-out is not retried, whoever ended the wait; soft_fail makes it a skip, as in the other modes."""
    waiting = sensor(tpl_id=65537, deferrable=True, timeout=0, soft_fail=soft_fail)
    deferral = deferred(waiting, context)
    expected = AirflowSkipException if soft_fail else AirflowSensorTimeout
    with pytest.raises(expected) as caught:
        waiting.resume_execution("resume", {"event": event_of(deferral.trigger)}, context)
    assert soft_fail or "The time to wait is over" in str(caught.value)
    with pytest.raises(expected):
        waiting.resume_execution("__fail__", {"error": "Trigger timeout"}, context)


@pytest.mark.usefixtures("to_sandbox")
@pytest.mark.parametrize("soft_fail", [False, True])
def test_failing_while_deferred(soft_fail: bool, context: Any, sandbox: SandboxServer) -> None:
    """A template that is taken away fails the task without a retry where it is to; so in poke mode."""
    waiting = sensor(tpl_id=65537, deferrable=True, missing="fail", soft_fail=soft_fail)
    deferral = deferred(waiting, context)
    failing = CaixinTemplateTrigger(1, missing="fail", ends_at=datetime.now(UTC) + timedelta(seconds=20))
    assert deferral.trigger.serialize()[1].keys() == failing.serialize()[1].keys()
    with pytest.raises(AirflowSkipException if soft_fail else AirflowFailException):
        waiting.resume_execution("resume", {"event": event_of(failing)}, context)
    with pytest.raises(AirflowSkipException if soft_fail else AirflowFailException):
        sensor(tpl_id=1, missing="fail", soft_fail=soft_fail).execute(context)
    assert sandbox.state()["billed"] == 0


# ------------------------------------------------------------------ the window

HAS_START_FROM_TRIGGER = hasattr(BaseEventTrigger, "shared_stream_key")


def window(**arguments: Any) -> CaixinWindowSensor:
    """Make a sensor of 09:00 to 18:00."""
    return CaixinWindowSensor(**{"task_id": "wait", "send_window": "09:00-18:00", **arguments})


def china(hour: int, minute: int = 0, second: int = 0) -> datetime:
    """Return a moment of a day in China."""
    return datetime(2025, 5, 6, hour, minute, second, tzinfo=CHINA)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [(china(8, 59, 59), False), (china(9), True), (china(17, 59, 59), True), (china(18), False)],
)
def test_the_window(moment: datetime, is_open: bool, context: Any) -> None:
    """True from the opening on and until the closing."""
    with time_machine.travel(moment, tick=False):
        assert window().poke(context) is is_open
        assert window(send_window=None).poke(context) is True


def test_whose_window(connect: Any, context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not given, it is the connection's, else the configuration's, else 09:00-18:00."""
    connect()
    bare = CaixinWindowSensor(task_id="wait")
    with time_machine.travel(china(9, 30), tick=False):
        assert bare.poke(context)
        monkeypatch.setenv("AIRFLOW__CAIXIN__SEND_WINDOW", "10:00-18:00")
        assert not bare.poke(context)
        connect(extra={"send_window": "09:15-09:45"})
        assert bare.poke(context)
    connect(extra={"send_window": "soon"})
    with pytest.raises(AirflowFailException, match="send_window 'soon'"):
        bare.execute(context)


def test_rescheduled_to_the_opening(context: Any) -> None:
    """A rescheduled sensor comes back once; where its time is over before the opening, at its end."""
    context["ti"].get_first_reschedule_date = lambda _: None
    with time_machine.travel(china(20), tick=False):
        with pytest.raises(AirflowRescheduleException) as caught:
            window(mode="reschedule").execute(context)
        assert caught.value.reschedule_date == china(9) + timedelta(days=1)
        with pytest.raises(AirflowRescheduleException) as caught:
            window(mode="reschedule", timeout=3600).execute(context)
        assert timedelta(0) < caught.value.reschedule_date - china(21) < timedelta(seconds=1)
    context["ti"].get_first_reschedule_date = lambda _: china(20)
    with time_machine.travel(caught.value.reschedule_date, tick=False), pytest.raises(AirflowSensorTimeout):
        window(mode="reschedule", timeout=3600).execute(context)


def test_poking_until_the_opening(context: Any) -> None:
    """A process that sleeps wakes up at the opening, not at the end of its interval."""
    with time_machine.travel(china(8, 59, 59)):
        assert window(poke_interval=3600).execute(context) is None
        assert datetime.now(UTC) < china(9, 1)


def test_a_deferred_window(context: Any) -> None:
    """Deferred until the opening; resumed after the closing, it waits for the next one."""
    waiting = window(deferrable=True, timeout=7200)
    with time_machine.travel(china(8), tick=False):
        deferral = deferred(waiting, context)
        assert isinstance(deferral.trigger, CaixinWindowTrigger)
        assert deferral.timeout == timedelta(hours=2)
    with time_machine.travel(china(9), tick=False):
        # What dags test hands over for an event that ends the task.
        assert waiting.resume_execution("resume", {"event": "success"}, context) is None
        assert window(deferrable=True).execute(context) is None
    with time_machine.travel(china(18), tick=False), pytest.raises(TaskDeferred):
        waiting.resume_execution("resume", {"event": {"status": "success"}}, context)


@pytest.mark.parametrize(("status", "error"), [("failed", AirflowFailException), ("error", RuntimeError)])
def test_a_connection_that_the_triggerer_could_not_use(
    status: str, error: type[Exception], context: Any
) -> None:
    """It is told, with a retry where one may help."""
    with pytest.raises(error, match="no such connection"):
        window(deferrable=True).resume(context, {"status": status, "message": "no such connection"})


@pytest.mark.skipif(not HAS_START_FROM_TRIGGER, reason="Airflow 3.2 starts every task in a worker")
def test_started_in_the_triggerer() -> None:
    """The scheduler reads from the stored Dag which trigger to start; what a worker has to do prevents it."""
    with DAG("a_dag", schedule=None) as dag:
        tasks: dict[str, dict[str, Any]] = {
            "given": {},
            "not_given": {"send_window": CaixinWindowSensor(task_id="other").send_window},
            "with_outlets": {"outlets": [Asset("an_asset")]},
            "in_a_worker": {"deferrable": False},
        }
        for task_id, options in tasks.items():
            window(task_id=task_id, timeout=60, **{"deferrable": True, **options})
    read = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    started = {task.task_id: task.start_trigger_args for task in read.tasks if task.start_from_trigger}
    assert set(started) == {"given", "not_given"}
    arguments = {
        task_id: BaseSerialization.deserialize(found and found.trigger_kwargs)
        for task_id, found in started.items()
    }
    given = {"caixin_conn_id": "caixin_default", "end_from_trigger": True}
    assert arguments == {"given": {"send_window": "09:00-18:00", **given}, "not_given": given}
    assert {found and found.timeout for found in started.values()} == {timedelta(seconds=60)}


@pytest.mark.skipif(HAS_START_FROM_TRIGGER, reason="Airflow 3.3 does")
def test_not_started_in_the_triggerer() -> None:
    """Where Airflow does not know how, nothing is said of it."""
    assert not window(deferrable=True).start_from_trigger


def test_a_window_that_is_none() -> None:
    """A bad window is an error of the Dag."""
    with pytest.raises(ValueError, match="ends before it begins"):
        window(send_window="18:00-09:00")
