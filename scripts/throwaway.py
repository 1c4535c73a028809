"""A throw-away Airflow for a demo, a try-out or a test: its home, its processes, and their end."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

import psutil  # type: ignore[import-untyped]  # Airflow brings it, without types

from airflow_provider_caixin.sandbox import SandboxServer
from scripts.airflow_api import AirflowApi

ROOT = Path(__file__).parents[1]
EXAMPLE_DAGS = ROOT / "example_dags"
# The sandbox takes any key. A real one never stands in a file.
APP_KEY = "throw-away-app-key"
PATIENCE_SECONDS = 10.0
START_SECONDS = 180.0
LISTENS = re.compile(rb"Uvicorn running on (http://\S+)")
RECORD = "sandbox.jsonl"
# Names a worker to itself: scripts.cluster.host_name.
WORKER = "CAIXIN_CLUSTER_WORKER"
# Those that are triggered by hand: un-paused, caixin_daily would start its missed run at once.
MANUAL = ("caixin_approval", "caixin_campaign", "caixin_send_one", "caixin_mapped")


class Command:
    """A running command in a session of its own, so that a Ctrl-C reaches only whoever started it.

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
        """Ask the command to end, and do not wait for it.

        :param how: what to ask it with.
        """
        if self.process.poll() is None:
            self.process.send_signal(how)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the command and every process that it left in its session.

        A scheduler waits for its tasks, unless it is told again; a sending task then settles what is on its
        way.

        :param how: what to ask it with at first.
        """
        self.ask_to_end(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE_SECONDS)
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + PATIENCE_SECONDS
            self._signal_session(number)
            while session_of(self.process.pid) and time.monotonic() < deadline:
                self.process.poll()
                time.sleep(0.05)
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _signal_session(self, number: signal.Signals) -> None:
        for pid in session_of(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


class Home:
    """A folder that is an ``AIRFLOW_HOME``, used by one process at a time; use it in a ``with`` block.

    :param folder: the folder, made when it is not there.
    :param dags: the folders that Dags are in.
    """

    def __init__(self, folder: Path, *dags: Path) -> None:
        self.folder = folder
        self._dags = dags or (EXAMPLE_DAGS,)
        self._lock: int | None = None
        self.connections: dict[str, str] = {}
        # All of it runs on this one host, also where that is a pod or the checkout is on a network file
        # system.
        self.settings = {"AIRFLOW__CAIXIN__ALLOW_EMBEDDED_LEDGER": "True"}

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
        """Make a sandbox the gateway of the connection ``caixin_default``.

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
        """The environment of a command in this home.

        Nothing of another Airflow gets in: with ``AIRFLOW__DATABASE__SQL_ALCHEMY_CONN`` of the caller's
        shell, say, these commands would migrate and fill that database.
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
            # The button that tries a connection; Airflow hides it by default, since it calls whatever host
            # was typed in.
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
            # Airflow tells its makers about each installation, unless told not to.
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            **self.settings,
            **{f"AIRFLOW_CONN_{name.upper()}": value for name, value in self.connections.items()},
            "NO_COLOR": "1",
            "NO_PROXY": direct,
            "no_proxy": direct,
            # Airflow's processes start each other by the name `airflow`, and find this repository's modules
            # where we did.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)]),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), inherited.get("PYTHONPATH", "")])),
            # A process that sets its title keeps its environment readable: by AIRFLOW_HOME it is known whose
            # it is.
            "SPT_NOENV": "1",
        }

    def airflow(self, *arguments: str, log: Path | None = None, **environment: str) -> Command:
        """Start an ``airflow`` command.

        :param arguments: what follows ``airflow``.
        :param log: file for its output; None: the caller reads it.
        :param environment: more of its environment.
        """
        command = [sys.executable, "-m", "airflow", *arguments]
        return Command(command, {**self.environment, **environment}, log)

    def migrate(self) -> None:
        """Create Airflow's database, or bring it up to date."""
        log = self.folder / "migrate.log"
        command = self.airflow("db", "migrate", log=log)
        try:
            status = command.process.wait()
        finally:
            command.stop()
        if status:
            sys.exit(f"airflow db migrate failed, and these are its last words ({shown(log)}):\n{tail(log)}")


class Airflow:
    """The processes of an Airflow: api-server, scheduler, dag-processor, triggerer, maybe Celery workers.

    :param home: its home, with a database.
    :param port: the api-server's port on 127.0.0.1; 0 takes a free one.
    :param workers: names of Celery workers; none: the scheduler runs the tasks.
    """

    def __init__(self, home: Home, port: int, workers: Sequence[str] = ()) -> None:
        self._home = home
        self._port = port
        self._workers = workers
        self._logs = home.folder / "logs"
        self._parts: dict[str, Command] = {}
        self._gone: set[str] = set()
        self.url = ""

    def start(self) -> AirflowApi:
        """Start it, and return its API when all of them are at work and the example Dags are there.

        :raises SystemExit: when one of them ends, or they take too long; with its last words.
        """
        self._logs.mkdir(exist_ok=True)
        began = time.monotonic()
        self._begin("api-server", "api-server", "--host", "127.0.0.1", "--port", str(self._port))
        while not (found := LISTENS.search(self._log("api-server").read_bytes())):
            self._wait(began)
        self.url = found[1].decode()
        self._begin("scheduler", "scheduler", "--skip-serve-logs")
        self._begin("dag-processor", "dag-processor")
        self.begin_triggerer()
        for name in self._workers:
            self._begin(name, *worker_command(name), **{WORKER: name})
        api = AirflowApi(self.url, self._home.folder)
        while not api.healthy():
            self._wait(began)
        api.log_in()
        while not set(MANUAL) <= {dag["dag_id"] for dag in api.ask("GET", "dags")["dags"]}:
            self._wait(began)
        for name in self._workers:
            while b" ready." not in self._log(name).read_bytes():
                self._wait(began)
        return api

    def pid(self, name: str) -> int:
        """Return the process id of one of them, which is also the number of its session."""
        return self._parts[name].process.pid

    def kill(self, name: str) -> None:
        """End one of them as a power cut does."""
        self._parts.pop(name).stop(signal.SIGKILL)

    def begin_triggerer(self) -> None:
        """Start a triggerer."""
        self._begin("triggerer", "triggerer", "--skip-serve-logs")

    def watch(self) -> None:
        """Watch all of them, and never return as long as they run; report the end of a worker.

        :raises SystemExit: when one of the others ends.
        """
        while True:
            self._look(self._workers)
            time.sleep(1)

    def stop(self) -> None:
        """End all of them."""
        for part in self._parts.values():
            part.ask_to_end()
        for part in self._parts.values():
            part.stop()

    def _begin(self, name: str, *command: str, **environment: str) -> None:
        log = self._log(name)
        log.write_bytes(b"")
        url = f"{self.url}/execution/"
        self._parts[name] = self._home.airflow(
            *command, log=log, AIRFLOW__CORE__EXECUTION_API_SERVER_URL=url, **environment
        )

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _wait(self, began: float) -> None:
        self._look()
        if time.monotonic() - began > START_SECONDS:
            sys.exit(f"Airflow did not start within {START_SECONDS:.0f} s; its logs: {shown(self._logs)}")
        time.sleep(0.3)

    def _look(self, dispensable: Sequence[str] = ()) -> None:
        for name, part in self._parts.items():
            status = part.process.poll()
            if status is None or name in self._gone:
                continue
            log = self._log(name)
            if name not in dispensable:
                sys.exit(
                    f"airflow {name} ended with exit status {status}, and these are its last words ({shown(log)}):\n{tail(log)}"
                )
            self._gone.add(name)
            print(f"{name} ended with exit status {status}; the others go on ({shown(log)}).", flush=True)


def worker_command(name: str) -> list[str]:
    """Return the ``airflow`` command of a Celery worker; its log server would listen on all interfaces.

    :param name: its name in Celery.
    """
    return ["celery", "worker", "--celery-hostname", name, "--skip-serve-logs"]


@contextmanager
def tried(
    home: Home, port: int, workers: Sequence[str] = ()
) -> Iterator[tuple[Airflow, AirflowApi, SandboxServer]]:
    """Run a sandbox and an Airflow with a connection to it; in the end nothing of both is left.

    :param home: the home, in use.
    :param port: the UI's port on 127.0.0.1; 0 takes a free one.
    :param workers: names of Celery workers; none: the scheduler runs the tasks.
    """
    with SandboxServer(process=True, record=home.folder / RECORD, latency_ms=(50, 150)) as sandbox:
        home.connect(sandbox, send_window="00:00-24:00", frequency_cap="none")
        print("Starting the sandbox and Airflow, about half a minute ...", flush=True)
        home.migrate()
        airflow = Airflow(home, port, workers)
        try:
            api = airflow.start()
            for dag_id in MANUAL:
                api.ask("PATCH", "dags", dag_id, is_paused=False)
            yield airflow, api, sandbox
        finally:
            print("Stopping ...", flush=True)
            airflow.stop()


def unwind_when_told() -> None:
    """Let SIGTERM and a closed terminal unwind this process as Ctrl-C does; a second one changes nothing."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def unwind(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, unwind)


def shown(path: Path) -> str:
    """Return a path to be shown: from the current folder where it is below it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def tail(log: Path, lines: int = 25) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def duration(since: float) -> str:
    """Return how long ago a moment of ``time.monotonic`` is, in words."""
    return f"{time.monotonic() - since:.0f} s"


def chosen_port() -> int:
    """Return the UI's port, which ``PORT`` names.

    :raises SystemExit: when it is none.
    """
    chosen = os.environ.get("PORT") or "8080"
    if not chosen.isdecimal() or int(chosen) > 65535:
        sys.exit(f"PORT {chosen!r} is not a TCP port: give a number such as 8080, or 0 for a free one.")
    return int(chosen)


def taken(port: int) -> bool:
    """Return whether a port of 127.0.0.1 is in use."""
    with socket.socket() as probe:
        # As servers do: the connections that an earlier one left behind do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def session_of(leader: int) -> list[int]:
    """Return the living processes of a session, which all tasks share; their process groups are their own.

    :param leader: the process that began it; it may be gone.
    """
    return [
        one.pid
        for one in psutil.process_iter(["status"])
        if _session(one.pid) == leader and one.info["status"] != psutil.STATUS_ZOMBIE
    ]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None
