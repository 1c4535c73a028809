"""Where a report goes: never over an input, known before a bill, all or nothing, and again without a send."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import airflow.sdk.io.store
import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

from airflow_provider_caixin.campaign import Campaign
from airflow_provider_caixin.cli import main
from airflow_provider_caixin.ledger import LedgerUnavailable
from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.session.report_file import ReportFile
from airflow_provider_caixin.settings.ledgers import embedded_path
from tests.unit.sends import A, B

HEADER = "mobile,state,reason,error_code,sid,sent_at"

pytestmark = pytest.mark.usefixtures("to_sandbox")


def operator(**arguments: Any) -> CaixinSendOperator:
    """Make an operator of template 65535."""
    return CaixinSendOperator(**{"task_id": "send", "tpl_id": 65535, "mobiles": [A, B], **arguments})


class Store(MemoryFileSystem):  # type: ignore[misc]
    """A store with one bucket and only get and put rights: whoever makes a folder in it makes a bucket."""

    store: ClassVar[dict[str, Any]] = {}
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.store.clear()
        self.calls: list[str] = []
        self.may_put: Callable[[str], bool] = lambda _: True
        self.may_remove = False

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        path = self._strip_protocol(path)
        if "w" in mode:
            self.calls.append(f"put {path}")
            if not path.startswith("/bucket/"):
                raise FileNotFoundError("The specified bucket does not exist")
            if not self.may_put(path):
                raise PermissionError("Access Denied")
        return super()._open(path, mode, **options)

    def rm_file(self, path: str) -> None:
        """Remove an object, where that is allowed."""
        if not self.may_remove:
            raise PermissionError("Access Denied")
        self.calls.append(f"remove {path}")
        super().rm_file(path)

    def mkdir(self, path: str, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Refuse to make a bucket."""
        raise PermissionError(f"CreateBucket denied: {path}")

    makedirs = mkdir


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    """Let memory:// be such a store."""
    made = Store()
    attached = airflow.sdk.io.store.ObjectStore(protocol="memory", conn_id=None, fs=made)
    monkeypatch.setitem(airflow.sdk.io.store._STORE_CACHE, "memory", attached)
    return made


# ---------------------------------------------------------------------- never over an input


def spelt(path: Path, how: str) -> Any:
    """Spell a path another way."""
    beside = path.parent
    if how == "symlink":
        (beside / "link.csv").symlink_to(path)
        return str(beside / "link.csv")
    if how == "hard link":
        (beside / "hard.csv").hardlink_to(path)
        return str(beside / "hard.csv")
    if how == "linked folder":
        (beside / "folder").symlink_to(beside)
        return str(beside / "folder" / path.name)
    return {
        "same": str(path),
        "path": path,
        "URL": f"file://{path}",
        "relative": path.name,
        "dots": f"{beside}/made/../{path.name}",
        "object": ObjectStoragePath(str(path)),
    }[how]


@pytest.mark.parametrize(
    "how",
    ["same", "path", "URL", "relative", "dots", "object", "symlink", "hard link", "linked folder"],
)
@pytest.mark.parametrize("name", ["audience_file", "suppress_file"])
def test_over_an_input(
    name: str,
    how: str,
    sandbox: SandboxServer,
    context: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The member list is not what a report is written over, however it is spelt."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "made").mkdir()
    file = tmp_path / "recipients.csv"
    file.write_text(f"mobile\n{A}\n")
    arguments: dict[str, Any] = {name: str(file), "report_file": spelt(file, how)}
    if name == "audience_file":
        arguments["mobiles"] = None
    with pytest.raises(AirflowFailException, match=f"report_file .* is the file that {name} .* names"):
        operator(**arguments).execute(context)
    assert file.read_text() == f"mobile\n{A}\n"
    assert sandbox.requests() == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("s3://b/x.csv", "s3://conn@b/x.csv", True),
        ("s3://b/x.csv", "s3a://b/y/../x.csv", True),
        ("s3://b/x.csv", "s3://c/x.csv", False),
        ("s3://b/x.csv", "gs://b/x.csv", False),
        ("/b/x.csv", "s3://b/x.csv", False),
        ("/nowhere/x.csv", "file:///nowhere/y/../x.csv", True),
        ("/nowhere/x.csv", "/nowhere/y.csv", False),
    ],
)
def test_the_same_place(one: str, other: str, same: bool) -> None:
    """In stores by protocol, bucket and key; on this host also where there is no file yet."""
    report = ReportFile(ObjectStoragePath(one))
    if same:
        with pytest.raises(ValueError, match="is the file that audience_file"):
            report.refuse_inputs(audience_file=ObjectStoragePath(other), suppress_file=None)
    else:
        report.refuse_inputs(audience_file=ObjectStoragePath(other), suppress_file=None)


# ---------------------------------------------------------------------- before the first bill


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("folder", "Is a directory"),
        ("file/report.csv", "Not a directory|File exists"),
        ("n" * 300, "File name too long"),
        ("/proc/nowhere/report.csv", "No such file"),
        ("memory://buckt/report.csv", "bucket does not exist"),
        ("https://example.invalid/report.csv", ""),
    ],
)
def test_where_it_cannot_be_written(
    place: str, why: str, sandbox: SandboxServer, store: Store, context: Any, tmp_path: Path
) -> None:
    """That is known before anybody is billed, and makes no bucket; no retry helps."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    place = place if "/" in place and not place.startswith("file") else str(tmp_path / place)
    with pytest.raises(AirflowFailException, match=rf"report_file .* cannot be written: \w+: .*({why})"):
        operator(report_file=place).execute(context)
    assert sandbox.requests() == []
    assert store.store == {}


def test_a_file_that_may_not_be_overwritten(
    sandbox: SandboxServer, context: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rename would do it all the same."""
    (tmp_path / "report.csv").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may do everything
    with pytest.raises(AirflowFailException, match="PermissionError: Permission denied"):
        operator(report_file=str(tmp_path / "report.csv")).execute(context)
    assert sandbox.requests() == []


def test_over_the_ledger(sandbox: SandboxServer, context: Any) -> None:
    """It would forget everybody."""
    with pytest.raises(AirflowFailException, match=r"is the file that ledger .*caixin_ledger.db' names"):
        operator(report_file=str(embedded_path())).execute(context)
    assert sandbox.requests() == []


@pytest.mark.parametrize("refused", ["rename", "folder"])
def test_a_file_that_may_be_written_and_not_replaced(
    refused: str, context: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mount, another's file in a folder like /tmp, or a folder closed to new files: it is written over."""
    report = tmp_path / "place" / "report.csv"
    report.parent.mkdir()
    report.write_text("longer than the report is to be " * 20)
    if refused == "rename":

        def replace(*_: Any) -> None:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

        monkeypatch.setattr(Path, "replace", replace)
    else:
        may = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != report.parent and may(path, mode))
    operator(report_file=str(report)).execute(context)
    assert report.read_text(encoding="utf-8-sig").splitlines()[0] == HEADER
    assert len(report.read_text().splitlines()) == 3
    assert list(report.parent.iterdir()) == [report]


def test_a_store_that_does_not_answer(sandbox: SandboxServer, store: Store, context: Any) -> None:
    """It may answer later, so that Airflow may try again."""

    def fail(_: str) -> bool:
        raise TimeoutError("no answer")

    store.may_put = fail
    with pytest.raises(AirflowException, match="TimeoutError: no answer") as caught:
        operator(report_file="memory://bucket/report.csv").execute(context)
    assert not isinstance(caught.value, AirflowFailException)
    assert sandbox.requests() == []


@pytest.mark.parametrize("may_remove", [True, False])
def test_a_report_in_a_store(
    may_remove: bool, store: Store, context: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Get and put rights are enough; the trial object has its own name, and is removed where allowed."""
    store.may_remove = may_remove
    caplog.set_level("INFO")
    result = operator(report_file="memory://bucket/day/report.csv").execute(context)
    assert (result["sent"], result["report_file"]) == (2, "memory://bucket/day/report.csv")
    report = store.store.pop("/bucket/day/report.csv").getvalue().decode("utf-8-sig")
    assert report.splitlines()[0] == HEADER
    assert A in report
    probes = list(store.store)
    assert len(probes) == (0 if may_remove else 1)
    assert ("cannot be removed" in caplog.text) is not may_remove
    assert all(name.startswith("/bucket/day/report.csv.") and name.endswith(".probe") for name in probes)


def test_a_dry_run_tries_nothing(context: Any, store: Store, tmp_path: Path) -> None:
    """It writes no report, so that it makes no folder either."""
    operator(report_file=str(tmp_path / "made" / "report.csv"), dry_run=True).execute(context)
    operator(report_file="memory://bucket/report.csv", dry_run=True).execute(context)
    assert not (tmp_path / "made").exists()
    assert store.calls == []


# ---------------------------------------------------------------------- at the end


def test_a_report_that_fails_at_the_end(
    sandbox: SandboxServer, store: Store, context: Any, logged: Callable[[], str], tmp_path: Path
) -> None:
    """The counts are logged by then; a retry writes it, as the command line does; nobody gets anything."""
    store.may_put = lambda path: path.endswith(".probe")
    arguments = {"report_file": "memory://bucket/report.csv", "campaign_id": "spring sale"}
    with pytest.raises(AirflowException, match="Access Denied") as caught:
        operator(**arguments).execute(context)
    assert not isinstance(caught.value, AirflowFailException)
    assert "campaign report 'spring sale' --file FILE" in str(caught.value)
    assert "Campaign spring sale, 2 recipients: 2 sent" in logged()
    assert len(sandbox.requests()) == 2
    assert main(["campaign", "report", "spring sale", "--file", str(tmp_path / "report.csv")]) == 0
    store.may_put = lambda _: True
    assert operator(**arguments).execute(context)["sent"] == 2
    written = store.store["/bucket/report.csv"].getvalue()
    assert written == (tmp_path / "report.csv").read_bytes()
    assert len(sandbox.requests()) == 2


def test_whole_or_not_at_all(context: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that breaks off leaves the earlier one, and nothing beside it."""
    report = tmp_path / "place" / "report.csv"
    operator(report_file=str(report)).execute(context)
    earlier = report.read_bytes()

    def break_off(_: Campaign, file: Any) -> None:
        file.write(HEADER)
        file.flush()
        raise LedgerUnavailable("the ledger is gone")

    with monkeypatch.context() as patch:
        patch.setattr(Campaign, "write_report", break_off)
        with pytest.raises(AirflowException, match="the ledger is gone"):
            operator(report_file=str(report)).execute(context)
    assert report.read_bytes() == earlier
    assert list(report.parent.iterdir()) == [report]


def test_who_may_read_it(context: Any, tmp_path: Path) -> None:
    """A new one is as new files are; a replaced one is as open or closed as it was. A link stays a link."""
    new, old, link = tmp_path / "new.csv", tmp_path / "old.csv", tmp_path / "link.csv"
    old.touch()
    old.chmod(0o600)
    link.symlink_to(old)
    operator(report_file=str(new)).execute(context)
    operator(report_file=str(link)).execute(context)
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(new.stat().st_mode) == 0o666 & ~mask
    assert stat.S_IMODE(old.stat().st_mode) == 0o600
    assert link.is_symlink()
    assert old.read_bytes() == new.read_bytes()


def test_a_device_stays_one(context: Any) -> None:
    """What is no file is written to and not replaced."""
    operator(report_file="/dev/null").execute(context)
    assert Path("/dev/null").is_char_device()
