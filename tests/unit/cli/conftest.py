"""What the tests of the commands share: a command run on a real ledger and a real sandbox."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from airflow_provider_caixin.cli import main
from airflow_provider_caixin.sandbox import magic_mobile

A, B, C = "13912340001", "13912340002", "13912340003"
REJECTED, LOST = magic_mobile(236306), magic_mobile(99004)
FULL_NUMBER = re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)")
KEY = "unit-test-app-key"
# In sentences about what is expected.
EXAMPLE = "13800138000"


class Answer(NamedTuple):
    """What a command came to."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed with ``-o json``."""
        return json.loads(self.out)


Run = Callable[..., Answer]


@pytest.fixture
def server_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what a command tells Airflow about this process end with the test."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], to_sandbox: object, server_context: None) -> Run:  # noqa: ARG001  # before all
    """Run a command in this process; neither the AppKey nor, by its own, a full number may show."""

    def call(*argv: str, full: bool = False) -> Answer:
        capsys.readouterr()
        status = main(list(argv))
        shown = capsys.readouterr()
        for text in shown:
            assert KEY not in text
            assert full or not FULL_NUMBER.search(text.replace(EXAMPLE, ""))
            assert "Traceback" not in text
        return Answer(status, shown.out, shown.err)

    return call


@pytest.fixture
def audience(tmp_path: Path) -> Path:
    """Write an audience in which each outcome occurs."""
    path = tmp_path / "audience.csv"
    path.write_text(f"手机号\n{A}\n{B}\n{B}\n{REJECTED}\n{LOST}\n13012345678\nnobody\n", encoding="utf-8")
    return path


@pytest.fixture
def sent(run: Run, audience: Path) -> str:
    """Send a campaign, and give its id."""
    answer = run(
        "send", "--tpl-id", "65535", str(audience), "--campaign-id", "c", "-y", "--max-failure-ratio", "none"
    )
    assert answer.status == 0
    return "c"
