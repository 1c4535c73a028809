from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import airflow_provider_caixin
from airflow_provider_caixin.sandbox import SandboxServer

if TYPE_CHECKING:
    from tests.unit.sandbox.conftest import Caller


ROOT = Path(airflow_provider_caixin.__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def test_a_killed_sandbox_goes_on_from_its_record(caller: Caller, tmp_path: Path) -> None:
    """After SIGKILL nobody listens, the file says what was billed, and a new start knows it too."""
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


def test_a_sandbox_imports_no_airflow() -> None:
    """It starts in a fraction of the time that Airflow needs, and runs where Airflow is broken."""
    code = "import sys; import airflow_provider_caixin.sandbox.server; sys.exit('airflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, check=False).returncode == 0
