"""Around a command: its errors as sentences and exit statuses, its questions."""

from __future__ import annotations

import argparse
import io
import sys
from types import ModuleType

import pytest

from airflow_provider_caixin.cli.terminal import Exit, Refused, StatusLine, confirm, run, usage_errors
from airflow_provider_caixin.juhe import CaixinError
from airflow_provider_caixin.ledger import LedgerError

pytestmark = pytest.mark.usefixtures("server_context")


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Make a module of commands, of which a test sets one."""
    module = ModuleType("airflow_provider_caixin.cli.made")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Refused("no"), Exit.USAGE),
        (Refused("no", Exit.FAILED), Exit.FAILED),
        (CaixinError("no"), Exit.FAILED),
        (LedgerError("no"), Exit.FAILED),
        (OSError("no"), Exit.FAILED),
    ],
    ids=repr,
)
def test_an_error_made_for_people(
    error: Exception, status: Exit, fail: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its sentence and its exit status, and no traceback."""

    def command(_: argparse.Namespace) -> None:
        raise error

    vars(fail)["command"] = command
    assert run("made:command", argparse.Namespace()) == status
    assert capsys.readouterr() == ("", "no\n")


def test_a_mistake_of_ours(fail: ModuleType) -> None:
    """It is not taken for a sentence."""

    def command(_: argparse.Namespace) -> None:
        raise KeyError("ours")

    vars(fail)["command"] = command
    with pytest.raises(KeyError, match="ours"):
        run("made:command", argparse.Namespace())


def test_stopped(fail: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C is a status, and a command that returns nothing is done."""

    def command(_: argparse.Namespace) -> None:
        raise KeyboardInterrupt

    vars(fail)["command"] = command
    assert run("made:command", argparse.Namespace()) == Exit.INTERRUPTED
    assert capsys.readouterr().err == "Stopped.\n"
    vars(fail)["command"] = lambda _: None
    assert run("made:command", argparse.Namespace()) == Exit.DONE


def test_a_bad_value_is_wrong_usage() -> None:
    """With the value's own sentence."""
    with pytest.raises(Refused, match="the value") as refused, usage_errors():
        raise ValueError("the value")
    assert refused.value.status == Exit.USAGE


def test_a_question_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is there to answer; a yes on the command line is one."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    confirm("Really?", yes=True)
    with pytest.raises(Refused, match=r"Really\? There is no terminal to ask on: add --yes") as refused:
        confirm("Really?", yes=False)
    assert refused.value.status == Exit.DECLINED


def test_a_status_line_counts() -> None:
    """Each thousand changes its text; without a terminal it says nothing."""
    with StatusLine("Reading") as line:
        assert list(line.count(range(999), "rows")) == list(range(999))
        assert line.text == "Reading"
        assert len(list(line.count(range(2500), "rows"))) == 2500
        assert line.text == "2,000 rows"
