"""Which ledger an Airflow installation uses, and whether the embedded one may be it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_provider_caixin.settings.options import get_option

if TYPE_CHECKING:
    from airflow_provider_caixin.ledger import Ledger

EMBEDDED_NAME: Final = "caixin_ledger.db"

_LOCAL_EXECUTOR: Final = "LocalExecutor"
# SQLite's write-ahead log is shared memory, which none of these shares between hosts.
_NETWORK_FILE_SYSTEMS: Final = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"}
    # A folder of another machine in a virtual one.
    | {"vboxsf", "virtiofs"}
    | {
        f"fuse.{name}"
        for name in (
            "blobfuse2",
            "ceph",
            "gcsfuse",
            "glusterfs",
            "goofys",
            "grpcfuse",
            "juicefs",
            "rclone",
            "s3fs",
            "sshfs",
        )
    }
)
_REMEDY: Final = (
    "Set [caixin] ledger_conn_id (AIRFLOW__CAIXIN__LEDGER_CONN_ID) to the id of a PostgreSQL or MySQL connection that all hosts "
    "share. Only if every task that sends runs on this one host, with AIRFLOW_HOME on a local disk, set [caixin] "
    "allow_embedded_ledger (AIRFLOW__CAIXIN__ALLOW_EMBEDDED_LEDGER) to True."
)


def open_ledger(
    conn_id: str | None, *, executor: str | None = None, statement: int | None = None, make: bool = True
) -> Ledger:
    """Open the ledger behind a PostgreSQL or MySQL connection.

    :param conn_id: None: the embedded SQLite file in ``AIRFLOW_HOME``.
    :param executor: the executor that the task names for itself.
    :param statement: seconds that one statement may take, where the usual ones are too many.
    :param make: make the embedded ledger where there is none.
    :raises LedgerError: when the embedded ledger is asked for where tasks may run on several hosts, or the
        connection is of another type, its extra has a field that is not known, or its driver is missing;
        names what to set.
    """
    from airflow.providers.common.compat.sdk import BaseHook

    from airflow_provider_caixin.ledger import Ledger, LedgerError
    from airflow_provider_caixin.ledger.engines import WRITER
    from airflow_provider_caixin.settings.ledger_connection import LedgerConnection

    if conn_id is None:
        path = embedded_path()
        if hosts := _several_hosts(path, executor):
            raise LedgerError(f"The embedded ledger ({path.name}) serves one host, and {hosts}. {_REMEDY}")
        if not make and _is_missing(path):
            raise LedgerError(
                f"There is no ledger yet ({path.name} in this host's AIRFLOW_HOME): the first campaign makes it. If campaigns have "
                "run already, they ran elsewhere: set [caixin] ledger_conn_id (AIRFLOW__CAIXIN__LEDGER_CONN_ID) to the id of a "
                "PostgreSQL or MySQL connection that all hosts share."
            )
        return Ledger.sqlite(path)
    conn = BaseHook.get_connection(conn_id)
    try:
        try:
            found = LedgerConnection.parse(conn)
        except ValueError as error:
            raise LedgerError(str(error)) from None
        return Ledger(
            found.url,
            statement=WRITER.statement if statement is None else statement,
            arguments=found.arguments,
            allow_unsafe=_is_on("allow_unsafe_ledger"),
        )
    except ModuleNotFoundError as error:
        extra = "mysql" if error.name == "pymysql" else "postgres"
        raise LedgerError(
            f"Ledger connection {conn_id!r} needs the module {error.name!r}, which is not installed: "
            f'pip install "airflow-provider-caixin[{extra}]".'
        ) from error


def embedded_path() -> Path:
    """Return where the embedded ledger is."""
    from airflow.configuration import get_airflow_home

    return Path(get_airflow_home()) / EMBEDDED_NAME


def _is_missing(path: Path) -> bool:
    try:
        return not path.exists()
    except PermissionError:
        # Opening it fails with the name of the folder's owner.
        return False


def _several_hosts(path: Path, executor: str | None) -> str | None:
    """Return why tasks may run on several hosts; None: they do not, or it is allowed."""
    from airflow.providers.common.compat.sdk import conf

    if _is_on("allow_embedded_ledger"):
        return None
    configured = _executors(str(conf.get("core", "executor", fallback=_LOCAL_EXECUTOR)))
    if executor is not None:
        configured.setdefault(executor, executor)
    if remote := sorted(
        name for name, path in configured.items() if path.rpartition(".")[2] != _LOCAL_EXECUTOR
    ):
        return f"tasks may run on several with {', '.join(remote)}"
    # The official Helm chart gives every Kubernetes worker the LocalExecutor.
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return "this is a Kubernetes pod (KUBERNETES_SERVICE_HOST is set), whose disk ends with it"
    if (kind := _file_system(path.parent)) in _NETWORK_FILE_SYSTEMS:
        return f"AIRFLOW_HOME is on a network file system ({kind})"
    return None


def _is_on(option: str) -> bool:
    return (get_option(option) or "").strip().lower() in ("true", "t", "1", "yes", "on")


def _executors(option: str) -> dict[str, str]:
    """Read ``[core] executor``: names, classes, ``alias:class``, and ``team=...`` with ``;`` between."""
    found: dict[str, str] = {}
    for team in option.split(";"):
        for item in team.rpartition("=")[2].split(","):
            alias, _, path = item.strip().rpartition(":")
            if path:
                found[alias or path] = path
    return found


def _file_system(folder: Path) -> str | None:
    """Return the type of the file system that a folder is on; None where that cannot be told (not Linux)."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        target = folder.resolve()
    except OSError:
        return None
    best, kind = -1, None
    for line in lines:
        mount, _, source = line.partition(" - ")
        point = Path(mount.split(" ")[4].replace("\\040", " "))
        # The last of two mounts on one point hides the first.
        if target.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), source.split(" ")[0]
    return kind
