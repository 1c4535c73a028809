"""A throw-away Airflow for a demo, a try-out or a test: its home, its commands, and an end to all of them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

import psutil  # type: ignore[import-untyped]  # Airflow brings it, without types

from airflow_provider_caixin.sandbox import SandboxServer

ROOT = Path(__file__).parents[1]
EXAMPLE_DAGS = ROOT / "example_dags"
# The sandbox takes any key. A real one never stands in a file.
APP_KEY = "throw-away-app-key"
PATIENCE = 10.0


class Command:
    """
    A running command in a session of its own, so that a Ctrl-C reaches only whoever started it.

    :param arguments: the command line.
    :param environment: its environment.
    :param log: file that its output is appended to; None: the caller reads ``process.stdout``.
    """

    def __init__(self, arguments: Sequence[str], environment: dict[str, str], log: Path | None) -> None:
        output = subprocess.PIPE if log is None else log.open("ab")
        self.process = subprocess.Popen(
            arguments,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if not isinstance(output, int):
            output.close()

    def ask_to_end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """
        Ask the command to end, and do not wait for it.

        :param how: what to ask it with.
        """
        if self.process.poll() is None:
            self.process.send_signal(how)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """
        End the command and every process that it left in its session.

        A scheduler waits for its tasks, unless it is told again; a sending task then settles what is on its way.

        :param how: what to ask it with at first.
        """
        self.ask_to_end(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE)
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + PATIENCE
            self._signal_session(number)
            while self._session() and time.monotonic() < deadline:
                self.process.poll()
                time.sleep(0.05)
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _signal_session(self, number: signal.Signals) -> None:
        for pid in self._session():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _session(self) -> list[int]:
        # Tasks have process groups of their own: the session is what all of them share.
        return [
            one.pid
            for one in psutil.process_iter(["status"])
            if _session_of(one.pid) == self.process.pid and one.info["status"] != psutil.STATUS_ZOMBIE
        ]


class Home:
    """
    A folder that is an ``AIRFLOW_HOME``, used by one process at a time; use it in a ``with`` block.

    :param folder: the folder, made when it is not there.
    :param dags: the folders that Dags are in.
    """

    def __init__(self, folder: Path, *dags: Path) -> None:
        self.folder = folder
        self._dags = dags or (EXAMPLE_DAGS,)
        self._lock: int | None = None
        self.connections: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            sys.exit(f"{shown(self.folder)} is in use: the same command runs already. Stop that one first.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._lock is not None:
            os.close(self._lock)

    def clear(self) -> None:
        """Forget everything: Airflow's database, the ledger, the sandbox's record."""
        for path in self.folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def connect(self, sandbox: SandboxServer, **extra: str) -> None:
        """
        Make a sandbox the gateway of the connection ``caixin_default``.

        :param sandbox: a running one.
        :param extra: the connection's extra.
        """
        self.connections["caixin_default"] = json.dumps(
            {
                "conn_type": "caixin",
                "password": APP_KEY,
                "host": sandbox.host,
                "port": sandbox.port,
                "schema": "http",
                "extra": extra,
            }
        )

    @property
    def environment(self) -> dict[str, str]:
        """
        The environment of a command in this home.

        Nothing of another Airflow gets in: with ``AIRFLOW__DATABASE__SQL_ALCHEMY_CONN`` of the caller's shell, say, these
        commands would migrate and fill that database.
        """
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("AIRFLOW_") and name != "FORCE_COLOR"
        }
        bundles = [
            {
                # The folder's own name may be one that Airflow keeps for itself: example_dags.
                "name": f"{folder.parent.name}-{folder.name}",
                "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                "kwargs": {"path": str(folder)},
            }
            for folder in self._dags
        ]
        direct = ",".join(filter(None, [inherited.get("NO_PROXY", ""), "127.0.0.1,localhost"]))
        return {
            **inherited,
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self._dags[0]),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            # LocalExecutor otherwise keeps room for 32 tasks at a time.
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
            # Airflow tells its makers about each installation, unless told not to.
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            # All of it runs on this one host, also where that is a pod or the checkout is on a network file system.
            "AIRFLOW__CAIXIN__ALLOW_EMBEDDED_LEDGER": "True",
            **{f"AIRFLOW_CONN_{name.upper()}": value for name, value in self.connections.items()},
            "NO_COLOR": "1",
            "NO_PROXY": direct,
            "no_proxy": direct,
            # Airflow's processes start each other by the name `airflow`, and find this repository's modules where we did.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)]),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), inherited.get("PYTHONPATH", "")])),
        }

    def airflow(self, *arguments: str, log: Path | None = None, **environment: str) -> Command:
        """
        Start an ``airflow`` command.

        :param arguments: what follows ``airflow``.
        :param log: file for its output; None: the caller reads it.
        :param environment: more of its environment.
        """
        command = [sys.executable, "-m", "airflow", *arguments]
        return Command(command, {**self.environment, **environment}, log)

    def migrate(self) -> None:
        """Make Airflow's database, or bring it up to date."""
        log = self.folder / "migrate.log"
        command = self.airflow("db", "migrate", log=log)
        try:
            status = command.process.wait()
        finally:
            command.stop()
        if status:
            sys.exit(f"airflow db migrate failed, and these are its last words ({shown(log)}):\n{tail(log)}")


def unwind_when_told() -> None:
    """Let SIGTERM and a closed terminal unwind this process as Ctrl-C does, and let no second one cut that short."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def unwind(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, unwind)


def shown(path: Path) -> str:
    """
    Write a path for people: from the current folder where it is below it.

    :param path: the path.
    """
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def tail(log: Path, lines: int = 25) -> str:
    """
    Give the end of a log.

    :param log: the file.
    :param lines: how many of its lines.
    """
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def duration(since: float) -> str:
    """
    Write how long ago a moment is.

    :param since: the moment, of ``time.monotonic``.
    """
    return f"{time.monotonic() - since:.0f} s"


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None
