from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout
from airflow.sdk.exceptions import AirflowRescheduleException

from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.sensors.caixin import CaixinTemplateSensor


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
        (65537, {"unavailable": "fail"}, "Template 65537 is there and not available"),
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
