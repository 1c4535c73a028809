"""What is rendered removes no guard: nothing that renders to nothing, in whatever way it came."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    ObjectStoragePath,
)
from airflow.sdk import DAG, task
from airflow.sdk.definitions._internal.templater import LiteralValue
from jinja2 import StrictUndefined, Undefined
from upath import UPath

from airflow_provider_caixin.decorators.caixin import CaixinSendDecoratedOperator
from airflow_provider_caixin.notifications.caixin import CaixinNotifier
from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.session.arguments import GUARDS
from airflow_provider_caixin.transfers.sql_to_caixin import SqlToCaixinOperator
from tests.unit.sends import TWENTY, A, kept, run, to_twenty

pytestmark = pytest.mark.usefixtures("to_sandbox")


def test_guards_are_template_fields() -> None:
    """Each of them may come from outside the Dag, which is why it is judged."""
    assert set(GUARDS) <= set(CaixinSendOperator.template_fields)


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
@pytest.mark.parametrize(
    "given",
    ["{{ none }}", "{{ nothing }}", "{{ '  ' }}", "None", "", LiteralValue(None), lambda **_: None],
    ids=["none", "undefined", "blank", "text", "empty", "upstream", "function"],
)
@pytest.mark.parametrize("name", [*GUARDS, "campaign_id"])
def test_what_comes_to_nothing_removes_no_guard(
    name: str, given: Any, native: bool, sandbox: SandboxServer, context: Any
) -> None:
    """The task fails without a retry, says which argument it is, and nobody is billed."""
    undefined: Any = StrictUndefined if native else Undefined
    with DAG("d", schedule=None, render_template_as_native_obj=native, template_undefined=undefined):
        made = to_twenty(**{name: given})
    made.render_template_fields(context)
    with pytest.raises(AirflowFailException, match=rf"^{name} .*: expected"):
        made.execute(context)
    assert sandbox.requests() == []
    assert kept() == 0


@pytest.mark.parametrize("name", GUARDS)
def test_none_in_the_dag_is_not_given(name: str, sandbox: SandboxServer, context: Any) -> None:
    """A Dag that says None says that there is no such guard."""
    assert run(to_twenty(**{name: None}), context)["sent"] == len(sandbox.billed()) == 20


@pytest.mark.parametrize("name", [name for name in GUARDS if name != "dry_run"])
@pytest.mark.parametrize("given", ["off", "{{ 'OFF ' }}"])
def test_off_is_none(name: str, given: str, context: Any) -> None:
    """What a template says where there is to be no limit."""
    assert run(to_twenty(**{name: given}), context)["sent"] == 20


def test_false_and_0_are_something(context: Any, tmp_path: Path) -> None:
    """Airflow 3.2 leaves the template in place of what is false, so that a report had its name."""
    native = {"render_template_as_native_obj": True}
    sends = to_twenty(dry_run="{{ false }}", report_file="{{ '' }}", **native)
    assert run(sends, context)["sent"] == 20
    assert sends.report_file == ""
    assert run(to_twenty(max_messages="{{ 0 }}", campaign_id="x", **native), context)["sent"] == 0
    assert not [path for path in tmp_path.rglob("*") if "{{" in path.name]


@pytest.mark.parametrize("given", ["off", "none", [], {}, 0.0, 2], ids=repr)
def test_a_dry_run_is_true_or_false(given: Any, sandbox: SandboxServer, context: Any) -> None:
    """Nothing else says that messages are to be billed."""
    with pytest.raises(AirflowFailException, match=r"dry_run .* is neither true nor false"):
        run(to_twenty(dry_run=given), context)
    assert sandbox.requests() == []


@pytest.mark.parametrize("given", [[], False, 0, b"x.txt"], ids=repr)
def test_a_list_of_opt_outs_is_a_path(given: Any, sandbox: SandboxServer, context: Any) -> None:
    """An empty list of them, too, is a guard that is gone."""
    with pytest.raises(AirflowFailException, match=r"suppress_file is a .*: expected a path or URL"):
        run(to_twenty(suppress_file=given), context)
    assert sandbox.requests() == []


def test_rendering_again_forgives_nothing(context: Any) -> None:
    """The value that came to nothing is in its place by then."""
    made = to_twenty(max_messages="{{ none }}", render_template_as_native_obj=True)
    made.render_template_fields(context)
    made.render_template_fields(context)
    assert made.max_messages is None
    with pytest.raises(AirflowFailException, match=r"^max_messages came to None, .*for none\.$"):
        made.execute(context)


def test_through_default_args(context: Any) -> None:
    """Where an argument comes from makes no difference."""
    with DAG("d", schedule=None, default_args={"max_messages": "{{ none }}"}):
        made = to_twenty()
    with pytest.raises(AirflowFailException, match="max_messages came to"):
        run(made, context)


@pytest.mark.parametrize(
    "make",
    [
        lambda **given: CaixinSendDecoratedOperator(
            task_id="send", tpl_id=65535, python_callable=lambda: TWENTY, **given
        ),
        lambda **given: SqlToCaixinOperator(
            task_id="send", tpl_id=65535, sql="SELECT 1", sql_conn_id="crm", **given
        ),
    ],
    ids=["decorator", "sql"],
)
@pytest.mark.parametrize("name", GUARDS)
def test_in_the_other_ways_to_send(
    make: Callable[..., CaixinSendOperator], name: str, sandbox: SandboxServer, context: Any
) -> None:
    """They are the same operator in that."""
    with pytest.raises(AirflowFailException, match=f"^{name} came to"):
        run(make(render_template_as_native_obj=True, **{name: "{{ none }}"}), context)
    assert sandbox.requests() == []


def test_in_a_notifier(sandbox: SandboxServer) -> None:
    """It has no guard, but a campaign's name: with none of its own it would be another campaign each time."""
    ti = SimpleNamespace(dag_id="dag", run_id="run", task_id="t", map_index=-1, state="failed")
    dag = DAG("dag", schedule=None, render_template_as_native_obj=True)
    notifier = CaixinNotifier(tpl_id=65536, mobiles=A, campaign_id="{{ none }}")
    with pytest.raises(AirflowFailException, match="campaign_id came to None"):
        notifier({"ti": ti, "dag": dag, "dag_run": SimpleNamespace(run_id="run")})
    assert sandbox.requests() == []


MAPPED: list[tuple[str, Callable[[Any], Any], dict[str, Any], str]] = [
    ("expand", lambda upstream: {"max_messages": upstream}, {"max_messages": None}, "max_messages"),
    ("expand literally", lambda _: {"max_messages": [None, 5]}, {"max_messages": None}, ""),
    ("partial", lambda upstream: {"max_messages": None, "mobiles": upstream}, {"mobiles": [A]}, ""),
    ("expand_kwargs", lambda upstream: upstream, {"mobiles": [A], "dry_run": None}, "dry_run"),
    ("expand_kwargs without it", lambda upstream: upstream, {"mobiles": [A]}, ""),
    ("expand_kwargs literally", lambda _: [{"mobiles": [A], "dry_run": None}], {"dry_run": None}, ""),
    ("expand_kwargs in part", lambda up: [{"dry_run": None}, up], {"dry_run": None}, "dry_run"),
    ("expand_kwargs over partial", lambda upstream: upstream, {"dry_run": None}, "dry_run"),
]


@pytest.mark.parametrize(("how", "source", "resolved", "lost"), MAPPED, ids=[how for how, *_ in MAPPED])
def test_mapped(
    how: str, source: Callable[[Any], Any], resolved: dict[str, Any], lost: str, context: Any
) -> None:
    """An upstream task's None is told from one that stands in the Dag, though both arrive as they are."""
    with DAG("d", schedule=None):

        @task
        def upstream() -> list[Any]:
            return []

        given: dict[str, Any] = {"max_messages": None} if how == "partial" else {}
        if how == "expand_kwargs over partial":
            given["dry_run"] = True
        partial = CaixinSendOperator.partial(task_id="send", tpl_id=65535, **given)
        arguments = source(upstream())
        if how.startswith("expand_kwargs"):
            mapped = partial.expand_kwargs(arguments, strict=not given)
        else:
            mapped = partial.expand(**{name: value for name, value in arguments.items() if name not in given})
    send = mapped.unmap(resolved)
    assert isinstance(send, CaixinSendOperator)
    send._do_render_template_fields(send, mapped.template_fields, {}, send.get_template_env(), set())
    assert [sentence.split()[0] for sentence in send._empty] == ([lost] if lost else [])
    if lost:
        with pytest.raises(AirflowFailException, match=f"^{lost} came to None"):
            send.execute(context)


@pytest.mark.parametrize("name", ["audience_file", "suppress_file", "report_file"])
def test_a_path_is_rendered(name: str) -> None:
    """As its text is: a file of the template's own name was overwritten each day."""
    made = to_twenty(**{name: Path("/data/{{ ds }}.csv")})
    assert getattr(made, name) == Path("/data/{{ ds }}.csv")
    made.render_template_fields({"ds": "2026-11-29"})
    assert getattr(made, name) == "/data/2026-11-29.csv"


@pytest.mark.parametrize("kind", [ObjectStoragePath, UPath])
def test_a_store_s_path_is_rendered(kind: Any) -> None:
    """Airflow's own by Airflow."""
    made = to_twenty(report_file=kind("memory://bucket/{{ ds }}.csv"))
    made.render_template_fields({"ds": "2026-11-29"})
    assert str(made.report_file) == "memory://bucket/2026-11-29.csv"


def test_a_notifier_s_path_is_rendered() -> None:
    """The same."""
    made = CaixinNotifier(tpl_id=1, audience_file=Path("/data/{{ ds }}.csv"))
    made.render_template_fields({"ds": "2026-11-29"})
    assert made.audience_file == "/data/2026-11-29.csv"
