from __future__ import annotations

import subprocess
import sys

import pytest

from airflow_provider_caixin.cli import main
from airflow_provider_caixin.sandbox import server


def test_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox gets its options, and its exit status is the command's."""
    seen = []
    monkeypatch.setattr(server, "run", lambda *where, **_: seen.append(where))
    assert main(["sandbox", "--port", "0", "--host", "127.0.0.2"]) == 0
    assert seen == [("127.0.0.2", 0)]


def test_a_command_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command there is a usage line with those there are."""
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "COMMAND" in capsys.readouterr().err


def test_as_a_module() -> None:
    """``python -m airflow_provider_caixin`` is the command line, and its help imports no Airflow and no web server."""
    code = (
        "import runpy, sys; sys.argv = ['x', 'sandbox', '--help']\n"
        "try: runpy.run_module('airflow_provider_caixin', run_name='__main__')\n"
        "except SystemExit: print({'airflow', 'fastapi', 'uvicorn'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--port" in answer.stdout
    assert answer.stdout.endswith("set()\n")
