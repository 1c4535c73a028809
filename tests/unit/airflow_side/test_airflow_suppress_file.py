from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_caixin.ledger import suppressions
from airflow_provider_caixin.ledgers import open_ledger
from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.sandbox import SandboxServer

A, B, C = "13912340001", "13912340002", "13912340003"

pytestmark = pytest.mark.usefixtures("to_sandbox")


def operator(suppress_file: Path, **arguments: Any) -> CaixinSendOperator:
    """Make an operator that reads an opt-out list."""
    return CaixinSendOperator(
        task_id="send", tpl_id=65535, mobiles=[A, B, C], suppress_file=str(suppress_file), **arguments
    )


def listed() -> list[suppressions.Suppression]:
    """Read the ledger's suppression list."""
    with closing(open_ledger(None)) as ledger:
        return list(suppressions.suppressed(ledger))


def test_who_is_in_the_file_gets_nothing_ever(
    sandbox: SandboxServer,
    context: Any,
    tmp_path: Path,
    logged: Callable[[], str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The people are on the ledger's list, with the file as the reason, also for campaigns that name no file."""
    file = tmp_path / "optout.csv"
    file.write_text(f"id,手机号\n1,+86 {B}\n2,\n3,{B}\n4,13500000001\n", encoding="utf-8-sig")
    result = operator(file).execute(context)
    assert (result["sent"], result["skipped"]) == (2, {"suppressed": 1})
    assert sorted(row["mobile"] for row in sandbox.billed()) == [A, C]
    assert [(one.number, one.reason) for one in listed()] == [
        ("13500000001", f"suppress_file '{file}'"),
        (B, f"suppress_file '{file}'"),
    ]
    assert "2 numbers are new on the suppression list" in logged()
    assert "1 of 4 rows are no mobile numbers" in caplog.text
    assert B not in logged() + caplog.text
    other = CaixinSendOperator(task_id="send", tpl_id=65535, mobiles=[B, C], campaign_id="other")
    assert other.execute(context)["skipped"] == {"suppressed": 1, "frequency_cap": 1}


def test_a_file_that_grew_holds_at_the_next_run(sandbox: SandboxServer, context: Any, tmp_path: Path) -> None:
    """The file is read at each run: whoever opted out since the load is skipped."""
    file = tmp_path / "optout.txt"
    file.write_text("")
    operator(file, max_messages=1).execute(context)
    file.write_text(f"{B}\n{C}\n")
    result = operator(file).execute(context)
    assert (result["sent"], result["skipped"]) == (1, {"suppressed": 2})
    assert len(sandbox.billed()) == 1


def test_a_dry_run_keeps_nothing(context: Any, tmp_path: Path) -> None:
    """It counts who would be skipped, and the list stays as it was."""
    file = tmp_path / "optout.txt"
    file.write_text(f"{A}\n")
    result = operator(file, dry_run=True).execute(context)
    assert (result["would_send"], result["skipped"]) == (2, {"suppressed": 1})
    assert listed() == []


@pytest.mark.parametrize(
    ("name", "content", "kind", "sentence"),
    [
        ("gone.txt", None, AirflowException, "does not exist"),
        ("other.csv", "name,city\n张三,上海\n", AirflowFailException, "call one of them mobile"),
        ("other.txt", "张三\n李四\n", AirflowFailException, "none of the 2 rows is a mobile number"),
        ("list.xlsx", "", AirflowFailException, "is no .txt or .csv file"),
    ],
)
def test_without_the_list_nothing_is_sent(
    sandbox: SandboxServer,
    context: Any,
    tmp_path: Path,
    name: str,
    content: str | None,
    kind: type[Exception],
    sentence: str,
) -> None:
    """A list that cannot be read stops the task before the first message; only one that may yet come is retried."""
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(AirflowException, match=sentence) as caught:
        operator(tmp_path / name).execute(context)
    assert type(caught.value) is kind
    assert str(caught.value).startswith(f"suppress_file '{tmp_path / name}'")
    assert sandbox.requests() == []
