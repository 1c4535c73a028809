"""The operator as Dag authors use it: templates, XComArg, default_args, mapping; what Airflow shows of it."""

from __future__ import annotations

import copy
import pickle
import runpy
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG, Param, XComArg, task
from airflow.sdk.exceptions import ParamValidationError
from jinja2 import TemplateSyntaxError

from airflow_provider_caixin.audience import normalise
from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from scripts.throwaway import EXAMPLE_DAGS

MOBILE = "13912340001"


def rendered(operator: CaixinSendOperator, **context: Any) -> CaixinSendOperator:
    """Render an operator as the task runner does."""
    operator.render_template_fields(context)  # type: ignore[arg-type]
    return operator


def test_templates() -> None:
    """Every template field is rendered, and those of the design are all there are."""
    assert set(CaixinSendOperator.template_fields) == {
        "tpl_id",
        "mobiles",
        "audience_file",
        "audience_column",
        "campaign_id",
        "caixin_conn_id",
        "suppress_file",
        "expires_at",
        "max_messages",
        "dry_run",
        "report_file",
    }
    fields: dict[str, Any] = dict.fromkeys(CaixinSendOperator.template_fields, "{{ value }}")
    operator = rendered(CaixinSendOperator(task_id="send", **fields), value="x")
    assert operator.mobiles.value == "x"
    assert {getattr(operator, name) for name in fields if name != "mobiles"} == {"x"}


def test_fields_are_taken_verbatim() -> None:
    """What is given is what the attribute holds until it is rendered."""
    marks = {name: object() for name in CaixinSendOperator.template_fields}
    operator = CaixinSendOperator(task_id="send", **marks)  # type: ignore[arg-type]
    assert {name: getattr(operator, name) for name in marks} == marks


def test_keyword_arguments_only() -> None:
    """A positional argument is refused."""
    with pytest.raises(TypeError):
        CaixinSendOperator("send", 65535)  # type: ignore[call-arg]


def test_rendering_twice_masks_once() -> None:
    """A field that is masked already stays as it is."""
    operator = rendered(
        rendered(CaixinSendOperator(task_id="send", tpl_id=1, mobiles="{{ m }}"), m=MOBILE), m="x"
    )
    assert operator.mobiles.value == MOBILE


def test_a_function_gives_the_numbers() -> None:
    """A template field may be a function of the context, as in all of Airflow."""
    operator = CaixinSendOperator(task_id="send", tpl_id=1, mobiles=lambda context, jinja_env: [context["m"]])  # noqa: ARG005
    assert rendered(operator, m=MOBILE).mobiles.value == [MOBILE]


def test_a_template_that_cannot_be_rendered(
    caplog: pytest.LogCaptureFixture, logged: Callable[[], str]
) -> None:
    """Airflow logs a value that it cannot render: not this one."""
    with pytest.raises(TemplateSyntaxError):
        rendered(CaixinSendOperator(task_id="send", tpl_id=1, mobiles=[MOBILE, "{{ m"]))
    text = caplog.text + logged()
    assert "field 'mobiles'" in text
    assert MOBILE not in text


def test_no_mobiles_is_shown_as_none() -> None:
    """Where the audience is a file there is nothing to mask."""
    assert rendered(CaixinSendOperator(task_id="send", tpl_id=1, audience_file="x")).mobiles is None


def test_an_xcom_arg_makes_the_dependency() -> None:
    """What an upstream task returns may be the audience, the template id and the file."""
    with DAG("d", schedule=None):

        @task
        def numbers() -> list[str]:
            return [MOBILE]

        upstream = numbers()
        send = CaixinSendOperator(task_id="send", tpl_id=upstream["id"], mobiles=upstream)  # type: ignore[index]
    assert send.upstream_task_ids == {"numbers"}
    assert isinstance(send.output, XComArg)


def test_default_args() -> None:
    """Arguments may come from the Dag."""
    with DAG(
        "d", schedule=None, default_args={"tpl_id": 7, "caixin_conn_id": "bookshop", "outside_window": "skip"}
    ):
        # tpl_id comes from the Dag, which no type checker can see.
        send = CaixinSendOperator(task_id="send", mobiles=MOBILE, outside_window="fail")  # type: ignore[call-arg]
    assert (send.tpl_id, send.caixin_conn_id, send.outside_window) == (7, "bookshop", "fail")


def test_mapped() -> None:
    """A mapped operator becomes an ordinary one with its own audience, masked for display."""
    with DAG("d", schedule=None):
        mapped = CaixinSendOperator.partial(
            task_id="send", tpl_id="{{ 60000 + 5535 }}", send_window="10:00-11:00", deferrable=True
        ).expand(mobiles=[[MOBILE], ["13912340002"]])
    send = mapped.unmap({"mobiles": [MOBILE]})
    assert isinstance(send, CaixinSendOperator)
    assert (send.send_window, send.deferrable) == ("10:00-11:00", True)
    send._do_render_template_fields(send, mapped.template_fields, {}, send.get_template_env(), set())
    assert send.tpl_id == "65535"
    assert send.mobiles.value == [MOBILE]
    assert send.mobiles.serialize() == "1 number: 139****0001"


def test_copies() -> None:
    """Airflow copies operators, also one that was told to stop in the copy that ran."""
    operator = CaixinSendOperator(task_id="send", tpl_id=1, mobiles=[MOBILE])
    assert copy.deepcopy(operator).mobiles == [MOBILE]
    assert pickle.loads(pickle.dumps(operator)).tpl_id == 1
    running = operator.prepare_for_execution()
    running.on_kill()
    assert operator._stop is None


HEAVY = [
    "requests",
    "lzma",
    "airflow_provider_caixin.audience",
    "airflow_provider_caixin.campaign",
    "airflow_provider_caixin.juhe",
    "airflow_provider_caixin.ledger",
    "airflow.providers.common.sql.hooks.sql",
    "airflow.providers.standard.triggers.temporal",
]


def test_a_dag_file_imports_little() -> None:
    """What Dag files import brings nothing that Airflow's own SDK does not, but the rules' few lines."""
    code = f"""
import sys
import airflow.sdk
from airflow.sdk import BaseOperator, BaseSensorOperator, BaseHook
from airflow.providers.common.compat.sdk import AirflowFailException, BaseNotifier, BaseOperatorLink, DecoratedOperator, conf
before = set(sys.modules)
import airflow_provider_caixin.operators.caixin
import airflow_provider_caixin.sensors.caixin
import airflow_provider_caixin.decorators.caixin
import airflow_provider_caixin.notifications.caixin
import airflow_provider_caixin.transfers.sql_to_caixin
print(sorted((set(sys.modules) - before) & set({HEAVY!r})))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"


@pytest.fixture(scope="module")
def typed() -> Param:
    """Return the number of ``caixin_send_one``, which someone types into the UI's form."""
    dag: DAG = runpy.run_path(str(EXAMPLE_DAGS / "caixin_send_one.py"))["dag"]
    return dag.params.get_param("mobile")


@pytest.mark.parametrize(
    "text", ["13800138000", "138 0013 8000", "138-0013-8000", "+8613800138000", "+86 138-0013-8000"]
)
def test_a_form_takes_what_people_type(typed: Param, text: str) -> None:
    """Also as it stands on a business card; the operator reads it as a number."""
    assert typed.resolve(text) == text
    assert normalise(text) == "13800138000"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "12345",
        "1380013800",
        "138001380000",
        "12345678901",
        "010-65529988",
        "13800138000,13900139000",
        "13800138000 x",
        "１2800138000",
        "868613800138000",
        "13800138000.5",
    ],
)
def test_a_form_refuses_what_is_no_number(typed: Param, text: str) -> None:
    """Before a run is made of it."""
    with pytest.raises(ParamValidationError):
        typed.resolve(text)
