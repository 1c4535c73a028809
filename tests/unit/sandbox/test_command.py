from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_provider_caixin
from airflow_provider_caixin.sandbox import SandboxServer

ROOT = Path(airflow_provider_caixin.__file__).parents[1]
COMMAND = [sys.executable, "-m", "airflow_provider_caixin.sandbox"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def test_the_program_tells_its_address_when_it_listens(tmp_path: Path) -> None:
    """Two addresses on stdout, the port in the file, settings in force; SIGINT ends it well."""
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
