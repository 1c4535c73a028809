from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_caixin.ledger import Ledger, LedgerError
from airflow_provider_caixin.settings import ledgers
from airflow_provider_caixin.settings.ledgers import embedded_path, open_ledger


@pytest.fixture(autouse=True)
def _one_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def test_the_embedded_ledger(tmp_path: Path) -> None:
    """Without a connection the ledger is a file in AIRFLOW_HOME, the same one each time."""
    with closing(open_ledger(None)) as first, closing(open_ledger(None)) as second:
        assert first.uuid == second.uuid
    assert embedded_path() == tmp_path / "caixin_ledger.db"
    assert embedded_path().exists()


def test_a_home_that_lets_nobody_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever only looks on is not told that there is no ledger; opening it says whose the folder is."""

    def closed(_: Path) -> bool:
        raise PermissionError

    with pytest.raises(LedgerError, match="There is no ledger yet"):
        open_ledger(None, make=False)
    monkeypatch.setattr(Path, "exists", closed)
    open_ledger(None, make=False).close()


@pytest.mark.parametrize(
    ("executor", "named"),
    [
        ("CeleryExecutor", "CeleryExecutor"),
        ("LocalExecutor,KubernetesExecutor", "KubernetesExecutor"),
        ("airflow.providers.edge3.executors.EdgeExecutor", "EdgeExecutor"),
        ("LocalExecutor,far:my.company.executors.FarExecutor", "far"),
        ("LocalExecutor;red=CeleryExecutor", "CeleryExecutor"),
    ],
)
def test_several_hosts_by_executor(executor: str, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any configured executor that is not local refuses the embedded ledger; a sentence says what to set."""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    with pytest.raises(LedgerError, match=named) as caught:
        open_ledger(None)
    assert "AIRFLOW__CAIXIN__LEDGER_CONN_ID" in str(caught.value)
    assert "AIRFLOW__CAIXIN__ALLOW_EMBEDDED_LEDGER" in str(caught.value)
    assert not embedded_path().exists()


@pytest.mark.parametrize(
    "executor",
    [
        "LocalExecutor",
        "airflow.executors.local_executor.LocalExecutor",
        "near:LocalExecutor",
        "LocalExecutor;red=LocalExecutor",
    ],
)
def test_one_host(executor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The local executor is local under each of its names."""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    open_ledger(None).close()


def test_the_tasks_own_executor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task may name another executor than the first, by class or by alias."""
    with pytest.raises(LedgerError, match="KubernetesExecutor"):
        open_ledger(None, executor="KubernetesExecutor")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "near:LocalExecutor")
    open_ledger(None, executor="near").close()


def test_a_kubernetes_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a pod the executor always reads as local, and the disk ends with the pod."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(LedgerError, match="Kubernetes pod"):
        open_ledger(None)


@pytest.mark.parametrize("kind", ["nfs4", "9p", "virtiofs", "vboxsf", "fuse.grpcfuse"])
def test_a_network_file_system(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """SQLite's log cannot be shared over a network file system, nor by a virtual machine with its host."""
    monkeypatch.setattr(ledgers, "_file_system", lambda _: kind)
    with pytest.raises(LedgerError, match=f"network file system \\({kind}\\)"):
        open_ledger(None)


def test_allowed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who knows better can say so."""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW__CAIXIN__ALLOW_EMBEDDED_LEDGER", "True")
    open_ledger(None).close()


MOUNTS = """\
21 1 254:0 / / rw,relatime - ext4 /dev/vda rw
22 21 0:20 / /home rw - nfs4 server:/home rw
23 22 0:21 / /home/me/local rw - ext4 /dev/vdb rw
24 21 0:22 / /with\\040blank rw shared:1 - cifs //server/x rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/opt", "ext4"),
        ("/home/you", "nfs4"),
        ("/home/me/local/a", "ext4"),
        ("/homes", "ext4"),
        ("/with blank/a", "cifs"),
    ],
)
def test_the_file_system_of_a_folder(folder: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deepest mount above a folder tells."""
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: MOUNTS)
    monkeypatch.setattr(Path, "resolve", lambda self: self)
    assert ledgers._file_system(Path(folder)) == kind


def test_without_a_list_of_mounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no such list, as on macOS, nothing is refused for it."""

    def missing(*_: Any, **__: Any) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert ledgers._file_system(Path("/")) is None


@pytest.mark.parametrize(("set_to", "allow_unsafe"), [(None, False), ("False", False), ("True", True)])
def test_what_a_connection_is_opened_with(
    set_to: str | None, allow_unsafe: bool, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its address, what its extra says to the driver, and whether the ledger may be unsafe."""
    connect("led", conn_type="postgres", login="u@", password="p/:@", host="h", extra={"sslmode": "require"})
    if set_to is not None:
        monkeypatch.setenv("AIRFLOW__CAIXIN__ALLOW_UNSAFE_LEDGER", set_to)
    seen = []
    monkeypatch.setattr(Ledger, "__init__", lambda _, url, **options: seen.append((url, options)))
    open_ledger("led")
    ((url, options),) = seen
    assert url.render_as_string(hide_password=False) == "postgresql://u%40:p%2F%3A%40@h"
    assert options == {"statement": 30, "arguments": {"sslmode": "require"}, "allow_unsafe": allow_unsafe}


def test_a_field_that_is_not_known(connect: Any) -> None:
    """A typo would otherwise be dropped in silence."""
    connect("led", conn_type="postgres", host="h", extra={"sslmod": "require"})
    with pytest.raises(LedgerError, match="'led': extra field 'sslmod' is not known; did you mean 'sslmode'"):
        open_ledger("led")


def test_another_type_of_connection(connect: Any) -> None:
    """A connection that is no database the ledger knows is refused by name."""
    connect("led", conn_type="sqlite", host="/tmp/x.db")
    with pytest.raises(LedgerError, match="'led' is of type 'sqlite': expected postgres or mysql"):
        open_ledger("led")


def test_a_missing_driver(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence says what to install."""

    def missing(*_: Any, **__: Any) -> None:
        raise ModuleNotFoundError(name="psycopg")

    connect("led", conn_type="postgres", host="h")
    monkeypatch.setattr(Ledger, "__init__", missing)
    with pytest.raises(LedgerError, match=r'pip install "airflow-provider-caixin\[postgres\]"'):
        open_ledger("led")
