"""The arguments of whoever sends: read early or late, and no text is a truth value by being there."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_caixin.decorators.caixin import CaixinSendDecoratedOperator
from airflow_provider_caixin.notifications.caixin import CaixinNotifier
from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.sensors.caixin import CaixinTemplateSensor, CaixinWindowSensor
from airflow_provider_caixin.session import readers
from airflow_provider_caixin.session.arguments import ARGUMENTS, Arguments, read_early
from airflow_provider_caixin.transfers.sql_to_caixin import SqlToCaixinOperator
from tests.unit.sends import UNICOM, VIRTUAL, A, operator, run, to_twenty

pytestmark = pytest.mark.usefixtures("to_sandbox")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "mobiles and audience_file: neither given"),
        ({"mobiles": [A], "audience_file": "x.csv"}, "mobiles and audience_file: both given"),
        ({"mobiles": [A], "tpl_id": "{{ x }}"}, "tpl_id '{{ x }}'"),
        ({"mobiles": [A], "campaign_id": "None"}, "campaign_id 'None'"),
        ({"mobiles": [A], "campaign_id": " "}, "campaign_id ' '"),
        ({"mobiles": [A], "dry_run": "perhaps"}, "dry_run 'perhaps'"),
        ({"mobiles": [A], "expires_at": "tomorrow"}, "expires_at 'tomorrow'"),
        ({"mobiles": [A], "expires_at": 7}, "expires_at 7"),
        ({"mobiles": [A], "max_messages": -1}, "max_messages -1"),
        ({"mobiles": [A], "max_failure_ratio": 2}, "max_failure_ratio 2"),
        ({"mobiles": [A], "max_consecutive_failures": 0}, "max_consecutive_failures 0"),
        ({"mobiles": [A], "blocked_regions": ["Beijing"]}, "blocked_regions: 'Beijing'"),
        ({"mobiles": {"a": A}}, "mobiles: got a dict"),
        ({"mobiles": [[A]]}, "mobiles: item 0 is a list"),
        ({"audience_file": "recipients.xlsx"}, "recipients.xlsx"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_value_fails_without_a_retry(
    arguments: dict[str, Any], sentence: str, sandbox: SandboxServer, context: Any
) -> None:
    """What a field came to is checked in execute; the sentence names field and value and nothing is sent."""
    with pytest.raises(AirflowFailException, match=re.escape(sentence)):
        operator(**arguments).execute(context)
    assert not sandbox.requests()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"outside_window": "explode"}, "outside_window 'explode'"),
        ({"on_unknown": "forget"}, "on_unknown 'forget'"),
        ({"audience_change": "drop"}, "audience_change 'drop'"),
        ({"send_window": "18:00-09:00"}, "18:00-09:00"),
        ({"frequency_cap": "often"}, "frequency_cap 'often'"),
        ({"blocked_regions": 24}, "blocked_regions 24"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_in_the_dag_is_an_import_error(arguments: dict[str, Any], sentence: str) -> None:
    """What no template can change is checked when the Dag is read."""
    with pytest.raises(ValueError, match=re.escape(sentence)):
        operator(mobiles=[A], **arguments)


FLAGS = ("allow_other_carriers", "allow_virtual_operators", "allow_backfill", "check_template", "deferrable")

TAKES: list[tuple[Callable[..., Any], tuple[str, ...]]] = [
    (to_twenty, FLAGS),
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
    made = to_twenty(
        mobiles=[A, UNICOM, VIRTUAL], allow_other_carriers="false", allow_virtual_operators="False"
    )
    assert run(made, context)["skipped"] == {"not_china_mobile": 1, "virtual_operator": 1}
    assert [row["mobile"] for row in sandbox.billed()] == [A]


def test_a_backfill_with_a_text(sandbox: SandboxServer, context: Any) -> None:
    """allow_backfill="false" allows none."""
    context["dag_run"] = SimpleNamespace(run_type="backfill")
    with pytest.raises(AirflowFailException, match="allow_backfill=True"):
        run(to_twenty(allow_backfill="false"), context)
    assert sandbox.requests() == []


def test_a_check_that_is_off_by_text(sandbox: SandboxServer, context: Any) -> None:
    """check_template="false" asks for no template: it is the gateway itself that refuses this one."""
    with pytest.raises(AirflowFailException, match="236303"):
        run(to_twenty(mobiles=[A], tpl_id=65537, check_template="false"), context)
    assert len(sandbox.requests()) == 1


# ---------------------------------------------------------------------- the table


def test_each_entry_is_an_argument_of_the_operator() -> None:
    """The table has its defaults; what it has and the table lacks is how it waits."""
    signature = inspect.signature(CaixinSendOperator.__init__).parameters
    ours = {name: one.default for name, one in signature.items() if name not in ("self", "kwargs")}
    assert set(ours) - set(ARGUMENTS) == {"outside_window", "deferrable"}
    assert set(ARGUMENTS) <= set(ours)
    for name, default in ours.items():
        if name not in ("tpl_id", "outside_window", "deferrable"):
            assert getattr(Arguments(), name) == default, name


def test_each_reader_is_there() -> None:
    """They are found by name, which no type checker sees."""
    for one in ARGUMENTS.values():
        assert one.reader is None or callable(getattr(readers, one.reader))
        assert one.option is None or one.option.flags.startswith("--")


def test_a_table_that_shows_no_number() -> None:
    """Whoever logs it by mistake tells nobody's number."""
    assert A not in repr(Arguments(mobiles=[A]))


def test_options_of_a_command() -> None:
    """What is not among them is as by default; none is no rule, and an empty text no file."""
    assert Arguments.of_command({}) == Arguments()
    given = Arguments.of_command({"send_window": "None ", "max_messages": 3, "output": "json"}, tpl_id=7)
    assert (given.send_window, given.max_messages, given.tpl_id) == (None, 3, 7)
    assert given.for_plan()["max_messages"] == 3
    for name in ("suppress_file", "report_file"):
        with pytest.raises(ValueError, match=f"^{name} came to ''"):
            Arguments.of_command({name: ""})


def test_what_is_no_template_is_read_early() -> None:
    """Template fields wait until they are rendered, and the rest stays as it was given."""
    given = SimpleNamespace(expires_at="{{ x }}", send_window="10:00-11:00", allow_backfill="no")
    read_early(given)
    assert vars(given) == {"expires_at": "{{ x }}", "send_window": "10:00-11:00", "allow_backfill": False}
