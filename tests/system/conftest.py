"""One Airflow for all tests that need a live one, started and ended as ``make up`` does it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_caixin.sandbox import SandboxServer
from scripts.airflow_api import AirflowApi
from scripts.throwaway import EXAMPLE_DAGS
from tests.system.live import Live, left_in

UP = """
import sys
from pathlib import Path
from scripts import up
sys.exit(up.main(*map(Path, sys.argv[1:]), port=0))
"""


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Run an Airflow with the example Dags and those of the tests; in the end nothing of it is left."""
    home = tmp_path_factory.mktemp("up")
    command = [sys.executable, "-c", UP, str(home), str(EXAMPLE_DAGS), str(Path(__file__).parent / "dags")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            words: dict[str, str] = {}
            for line in process.stdout:
                name, _, text = line.partition(":")
                words[name] = text.strip()
                if "Ctrl-C" in line:
                    break
            assert "Airflow" in words, words
            api = AirflowApi(words["Airflow"], home)
            api.log_in()
            yield Live(home, api)
            assert process.poll() is None, "make up ended by itself"
        finally:
            process.send_signal(signal.SIGINT)
            last = process.stdout.read() if process.stdout is not None else ""
    assert process.returncode == 0
    assert last == "Stopping ...\nStopped, with all that was started.\n"
    assert left_in(home) == []


@pytest.fixture
def gateway() -> Iterator[SandboxServer]:
    """Run a sandbox on a free port."""
    with SandboxServer(latency_ms=(20, 60)) as server:
        yield server
