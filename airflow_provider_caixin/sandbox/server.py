"""SandboxServer: a sandbox that is started, asked, set and stopped from Python."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import subprocess
import sys
import threading
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from airflow_provider_caixin.sandbox.command import DEFAULT_HOST, DEFAULT_KEEP_ALIVE_SECONDS
from airflow_provider_caixin.sandbox.sandbox import Sandbox
from airflow_provider_caixin.sandbox.settings import Settings
from airflow_provider_caixin.sandbox.uvicorn_server import UvicornServer, listen, url_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0


class SandboxServer:
    """A running sandbox on a port of its own; use it in a ``with`` block.

    In a thread (the default) it starts at once and shares the caller's interpreter: right for tests of
    behaviour. As a process of its own it can be killed and measured: right for benchmarks and faults. After
    ``stop`` or ``kill`` it can be started again, on the same port; a thread's record outlives that, a
    process's does with ``record``.

    :param process: run it as a process of its own.
    :param host: address to listen on.
    :param port: port to listen on; 0 takes a free one.
    :param keep_alive: seconds after which an idle connection is closed.
    :param record: JSON-lines file of what was sent; see ``Record``.
    :param available_after: seconds after which template 65538 becomes available; None: on request.
    :param settings: fields of ``Settings``, in force at the start and after ``reset``.
    :raises ValueError: for a setting or a value that does not exist; says which.
    """

    def __init__(
        self,
        *,
        process: bool = False,
        host: str = DEFAULT_HOST,
        port: int = 0,
        keep_alive: float = DEFAULT_KEEP_ALIVE_SECONDS,
        record: Path | None = None,
        available_after: float | None = None,
        **settings: Any,
    ) -> None:
        self.host = host
        self.port = port
        self._keep_alive = keep_alive
        self._record = record
        self._available_after = available_after
        self._settings = Settings().changed(settings)
        self._sandbox = (
            None if process else Sandbox(record, available_after=available_after, settings=self._settings)
        )
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self._server: UvicornServer | None = None

    @property
    def url(self) -> str:
        """Address without a slash at the end, ``http://127.0.0.1:34567`` for instance."""
        return url_of(self.host, self.port)

    @property
    def pid(self) -> int:
        """The process it runs in; the caller's own where it runs in a thread."""
        return os.getpid() if self._process is None else self._process.pid

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start it, and return when it answers.

        :raises RuntimeError: when it does not; its own words are on stderr.
        """
        if self._sandbox is None:
            self._start_process()
        else:
            self._start_thread(self._sandbox)
        return self

    def stop(self) -> None:
        """Stop it: answers on their way are given a second. Does nothing where it does not run."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_STOP_SECONDS)
            self._server = self._thread = None
        if self._process is not None:
            self._process.terminate()
            self._reap()

    def kill(self) -> None:
        """End the process with SIGKILL: connections are reset, nothing is answered any more.

        :raises RuntimeError: where it runs in a thread.
        """
        if self._process is None:
            raise RuntimeError("kill: the sandbox has no process of its own; start it with process=True")
        self._process.send_signal(signal.SIGKILL)
        self._reap()

    def state(self) -> dict[str, Any]:
        """Return the counts, settings and templates; see ``Record.summary`` for the counts."""
        found: dict[str, Any] = self._ask("GET", "/_sandbox/state")
        return found

    def billed(self) -> list[dict[str, Any]]:
        """Return every billed send; see ``Record.row`` for the fields."""
        return list(self._lines("/_sandbox/billed.jsonl"))

    def requests(self) -> list[dict[str, Any]]:
        """Return every send; see ``Record.row`` for the fields."""
        return list(self._lines("/_sandbox/requests.jsonl"))

    def configure(self, **settings: Any) -> dict[str, Any]:
        """Change fields of ``Settings``, and return all of them.

        :raises ValueError: for a field or a value that does not exist; says which.
        """
        found: dict[str, Any] = self._ask("POST", "/_sandbox/settings", settings)
        return found

    def set_template(
        self, tpl_id: int, *, available: bool = False, available_in: float | None = None
    ) -> None:
        """Make one of the built-in templates available or unavailable.

        :param available_in: seconds after which it becomes available.
        :raises ValueError: for another template.
        """
        self._ask(
            "POST", f"/_sandbox/templates/{tpl_id}", {"available": available, "available_in": available_in}
        )

    def reset(self) -> None:
        """Forget all sends, and go back to the settings and templates of the start."""
        self._ask("POST", "/_sandbox/reset")

    def _start_thread(self, sandbox: Sandbox) -> None:
        listener = listen(self.host, self.port)
        self.port = listener.getsockname()[1]
        ready = threading.Event()
        server = UvicornServer(sandbox, keep_alive=self._keep_alive, on_ready=ready.set)
        thread = threading.Thread(
            target=server.run, args=([listener],), name=f"caixin-sandbox-{self.port}", daemon=True
        )
        thread.start()
        if not ready.wait(_START_SECONDS):
            raise RuntimeError(f"the sandbox on port {self.port} did not start within {_START_SECONDS:.0f} s")
        self._server, self._thread = server, thread

    def _start_process(self) -> None:
        command = [
            sys.executable,
            "-m",
            "airflow_provider_caixin.sandbox",
            "--host",
            self.host,
            "--port",
            str(self.port),
        ]
        command += ["--keep-alive", str(self._keep_alive), "--settings", self._settings.model_dump_json()]
        if self._record is not None:
            command += ["--record", str(self._record)]
        if self._available_after is not None:
            command += ["--available-after", str(self._available_after)]
        # the child finds the package where this process found it, installed or not
        root = str(Path(__file__).parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        # a session of its own: Ctrl-C on the terminal is for whoever started it, who may still need it to
        # wind up
        self._process = subprocess.Popen(  # noqa: S603 - this package's own program
            command, stdout=subprocess.PIPE, env=environment, text=True, start_new_session=True
        )
        output = self._process.stdout
        line = output.readline() if output and select.select([output], [], [], _START_SECONDS)[0] else ""
        if not line:
            self._process.kill()
            self._reap()
            raise RuntimeError("the sandbox did not start; its own words are on stderr")
        self.port = int(line.rpartition(":")[2])

    def _reap(self) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        # http.client and not requests: no proxy of the environment may come between
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, quote(path), payload, {"content-type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != HTTPStatus.OK:
            raise ValueError(f"sandbox: {answer['detail']}")
        return answer

    def _lines(self, path: str) -> Iterator[dict[str, Any]]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.request("GET", path)
            for line in connection.getresponse():
                yield json.loads(line)
        finally:
            connection.close()
