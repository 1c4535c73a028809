from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_caixin.hooks.caixin import CaixinHook, template_id
from airflow_provider_caixin.juhe import AccountRefused, NotReached, RecipientRejected, Template
from airflow_provider_caixin.sandbox import SandboxServer, magic_mobile

MOBILE = "13912345678"


def test_what_airflow_reads_of_the_class() -> None:
    """Connection type, argument and default id are those of the provider's metadata."""
    assert (CaixinHook.conn_type, CaixinHook.conn_name_attr) == ("caixin", "caixin_conn_id")
    assert CaixinHook.default_conn_name == CaixinHook().caixin_conn_id == "caixin_default"


@pytest.mark.usefixtures("to_sandbox")
def test_send(sandbox: SandboxServer) -> None:
    """One call is one billed message, and its sid comes back."""
    with CaixinHook() as hook:
        sid = hook.send(65535, "+86 139-1234-5678")
    assert isinstance(sid, str)
    assert sid
    assert [(row["mobile"], row["tpl_id"]) for row in sandbox.billed()] == [(MOBILE, "65535")]


@pytest.mark.usefixtures("to_sandbox")
def test_send_warns_once(logged: Callable[[], str]) -> None:
    """That no rule is checked is said at the first send and not again."""
    with CaixinHook() as hook:
        hook.send(65535, MOBILE)
        hook.send(65535, MOBILE)
    assert logged().count("checks no rule") == 1


@pytest.mark.usefixtures("to_sandbox")
def test_a_refused_message_is_not_repeated(sandbox: SandboxServer) -> None:
    """An error of the gateway is raised after one request."""
    with CaixinHook() as hook, pytest.raises(RecipientRejected):
        hook.send(65535, magic_mobile(236306))
    assert len(sandbox.requests()) == 1


@pytest.mark.usefixtures("to_sandbox")
def test_what_is_no_number_is_not_sent(sandbox: SandboxServer) -> None:
    """A number that is none is refused without showing it."""
    with CaixinHook() as hook, pytest.raises(ValueError, match="not a mobile number") as caught:
        hook.send(65535, "1391234567")
    assert "1391234567" not in str(caught.value)
    assert not sandbox.requests()


@pytest.mark.usefixtures("to_sandbox")
def test_templates() -> None:
    """The account's templates are asked for, one of them is found by its id."""
    with CaixinHook() as hook:
        templates = hook.get_templates()
        template = hook.get_template(65537)
    assert {65535, 65537} <= {one.tpl_id for one in templates}
    assert isinstance(template, Template)
    assert (template.tpl_id, template.available) == (65537, False)


@pytest.mark.usefixtures("to_sandbox")
def test_a_template_that_is_not_there() -> None:
    """The sentence names the template, the connection and what there is."""
    with (
        CaixinHook() as hook,
        pytest.raises(AirflowNotFoundException, match="Template 1 is not among") as caught,
    ):
        hook.get_template(1)
    assert "'caixin_default' (65535" in str(caught.value)


@pytest.mark.parametrize("value", ["65535", " 65535 ", 65535], ids=repr)
def test_a_template_id(value: object) -> None:
    """Text and number are the same id."""
    assert template_id(value) == 65535


@pytest.mark.parametrize("value", ["", "None", None, 0, -1, True, 1.0, "６５５３５", "65535a"], ids=repr)
def test_no_template_id(value: object) -> None:
    """Anything else is refused with its value."""
    with pytest.raises(ValueError, match="not a template id") as caught:
        template_id(value)
    assert repr(value) in str(caught.value)


@pytest.mark.usefixtures("to_sandbox")
def test_test_connection(sandbox: SandboxServer) -> None:
    """A working connection says what it found, and nothing was sent."""
    ok, sentence = CaixinHook().test_connection()
    assert ok
    assert "7 templates" in sentence
    assert not sandbox.requests()


def test_test_connection_refused(sandbox: SandboxServer, connect: Any) -> None:
    """A key that the gateway refuses is told with its code and without the key."""
    connect(host=sandbox.host, port=sandbox.port, schema="http", password="sandbox-10001")
    ok, sentence = CaixinHook().test_connection()
    assert not ok
    assert "10001" in sentence
    assert "sandbox-10001" not in sentence


def test_test_connection_wrong(connect: Any) -> None:
    """A connection that cannot be right is told in a sentence and not as a trace."""
    connect(host="https://v.juhe.cn")
    ok, sentence = CaixinHook().test_connection()
    assert not ok
    assert sentence.startswith(
        "Connection 'caixin_default': host 'https://v.juhe.cn' is not a host name: write it"
    )


def test_errors_come_through(sandbox: SandboxServer, connect: Any) -> None:
    """What the gateway's client raises is what the hook raises."""
    connect(host=sandbox.host, port=sandbox.port, schema="http", password="sandbox-10009")
    with CaixinHook() as hook, pytest.raises(AccountRefused):
        hook.get_templates()
    connect(host="127.0.0.1", port=1, schema="http")
    with CaixinHook() as hook, pytest.raises(NotReached):
        hook.get_templates()


def test_nothing_happens_before_the_first_call() -> None:
    """A hook looks up no connection when it is made, and can be copied."""
    hook = CaixinHook("nowhere")
    assert copy.deepcopy(hook).caixin_conn_id == "nowhere"
    assert pickle.loads(pickle.dumps(hook)).caixin_conn_id == "nowhere"


@pytest.mark.usefixtures("to_sandbox")
def test_close_and_go_on() -> None:
    """A closed hook opens new connections when it is used again."""
    hook = CaixinHook()
    first = hook.get_conn()
    hook.close()
    hook.close()
    assert hook.get_conn() is not first
    assert hook.get_templates()
    hook.close()
