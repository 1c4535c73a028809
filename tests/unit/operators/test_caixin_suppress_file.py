from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_caixin.ledger.admin import suppressions
from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.settings.ledgers import open_ledger
from tests.unit.sends import A, B, C

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
    """They are on the ledger's list, with the file as the reason, also for campaigns that name no file."""
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
    "content",
    [
        f"退订名单 2026年11月\r\n受理人手机,手机号,时间\r\n{C},{A},2026-11-20\r\n{C},{B},2026-11-21\r\n".encode(
            "gb18030"
        ),
        f'手机号\r\n="{A}"\r\n{B}\r\n'.encode(),
        f"手机号,时间\r\n{A},11-20\r\n{B},11-21\r\n".encode("utf-16-le"),
        f"备注,手机号\r\n甲,{A}/{B}\r\n".encode(),
    ],
    ids=["title", "formula", "utf-16", "two in a cell"],
)
def test_lists_as_offices_make_them(
    sandbox: SandboxServer, context: Any, tmp_path: Path, content: bytes
) -> None:
    """Whoever opted out gets nothing, and whoever took the call gets the message."""
    file = tmp_path / "optout.csv"
    file.write_bytes(content)
    assert operator(file).execute(context)["skipped"] == {"suppressed": 2}
    assert [row["mobile"] for row in sandbox.billed()] == [C]
    assert {one.number for one in listed()} == {A, B}


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_damaged_row_stops_the_send(
    sandbox: SandboxServer, context: Any, tmp_path: Path, dry_run: bool
) -> None:
    """What can be read is listed by then; bad rows are named by line, and the sentence shows no number."""
    file = tmp_path / "optout.csv"
    rows = [
        f"手机号,姓名\n{A},甲",
        "010-12345678,乙",
        "1.38E+10,丙",
        "139123400,丁",
        "合计 3,",
        f"{B[:3]}****{B[7:]},戊",
    ]
    file.write_text(
        "\n".join([*rows, f"甲,乙,{C}", "1391,2340", "13912340,庚", "13912341,辛", "13912342,壬"])
    )
    with pytest.raises(AirflowFailException) as caught:
        operator(file, dry_run=dry_run).execute(context)
    assert str(caught.value) == (
        f"suppress_file '{file}': 7 rows may be damaged mobile numbers (line 4: '9.99E+99', line 5: '999999999', "
        "line 7: '999****9999', line 8: '[3 cells under 2 headings] x,x,99999999999', line 10: '99999999' and 2 more; 9 stands for "
        "a digit, x for a letter). Take these numbers from their source again, as text, or delete what is no number, and run it again."
        + ("" if dry_run else " What can be read is on the suppression list.")
    )
    assert sandbox.requests() == []
    assert [one.number for one in listed()] == ([] if dry_run else [A])


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
    """An unreadable list stops the task before the first message; only one that may yet come is retried."""
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(AirflowException, match=sentence) as caught:
        operator(tmp_path / name).execute(context)
    assert type(caught.value) is kind
    assert str(caught.value).startswith(f"suppress_file '{tmp_path / name}'")
    assert sandbox.requests() == []
