"""@task.caixin_send: the function, its arguments and what Airflow shows of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.sdk import DAG, Asset, task

from airflow_provider_caixin.decorators.caixin import CaixinSendDecoratedOperator
from airflow_provider_caixin.sandbox import SandboxServer

A, B, BEIJING = "13912340001", "13912340002", "13501000001"

pytestmark = pytest.mark.usefixtures("to_sandbox")
CALLS: list[Any] = []


def recipients(first: Any = A, ds: str | None = None, **kwargs: Any) -> list[Any]:
    """Return the recipients; remembers that it was called."""
    CALLS.append((first, ds, kwargs.get("more")))
    return [first, B]


@pytest.fixture(autouse=True)
def _calls() -> Iterator[None]:
    CALLS.clear()
    yield
    CALLS.clear()


def operator(function: Callable[..., Any] = recipients, **arguments: Any) -> CaixinSendDecoratedOperator:
    """Make an operator of template 65535."""
    return CaixinSendDecoratedOperator(
        **{"task_id": "send", "tpl_id": 65535, "python_callable": function, **arguments}
    )


def test_the_audience(sandbox: SandboxServer, context: Any, logged: Callable[[], str]) -> None:
    """Whom the function returns gets the message; it takes what it asks for of the context, as @task does."""
    context["ds"] = "2026-11-25"
    result = operator().execute(context)
    assert result["sent"] == 2
    assert CALLS == [(A, "2026-11-25", None)]
    assert sorted(row["mobile"] for row in sandbox.billed()) == [A, B]
    assert A not in logged()


def test_it_is_called_once(sandbox: SandboxServer, context: Any) -> None:
    """A second attempt goes on from the ledger; other arguments call it again, and its recipients decide."""
    for _ in range(2):
        assert operator().execute(context)["sent"] == 2
    assert len(CALLS) == 1
    other = {"first": "13912340003"}
    with pytest.raises(AirflowFailException, match="1 are new and 1 are gone"):
        operator(op_kwargs=other).execute(context)
    assert len(sandbox.billed()) == 2
    assert operator(op_kwargs=other, audience_change="add").execute(context)["sent"] == 3
    assert len(CALLS) == 3
    assert len(sandbox.billed()) == 3


def test_a_dry_run_calls_it_each_time(context: Any) -> None:
    """Nothing is kept of a dry run, so it asks again."""
    for _ in range(2):
        assert operator(dry_run=True).execute(context)["would_send"] == 2
    assert len(CALLS) == 2


@pytest.mark.parametrize(
    "returned",
    [A, int(A), [A], iter([A]), f"['{A}']"],
    ids=["text", "int", "list", "iterator", "text of a list"],
)
def test_what_it_may_return(context: Any, returned: Any) -> None:
    """One number, or as many as there are, in every form that mobiles has."""
    assert operator(lambda: returned).execute(context)["sent"] == 1


def test_a_single_number_that_is_skipped(context: Any) -> None:
    """The task is skipped, as with mobiles."""
    with pytest.raises(AirflowSkipException, match="skipped as blocked_region"):
        operator(lambda: BEIJING).execute(context)


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        (None, r"nobody\(\): got nothing \(None\)"),
        ({A: 1}, r"nobody\(\): got a dict"),
        ([[A]], r"nobody\(\): item 0 is a list"),
    ],
)
def test_what_it_may_not_return(context: Any, returned: Any, sentence: str) -> None:
    """The sentence names the function."""

    def nobody() -> Any:
        return returned

    with pytest.raises(AirflowFailException, match=sentence) as raised:
        operator(nobody).execute(context)
    assert A not in str(raised.value)


def test_an_error_in_it_is_its_own(context: Any) -> None:
    """What the function raises is what the task raises."""
    with pytest.raises(ZeroDivisionError):
        operator(lambda: 1 / 0).execute(context)


@pytest.mark.parametrize("name", ["mobiles", "audience_file", "audience_column"])
def test_another_audience_beside(name: str) -> None:
    """Whoever gives two audiences learns it when the Dag is read."""
    with pytest.raises(ValueError, match=rf"{name} is given beside recipients\(\)"):
        operator(recipients, **{name: "x"})


def test_an_asynchronous_function() -> None:
    """It is refused when the Dag is read."""

    async def later() -> list[str]:
        return [A]

    with pytest.raises(ValueError, match=r"later\(\) is asynchronous"):
        operator(later)


def test_arguments_are_masked_and_used(context: Any) -> None:
    """Rendering masks each argument, templates and all, and the function gets what is under it."""
    send = operator(op_args=["{{ who }}"], op_kwargs={"more": [B]})
    for who in (A, "x"):
        send.render_template_fields(dict(context, who=who))  # type: ignore[arg-type]
    assert [one.serialize() for one in send.op_args] == ["a str"]
    assert send.op_kwargs["more"].serialize() == "a list of 1"
    assert A not in repr((send.op_args, send.op_kwargs))
    assert send.execute(context)["sent"] == 2
    assert CALLS == [(A, None, [B])]


def test_in_a_dag() -> None:
    """Airflow knows the decorator; override, partial and expand work, and what is upstream becomes so."""
    with DAG("d", schedule=None):

        @task
        def numbers() -> list[str]:
            return [A]

        @task.caixin_send(tpl_id=65535, outlets=[Asset("sent")])
        def send(who: Any, other: str = "") -> Any:
            """Choose."""
            return who, other

        plain: Any = send(numbers())
        other: Any = send.override(task_id="other", tpl_id=7)("x")
        mapped: Any = send.override(task_id="mapped").partial(other="y").expand(who=["a", "b"])
    assert plain.operator.upstream_task_ids == {"numbers"}
    assert isinstance(other.operator, CaixinSendDecoratedOperator)
    assert (other.operator.tpl_id, other.operator.task_id) == (7, "other")
    assert other.operator.doc_md == "Choose."
    one = mapped.operator.unmap({"op_kwargs": {"who": "a", "other": "y"}})
    assert isinstance(one, CaixinSendDecoratedOperator)
    one._do_render_template_fields(one, one.template_fields, {}, one.get_template_env(), set())
    assert {name: value.value for name, value in one.op_kwargs.items()} == {"who": "a", "other": "y"}
