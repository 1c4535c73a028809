"""What keeps people from being billed: nothing that renders to nothing removes it, and no text is a truth value by being there."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
import sqlalchemy as sa
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    ObjectStoragePath,
)
from airflow.sdk import DAG, task
from airflow.sdk.definitions._internal.templater import LiteralValue
from jinja2 import StrictUndefined, Undefined
from upath import UPath

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.decorators.caixin import CaixinSendDecoratedOperator
from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.notifications.caixin import CaixinNotifier
from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.sensors.caixin import CaixinTemplateSensor, CaixinWindowSensor
from airflow_provider_caixin.session.arguments import GUARDS
from airflow_provider_caixin.session.readers import read_expiry
from airflow_provider_caixin.settings.ledgers import embedded_path, open_ledger
from airflow_provider_caixin.transfers.sql_to_caixin import SqlToCaixinOperator

A, B, UNICOM, VIRTUAL = "13912340001", "13912340002", "13012340001", "17051234567"
PEOPLE = [f"139123400{last:02}" for last in range(20)]

pytestmark = pytest.mark.usefixtures("to_sandbox")


def operator(**arguments: Any) -> CaixinSendOperator:
    """Make an operator of template 65535."""
    return CaixinSendOperator(**{"task_id": "send", "tpl_id": 65535, "mobiles": PEOPLE, **arguments})


def run(made: CaixinSendOperator, context: Any) -> dict[str, Any]:
    """Render and execute, as the task runner does."""
    made.render_template_fields(context)
    return made.execute(context)


def kept() -> int:
    """Count what a ledger keeps of campaigns and opt-outs; there may be no ledger at all."""
    if not embedded_path().exists():
        return 0
    with closing(open_ledger(None)) as ledger, ledger.reading() as connection:
        tables = (schema.campaign, schema.suppression)
        return sum(
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in tables
        )


# ---------------------------------------------------------------------- guards


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
        made = operator(**{name: given})
    made.render_template_fields(context)
    with pytest.raises(AirflowFailException, match=rf"^{name} .*: expected"):
        made.execute(context)
    assert sandbox.requests() == []
    assert kept() == 0


@pytest.mark.parametrize("name", GUARDS)
def test_none_in_the_dag_is_not_given(name: str, sandbox: SandboxServer, context: Any) -> None:
    """A Dag that says None says that there is no such guard."""
    assert run(operator(**{name: None}), context)["sent"] == len(sandbox.billed()) == 20


@pytest.mark.parametrize("name", [name for name in GUARDS if name != "dry_run"])
@pytest.mark.parametrize("given", ["off", "{{ 'OFF ' }}"])
def test_off_is_none(name: str, given: str, context: Any) -> None:
    """What a template says where there is to be no limit."""
    assert run(operator(**{name: given}), context)["sent"] == 20


def test_false_and_0_are_something(context: Any, tmp_path: Path) -> None:
    """Airflow 3.2 leaves the template in place of what is false, so that a report had its name."""
    native = {"render_template_as_native_obj": True}
    sends = operator(dry_run="{{ false }}", report_file="{{ '' }}", **native)
    assert run(sends, context)["sent"] == 20
    assert sends.report_file == ""
    assert run(operator(max_messages="{{ 0 }}", campaign_id="x", **native), context)["sent"] == 0
    assert not [path for path in tmp_path.rglob("*") if "{{" in path.name]


@pytest.mark.parametrize("given", ["off", "none", [], {}, 0.0, 2], ids=repr)
def test_a_dry_run_is_true_or_false(given: Any, sandbox: SandboxServer, context: Any) -> None:
    """Nothing else says that people are to be billed."""
    with pytest.raises(AirflowFailException, match=r"dry_run .* is neither true nor false"):
        run(operator(dry_run=given), context)
    assert sandbox.requests() == []


@pytest.mark.parametrize("given", [[], False, 0, b"x.txt"], ids=repr)
def test_a_list_of_opt_outs_is_a_path(given: Any, sandbox: SandboxServer, context: Any) -> None:
    """An empty list of them, too, is a guard that is gone."""
    with pytest.raises(AirflowFailException, match=r"suppress_file is a .*: expected a path or URL"):
        run(operator(suppress_file=given), context)
    assert sandbox.requests() == []


def test_rendering_again_forgives_nothing(context: Any) -> None:
    """The value that came to nothing is in its place by then."""
    made = operator(max_messages="{{ none }}", render_template_as_native_obj=True)
    made.render_template_fields(context)
    made.render_template_fields(context)
    assert made.max_messages is None
    with pytest.raises(AirflowFailException, match=r"^max_messages came to None, .*for none\.$"):
        made.execute(context)


def test_through_default_args(context: Any) -> None:
    """Where an argument comes from makes no difference."""
    with DAG("d", schedule=None, default_args={"max_messages": "{{ none }}"}):
        made = operator()
    with pytest.raises(AirflowFailException, match="max_messages came to"):
        run(made, context)


@pytest.mark.parametrize(
    "make",
    [
        lambda **given: CaixinSendDecoratedOperator(
            task_id="send", tpl_id=65535, python_callable=lambda: PEOPLE, **given
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


# ---------------------------------------------------------------------- flags

FLAGS = ("allow_other_carriers", "allow_virtual_operators", "allow_backfill", "check_template", "deferrable")
TAKES: list[tuple[Callable[..., Any], tuple[str, ...]]] = [
    (operator, FLAGS),
    (lambda **given: SqlToCaixinOperator(task_id="s", tpl_id=1, sql="", sql_conn_id="", **given), FLAGS),
    (
        lambda **given: CaixinSendDecoratedOperator(
            task_id="s", tpl_id=1, python_callable=lambda: A, **given
        ),
        FLAGS,
    ),
    (lambda **given: CaixinNotifier(tpl_id=1, mobiles=A, **given), FLAGS[:2]),
    (lambda **given: CaixinTemplateSensor(task_id="s", tpl_id=1, **given), ("deferrable",)),
    (lambda **given: CaixinWindowSensor(task_id="s", **given), ("deferrable",)),
]


@pytest.mark.parametrize(
    ("make", "flag"),
    [(make, flag) for make, flags in TAKES for flag in flags],
    ids=[f"{number}-{flag}" for number, (_, flags) in enumerate(TAKES) for flag in flags],
)
def test_flags_are_read(make: Callable[..., Any], flag: str) -> None:
    """The text of false is false; what is neither is the Dag's import error."""
    for text in ("false", "False", " NO ", "0", False, 0):
        assert getattr(make(**{flag: text}), flag) is False
    for text in ("true", "True", "yes", "1", True, 1):
        assert getattr(make(**{flag: text}), flag) is True
    neither: tuple[Any, ...] = (
        "",
        "none",
        "None",
        "off",
        "perhaps",
        "{{ params.x }}",
        None,
        [],
        {},
        ["x"],
        2,
        0.0,
    )
    for value in neither:
        with pytest.raises(
            ValueError, match=rf"^{flag} .* is neither true nor false: expected True or False"
        ):
            make(**{flag: value})


def test_no_truth_value_is_forgotten() -> None:
    """Whatever an operator has that is true or false by default is one of those above, or a guard."""
    for ours in (
        CaixinSendOperator,
        SqlToCaixinOperator,
        CaixinNotifier,
        CaixinTemplateSensor,
        CaixinWindowSensor,
    ):
        arguments = inspect.signature(ours).parameters.values()
        flags = {one.name for one in arguments if isinstance(one.default, bool)}
        assert flags <= {*FLAGS, "dry_run"}


def test_a_text_of_false_bills_nobody_else(sandbox: SandboxServer, context: Any) -> None:
    """It used to be true, as every text is."""
    made = operator(
        mobiles=[A, UNICOM, VIRTUAL], allow_other_carriers="false", allow_virtual_operators="False"
    )
    assert run(made, context)["skipped"] == {"not_china_mobile": 1, "virtual_operator": 1}
    assert [row["mobile"] for row in sandbox.billed()] == [A]


def test_a_backfill_with_a_text(sandbox: SandboxServer, context: Any) -> None:
    """allow_backfill="false" allows none."""
    context["dag_run"] = SimpleNamespace(run_type="backfill")
    with pytest.raises(AirflowFailException, match="allow_backfill=True"):
        run(operator(allow_backfill="false"), context)
    assert sandbox.requests() == []


def test_a_check_that_is_off_by_text(sandbox: SandboxServer, context: Any) -> None:
    """check_template="false" asks for no template: it is the gateway itself that refuses this one."""
    with pytest.raises(AirflowFailException, match="236303"):
        run(operator(mobiles=[A], tpl_id=65537, check_template="false"), context)
    assert len(sandbox.requests()) == 1


# ---------------------------------------------------------------------- a column's name


@pytest.mark.parametrize("column", [0, 1, True, 1.0], ids=repr)
def test_a_column_is_a_name(column: Any) -> None:
    """0 was taken for not given, and so was another column than the one that was meant."""
    with pytest.raises(ValueError, match=rf"audience_column {column}: expected the name of a column"):
        CaixinSendOperator(task_id="send", tpl_id=65535, audience_file="x.csv", audience_column=column)


@pytest.mark.parametrize(
    "column", [LiteralValue(0), LiteralValue(None), "{{ nothing }}", "{{ none }}"], ids=str
)
def test_a_column_from_elsewhere(column: Any, sandbox: SandboxServer, context: Any, tmp_path: Path) -> None:
    """What it came to is looked at when it is known."""
    (tmp_path / "x.csv").write_text(f"phone,mobile\n{B},{A}\n")
    with pytest.raises(AirflowFailException, match=r"audience_column .*expected"):
        run(
            operator(mobiles=None, audience_file=str(tmp_path / "x.csv"), audience_column=column),
            context,
        )
    assert sandbox.requests() == []


# ---------------------------------------------------------------------- expiry


def test_a_day_ends_with_its_last_moment() -> None:
    """As text, date or Pendulum's date: the next midnight in China."""
    end = datetime(2026, 11, 30, tzinfo=CHINA)
    for day in ("2026-11-29", " 2026-11-29 ", date(2026, 11, 29), pendulum.date(2026, 11, 29)):
        assert read_expiry(day) == end
    assert read_expiry(pendulum.datetime(2026, 11, 29, tz="Asia/Shanghai")) == end - timedelta(days=1)


@pytest.mark.usefixtures("one_china_day")
@pytest.mark.parametrize("as_text", [True, False])
def test_today_is_not_over(as_text: bool, context: Any) -> None:
    """It expired at its beginning, everybody with it."""
    today = datetime.now(CHINA).date()
    assert run(operator(expires_at=str(today) if as_text else today), context)["sent"] == 20


PAST = [
    "2020-01-01 12:00",
    "2020-01-01",
    date(2020, 1, 1),
    datetime(2020, 1, 1, tzinfo=UTC),
]


@pytest.mark.parametrize("moment", PAST, ids=repr)
def test_an_expiry_that_has_passed(moment: Any, sandbox: SandboxServer, context: Any, tmp_path: Path) -> None:
    """At the first load it is refused, nothing is kept, and with a corrected one everybody gets the message."""
    (tmp_path / "out.txt").write_text("13500000001\n")
    with pytest.raises(AirflowFailException, match=r"expires_at 2020-01-0\d .* has passed, it is 20"):
        run(operator(expires_at=moment, suppress_file=str(tmp_path / "out.txt")), context)
    assert sandbox.requests() == []
    assert kept() == 0
    tomorrow = datetime.now(CHINA).date() + timedelta(days=1)
    assert run(operator(expires_at=tomorrow), context)["sent"] == 20


@pytest.mark.parametrize("outside_window", ["wait", "fail", "skip"])
def test_an_expiry_before_the_opening(outside_window: Any, sandbox: SandboxServer, context: Any) -> None:
    """A day that ends before the window opens leaves nobody either; a task that skips itself keeps nothing anyway."""
    now = datetime.now(CHINA)
    hour = (now + timedelta(hours=3)).hour
    window = f"{hour:02}:00-{hour:02}:59"
    made = operator(
        send_window=window, outside_window=outside_window, expires_at=now + timedelta(hours=1, minutes=30)
    )
    expected = AirflowSkipException if outside_window == "skip" else AirflowFailException
    with pytest.raises(expected, match=r"opens,? 20"):
        run(made, context)
    assert sandbox.requests() == []
    assert run(operator(), context)["total"] == 20


def test_an_expiry_that_passes_later(context: Any) -> None:
    """Of a campaign that is loaded, what is left expires as ever."""
    assert run(operator(max_messages=5), context)["sent"] == 5
    result = run(operator(expires_at="2020-01-01 12:00"), context)
    assert (result["sent"], result["skipped"]) == (5, {"expired": 15})


def test_an_expiry_that_has_passed_for_another_run(sandbox: SandboxServer, context: Any) -> None:
    """Who comes to a campaign after its expiry, or from an old run, would be expired for good, or billed for an old day."""
    shared: dict[str, Any] = {"campaign_id": "shared", "mobiles": [A]}
    assert run(operator(**shared, expires_at=timedelta(seconds=30)), context)["sent"] == 1
    context["ti"].run_id = "another"
    shared["mobiles"] = [B]
    with pytest.raises(AirflowFailException, match="this audience of campaign 'shared' is not loaded yet"):
        run(operator(**shared, expires_at=timedelta(microseconds=1)), context)
    with pytest.raises(AirflowFailException, match="has not loaded its audience yet"):
        run(operator(**shared), scheduled(context, timedelta(days=5)))
    assert len(sandbox.requests()) == 1
    assert run(operator(**shared), context)["sent"] == 2


@pytest.mark.parametrize("span", [timedelta(0), timedelta(hours=-1)])
def test_a_span_of_nothing(span: timedelta, context: Any) -> None:
    """It would be over before it begins."""
    with pytest.raises(AirflowFailException, match=r"expires_at -?\d+ s: expected a time above 0"):
        run(operator(expires_at=span), context)
    assert kept() == 0


# ---------------------------------------------------------------------- old days


def scheduled(context: Any, age: timedelta, kind: Any = "scheduled") -> Any:
    """Make the run one that was due so long ago."""
    return {**context, "dag_run": SimpleNamespace(run_type=kind, run_after=datetime.now(UTC) - age)}


@pytest.mark.parametrize("kind", ["scheduled", SimpleNamespace(value="scheduled")], ids=["text", "enum"])
def test_an_old_run(kind: Any, sandbox: SandboxServer, context: Any) -> None:
    """Catch-up, or a scheduler that was down: five old days were billed today."""
    for days in (5, 4, 3, 2, 1):
        with pytest.raises(
            AirflowFailException, match=r"was due 20\d\d-.*more than 24 hours ago.*allow_backfill=True"
        ):
            run(operator(), scheduled(context, timedelta(days=days, seconds=1), kind))
    assert sandbox.requests() == []
    assert kept() == 0


@pytest.mark.parametrize(
    ("age", "kind", "arguments"),
    [
        (timedelta(hours=23, minutes=59), "scheduled", {}),
        (timedelta(days=5), "scheduled", {"allow_backfill": True}),
        (timedelta(days=5), "scheduled", {"dry_run": True}),
        (timedelta(days=5), "manual", {}),
        (timedelta(days=5), "asset_triggered", {}),
    ],
    ids=str,
)
def test_a_run_that_may(age: timedelta, kind: str, arguments: Any, context: Any) -> None:
    """One of today, one that is allowed, one that sends nothing, one that no schedule made."""
    result = run(operator(**arguments), scheduled(context, age, kind))
    assert result["sent"] + result.get("would_send", 0) == 20


def test_a_run_that_has_begun(sandbox: SandboxServer, context: Any) -> None:
    """However old, it goes on."""
    sandbox.configure(maintenance=True)
    with pytest.raises(AirflowException):
        run(operator(check_template=False), context)
    sandbox.configure(maintenance=False)
    assert run(operator(), scheduled(context, timedelta(days=5)))["sent"] == 20


# ---------------------------------------------------------------------- paths


@pytest.mark.parametrize("name", ["audience_file", "suppress_file", "report_file"])
def test_a_path_is_rendered(name: str) -> None:
    """As its text is: a file of the template's own name was overwritten each day."""
    made = operator(**{name: Path("/data/{{ ds }}.csv")})
    assert getattr(made, name) == Path("/data/{{ ds }}.csv")
    made.render_template_fields({"ds": "2026-11-29"})
    assert getattr(made, name) == "/data/2026-11-29.csv"


@pytest.mark.parametrize("kind", [ObjectStoragePath, UPath])
def test_a_store_s_path_is_rendered(kind: Any) -> None:
    """Airflow's own by Airflow."""
    made = operator(report_file=kind("memory://bucket/{{ ds }}.csv"))
    made.render_template_fields({"ds": "2026-11-29"})
    assert str(made.report_file) == "memory://bucket/2026-11-29.csv"


def test_a_notifier_s_path_is_rendered() -> None:
    """The same."""
    made = CaixinNotifier(tpl_id=1, audience_file=Path("/data/{{ ds }}.csv"))
    made.render_template_fields({"ds": "2026-11-29"})
    assert made.audience_file == "/data/2026-11-29.csv"
