"""The look at the template before the first send, and a word about opting out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
)

from airflow_provider_caixin.juhe import Template
from airflow_provider_caixin.sandbox import SandboxServer
from tests.unit.sends import A, operator

pytestmark = pytest.mark.usefixtures("to_sandbox")


@pytest.mark.parametrize(
    ("tpl_id", "sentence"), [(1, "Template 1 is not among"), (65537, "Template 65537 is not available")]
)
def test_a_template_that_cannot_be_sent(
    tpl_id: int, sentence: str, sandbox: SandboxServer, context: Any
) -> None:
    """The look at the template fails the task before anything is sent."""
    with pytest.raises(AirflowFailException, match=sentence):
        operator(mobiles=[A], tpl_id=tpl_id).execute(context)
    assert not sandbox.requests()


def test_without_a_look(sandbox: SandboxServer, context: Any) -> None:
    """Without the look the gateway itself refuses, and the recipient stays pending."""
    with pytest.raises(AirflowFailException, match="236303"):
        operator(mobiles=[A], tpl_id=65537, check_template=False).execute(context)
    assert len(sandbox.requests()) == 1
    sandbox.set_template(65537, available=True)
    assert operator(mobiles=[A], tpl_id=65537).execute(context)["sent"] == 1


def test_a_look_that_fails(sandbox: SandboxServer, context: Any) -> None:
    """A gateway in maintenance is a failure that Airflow may retry."""
    sandbox.configure(maintenance=True)
    with pytest.raises(AirflowException, match="10020") as caught:
        operator(mobiles=[A]).execute(context)
    assert not isinstance(caught.value, AirflowFailException)


def test_a_finished_campaign_needs_no_template(sandbox: SandboxServer, context: Any) -> None:
    """Run again, a campaign without anybody left asks the gateway nothing."""
    first = operator(mobiles=[A]).execute(context)
    sandbox.set_template(65535, available=False)
    assert operator(mobiles=[A]).execute(context) == first


def test_a_refused_account(connect: Any, sandbox: SandboxServer, context: Any) -> None:
    """A key that the gateway refuses fails without a retry; who was not sent to stays pending."""
    connect(
        host=sandbox.host,
        port=sandbox.port,
        schema="http",
        password="sandbox-10001",
        extra={"send_window": "none"},
    )
    with pytest.raises(AirflowFailException, match="10001"):
        operator(mobiles=[A], check_template=False).execute(context)


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
    """In words or as the code that is known."""
    assert Template(1, f"【店】{text}", "", True, None).names_opt_out is named


@pytest.mark.parametrize(("tpl_id", "warned"), [(65535, False), (65539, True)])
def test_content_without_a_way_out(
    context: Any, logged: Callable[[], str], tpl_id: int, warned: bool
) -> None:
    """The check warns, and sends all the same."""
    assert operator(tpl_id=tpl_id, mobiles=[A]).execute(context)["sent"] == 1
    assert ("names no way to opt out" in logged()) is warned
