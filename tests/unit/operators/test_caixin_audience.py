"""Audiences as they come to a task: who is billed, and what stops it before anybody is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    ObjectStoragePath,
)
from airflow.sdk.io import attach
from airflow.sdk.io import store as stores
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem  # type: ignore[import-untyped]

from airflow_provider_caixin.decorators.caixin import CaixinSendDecoratedOperator
from airflow_provider_caixin.sandbox import SandboxServer
from tests.unit.sends import billed, operator

A, B, C = "13912350001", "13912350002", "13912350003"
# Somebody else in the same rows.
X, Y, Z = "13912340001", "13912340002", "13912340003"

pytestmark = pytest.mark.usefixtures("to_sandbox")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (f"sep=,\r\n推荐人手机,手机号\r\n{X},{A}\r\n{Y},{B}\r\n".encode("utf-8-sig"), [A, B]),
        (f"会员名单 2026年11月 导出\r\n门店电话,手机号\r\n{X},{A}\r\n{X},{B}\r\n".encode("gb18030"), [A, B]),
        (
            f"name,address,contact_mobile,mobile\nA,Shanghai,{X},{A}\nB,Hangzhou, West Lake Road 1,{Y},{B}\nC,Ningbo,{Z},{C}\n".encode(),
            [A, C],
        ),
        (f'订单号,手机号\r\n="1001","=""{A}"""\r\n="1002",="{B}"\r\n'.encode("gb18030"), [A, B]),
        (f"手机号,姓名\r\n{A},甲\r\n{B},乙\r\n".encode("utf-16-le"), [A, B]),
        (f"\ufeff推荐人,*手机号\u00a0\n{X},{A}\n{Y},{B}\n".encode("utf-8-sig"), [A, B]),
    ],
    ids=["sep", "title", "ragged", "formula", "utf-16", "heading"],
)
def test_only_the_people_of_the_column_are_billed(
    sandbox: SandboxServer, context: Any, tmp_path: Path, content: bytes, expected: list[str]
) -> None:
    """However the file was made; what cannot be told apart is nobody's message."""
    file = tmp_path / "members.csv"
    file.write_bytes(content)
    result = operator(audience_file=str(file)).execute(context)
    assert billed(sandbox) == expected
    assert result["skipped"].get("invalid_number", 0) == result["total"] - len(expected)


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            "手机号,金额\n9.9,1\n19.9,2\n",
            "none of the 2 rows is a mobile number; the first look like '9.9', '99.9'",
        ),
        (
            f"会员名单\n门店电话,联系电话\n{X},{A}\n",
            r"line 2 has \(门店电话, 联系电话\); name one of its columns",
        ),
        (f"手机号，姓名\n{A}，甲\n", "several cells in line 2"),
        (f"推荐人,手机号\n{A}\n{B}\n", r"'\[1 cell under 2 headings\] 99999999999'"),
    ],
    ids=["another column", "title", "separator", "ragged"],
)
def test_what_cannot_be_read_fails_before_anything_is_sent(
    sandbox: SandboxServer, context: Any, tmp_path: Path, content: str, sentence: str, dry_run: bool
) -> None:
    """Without a retry, with the file and what to do; no number shows."""
    file = tmp_path / "members.csv"
    file.write_text(content)
    with pytest.raises(AirflowFailException, match=sentence) as caught:
        operator(audience_file=str(file), dry_run=dry_run, check_template=False).execute(context)
    assert str(caught.value).startswith(f"audience_file '{file}'")
    assert not any(number in str(caught.value) for number in (A, B, X))
    assert sandbox.requests() == []


def test_the_same_task_goes_on_with_a_file_that_is_mended(
    sandbox: SandboxServer, context: Any, tmp_path: Path
) -> None:
    """Nothing of the unreadable rows is in its campaign."""
    file = tmp_path / "members.txt"
    file.write_text("张三\n李四\n")
    with pytest.raises(AirflowFailException, match="none of the 2 rows"):
        operator(audience_file=str(file)).execute(context)
    file.write_text(f"{A}\n{B}\n张三\n")
    result = operator(audience_file=str(file)).execute(context)
    assert (result["total"], result["skipped"]) == (3, {"invalid_number": 1})
    assert billed(sandbox) == [A, B]


@pytest.mark.parametrize(("mobiles", "total"), [([], 0), (["hello"], 1)], ids=["nobody", "one in a list"])
def test_nobody_and_a_single_row_end_as_ever(context: Any, mobiles: list[str], total: int) -> None:
    """An empty list is an audience, and a single row that is none is no file of them."""
    assert operator(mobiles=mobiles).execute(context)["total"] == total
    with pytest.raises(AirflowSkipException, match="invalid_number"):
        operator(mobiles="hello", campaign_id="another").execute(context)


def test_less_than_half_is_said_at_the_load_and_at_the_end(
    context: Any, logged: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    """A WARNING each."""
    result = operator(mobiles=[A, "9.9", "19.9"]).execute(context)
    assert result["sent"] == 1
    assert "mobiles: 2 of 3 rows are no mobile numbers, such as '9.9', '99.9'" in caplog.text
    assert "2 of the 3 rows of the audience are no mobile numbers" in logged()


class Frame:
    """A table, as pandas has it: whoever goes through it gets its headings."""

    columns = ("mobile", "name")

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        (Frame(), r"recipients\(\): got a table \(Frame\)"),
        (["张三", "李四"], r"recipients\(\): none of the 2 rows"),
    ],
    ids=["frame", "names"],
)
def test_a_function_that_returns_something_else(
    sandbox: SandboxServer, context: Any, returned: Any, sentence: str
) -> None:
    """The function is named."""

    def recipients() -> Any:
        return returned

    with pytest.raises(AirflowFailException, match=sentence):
        CaixinSendDecoratedOperator(task_id="send", tpl_id=65535, python_callable=recipients).execute(context)
    assert billed(sandbox) == []


def test_a_function_that_returns_bytes(sandbox: SandboxServer, context: Any) -> None:
    """They are read as the text that they spell."""

    def recipients() -> list[bytes]:
        return [A.encode(), B.encode()]

    CaixinSendDecoratedOperator(task_id="send", tpl_id=65535, python_callable=recipients).execute(context)
    assert billed(sandbox) == [A, B]


class Bucket(AbstractFileSystem):  # type: ignore[misc]
    """A bucket with one prefix: S3's file system says it is a folder, and opens it all the same."""

    cachable = False

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Describe the prefix."""
        return {"name": path, "size": 0, "type": "directory"}

    def _open(self, path: str, mode: str = "rb", **_: Any) -> AbstractBufferedFile:
        return AbstractBufferedFile(self, path, mode, size=0)


@pytest.fixture
def bucket() -> Iterator[str]:
    """Return the URL of a prefix that looks like a file."""
    attach("memory", fs=Bucket())
    yield "memory://bucket/members.csv"
    stores._STORE_CACHE.clear()


@pytest.mark.parametrize("argument", ["audience_file", "suppress_file"])
def test_a_prefix_of_a_bucket_is_a_folder(
    sandbox: SandboxServer, context: Any, bucket: str, argument: str
) -> None:
    """And no audience or list of nobody."""
    assert ObjectStoragePath(bucket).open("rb").read() == b""  # type: ignore[no-untyped-call]
    arguments = {"mobiles": [A]} if argument == "suppress_file" else {}
    with pytest.raises(AirflowException, match=f"{argument} '{bucket}' is a folder; give the path or URL"):
        operator(**arguments, **{argument: bucket}).execute(context)
    assert billed(sandbox) == []
