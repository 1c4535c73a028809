from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import airflow_provider_caixin
from airflow_provider_caixin.sandbox import SandboxServer, magic_mobile

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sandbox.conftest import Caller

ROOT = Path(airflow_provider_caixin.__file__).parents[1]
COMMAND = [sys.executable, "-m", "airflow_provider_caixin.sandbox"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def test_a_killed_sandbox_goes_on_from_its_record(caller: Caller, tmp_path: Path) -> None:
    """After SIGKILL nobody listens, the file says what was billed, and a new start on the same port knows it too."""
    server = SandboxServer(process=True, record=tmp_path / "record.jsonl", quota=5)
    client = type(caller)(server)
    with server:
        assert server.pid != os.getpid()
        client.send("13900000001")
        port = server.port
        server.kill()
        with pytest.raises(ConnectionRefusedError):
            client.send("13900000002")
        assert [json.loads(line)["mobile"] for line in server_record(tmp_path)] == ["13900000001"]
        server.start()
        assert server.port == port
        client.send("13900000003")
        assert [row["mobile"] for row in server.billed()] == ["13900000001", "13900000003"]
        server.reset()
        assert server_record(tmp_path) == []
        client.send("13900000004")
        assert [row["mobile"] for row in server.billed()] == ["13900000004"]
        assert server.state()["settings"]["quota"] == 4


def server_record(folder: Path) -> list[str]:
    """Return the lines of the record."""
    return (folder / "record.jsonl").read_text().splitlines()


def test_a_thread_can_be_stopped_and_started_again(caller: Caller) -> None:
    """The gateway is away, then back on its port with what it knew."""
    server = SandboxServer()
    client = type(caller)(server)
    with server:
        client.send("13900000001")
        server.stop()
        with pytest.raises(ConnectionRefusedError):
            client.send("13900000002")
        server.start()
        client.send("13900000003")
        assert [row["mobile"] for row in server.billed()] == ["13900000001", "13900000003"]
        with pytest.raises(RuntimeError, match="no process of its own"):
            server.kill()
    server.stop()


def test_a_stalled_connection_does_not_keep_a_sandbox_from_stopping(
    eventually: Callable[[Callable[[], bool]], None],
) -> None:
    """What is still waiting when the sandbox stops is reset, not answered."""
    with SandboxServer(stall_seconds=3600) as server:
        connection = socket.create_connection((server.host, server.port), timeout=30)
        form = f"key=k&tplId=65535&mobile={magic_mobile(99002)}".encode()
        connection.sendall(
            b"POST /caixinv2/send HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(form), form)
        )
        eventually(lambda: server.state()["in_air"] == 1)
    with connection, pytest.raises(ConnectionResetError):
        connection.recv(1)


@pytest.mark.parametrize("keep_alive", [0.05, 600])
def test_an_idle_connection_is_closed_after_keep_alive(keep_alive: float) -> None:
    """A connection is used for several calls, unless it has been idle for longer than the sandbox keeps it."""
    with SandboxServer(keep_alive=keep_alive) as server:
        connection = socket.create_connection((server.host, server.port), timeout=30)
        with connection, connection.makefile("rb") as answers:
            for _ in range(2):
                connection.sendall(b"GET /caixinv2/myTpls HTTP/1.1\r\nHost: x\r\n\r\n")
                while (line := answers.readline()) not in {b"\r\n", b""}:
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                assert b"10001" in answers.read(length)
                if keep_alive < 1:
                    assert answers.read(1) == b""
                    break


def test_the_program_tells_its_address_when_it_listens(tmp_path: Path) -> None:
    """Its address and that of its inbox on stdout, the port in the file, settings in force; SIGINT ends it well."""
    options = [
        "--port",
        "0",
        "--port-file",
        str(tmp_path / "port"),
        "--latency",
        "1-2",
        "--lose-answers",
        "0.5",
    ]
    options += ["--enforce-rate-limit", "--settings", '{"quota": 3}']
    process = subprocess.Popen([*COMMAND, *options], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        line = process.stdout.readline()
        port = int((tmp_path / "port").read_text())
        assert line == f"caixin sandbox: http://127.0.0.1:{port}\n"
        assert process.stdout.readline() == f"its inbox, for a browser: http://127.0.0.1:{port}/\n"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/_sandbox/state")
        settings = json.loads(connection.getresponse().read())["settings"]
        connection.close()
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
        assert process.wait(30) == 0
    assert (settings["latency_ms"], settings["lose_answers"], settings["quota"]) == ([1, 2], 0.5, 3)
    assert (settings["rate_limit"], settings["rate_limit_answer"]) == (300, 10011)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--latency", "9-1"], "latency_ms: expected [least, most] milliseconds"),
        (["--latency", "slow"], "argument --latency: 'slow': expected milliseconds as MIN-MAX"),
        (["--settings", '{"nope": 1}'], "nope: Extra inputs are not permitted"),
        (["--settings", "[]"], "argument --settings: '[]': expected a JSON object"),
        (["--settings", "{"], "argument --settings: '{': expected a JSON object"),
        (["--record", str(Path(__file__))], "line 1: not a line of a sandbox's record"),
        (["--record", "/nowhere/record.jsonl"], "/nowhere/record.jsonl"),
    ],
)
def test_the_program_refuses_with_a_sentence(options: list[str], sentence: str) -> None:
    """A wrong option ends it with status 2 before it listens, and without a stack trace."""
    done = subprocess.run(
        [*COMMAND, "--port", "0", *options],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_refused_with_a_sentence(server: SandboxServer) -> None:
    """The sentence names host, port and the options to change them."""
    options = ["--port", str(server.port)]
    done = subprocess.run(
        [*COMMAND, *options], env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert f"host 127.0.0.1, port {server.port}: Address already in use; choose another" in done.stderr
    with pytest.raises(RuntimeError, match="did not start"):
        SandboxServer(process=True, port=server.port).start()


def test_options_cost_no_web_framework() -> None:
    """A command line that only lists its commands does not import FastAPI."""
    code = "import argparse, sys; from airflow_provider_caixin.sandbox import command; "
    code += "command.add_arguments(argparse.ArgumentParser()); sys.exit('fastapi' in sys.modules or 'uvicorn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, check=False).returncode == 0


def test_a_sandbox_imports_no_airflow() -> None:
    """It starts in a fraction of the time that Airflow needs, and runs where Airflow is broken."""
    code = "import sys; import airflow_provider_caixin.sandbox.server; sys.exit('airflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, check=False).returncode == 0
