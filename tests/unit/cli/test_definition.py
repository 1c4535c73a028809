from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from airflow.cli import cli_parser

from airflow_provider_caixin.cli import get_commands, main
from airflow_provider_caixin.cli.definition import COMMANDS, Group
from airflow_provider_caixin.sandbox import command
from airflow_provider_caixin.vocabulary import State, Status


def targets(commands: Any = COMMANDS, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """List every command: its words and its target."""
    for one in commands:
        if isinstance(one, Group):
            yield from targets(one.commands, (*before, one.name))
        else:
            yield (*before, one.name), one.target


def test_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox gets its options, and its exit status is the command's."""
    seen = []
    monkeypatch.setattr(command, "run", lambda *where, **_: seen.append(where))
    assert main(["sandbox", "--port", "0", "--host", "127.0.0.2"]) == 0
    assert seen == [("127.0.0.2", 0)]


def test_a_command_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command there is a usage line with those there are."""
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "COMMAND" in capsys.readouterr().err


def test_as_a_module() -> None:
    """``python -m airflow_provider_caixin`` is the CLI; its help imports neither Airflow nor a web server."""
    code = (
        "import runpy, sys; sys.argv = ['x', 'sandbox', '--help']\n"
        "try: runpy.run_module('airflow_provider_caixin', run_name='__main__')\n"
        "except SystemExit: print({'airflow', 'fastapi', 'sqlalchemy', 'uvicorn'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--port" in answer.stdout
    assert answer.stdout.endswith("set()\n")


def test_airflow_loads_little_for_its_other_commands() -> None:
    """Airflow asks for the commands whatever it was started for: nothing behind them is imported for that."""
    code = (
        "import sys, airflow_provider_caixin, airflow.cli.cli_config; before = set(sys.modules)\n"
        "from airflow_provider_caixin.cli import get_commands; get_commands()\n"
        "new = {name for name in set(sys.modules) - before if name.startswith('airflow')}\n"
        "print(sorted(new))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == str(
        [
            "airflow_provider_caixin.cli",
            "airflow_provider_caixin.cli.definition",
            "airflow_provider_caixin.sandbox",
            "airflow_provider_caixin.sandbox.command",
            "airflow_provider_caixin.session",
            "airflow_provider_caixin.session.arguments",
            "airflow_provider_caixin.vocabulary",
        ]
    )


@pytest.mark.parametrize(("words", "target"), list(targets()), ids=str)
def test_each_command_is_there_in_both(
    words: tuple[str, ...], target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each has a function and help in both command lines, with the exit statuses and the same options."""
    module, _, name = target.partition(":")
    assert callable(getattr(import_module(f"airflow_provider_caixin.cli.{module}"), name))
    shown = []
    for call in (main, _airflow):
        with pytest.raises(SystemExit, match="0"):
            call([*words, "--help"])
        shown.append(capsys.readouterr().out)
        assert "the send window is closed" in shown[-1]
    options = [{word for word in text.split() if word.startswith("--")} for text in shown]
    assert {word.strip(",]") for word in options[0]} == {word.strip(",]") for word in options[1]}


def _airflow(argv: list[str]) -> None:
    cli_parser.get_parser().parse_args(["caixin", *argv])


def choices(commands: Any, flag: str) -> Iterator[list[str]]:
    """List what each option of a name may be."""
    for one in commands:
        if isinstance(one, Group):
            yield from choices(one.commands, flag)
        else:
            yield from (option.settings["choices"] for option in one.options if flag in option.flags)


def test_choices_are_the_vocabulary() -> None:
    """Every state and every status can be asked for."""
    assert list(choices(COMMANDS, "--state")) == [[state.value for state in State]]
    assert list(choices(COMMANDS, "--status")) == [[status.value for status in Status]]


@pytest.mark.usefixtures("server_context")
def test_airflow_s_commands_exit_with_the_status(capsys: pytest.CaptureFixture[str]) -> None:
    """Airflow drops what a command returns, so the command leaves with it; with 0 it just returns."""
    parser = cli_parser.get_parser()
    args = parser.parse_args(["caixin", "codes", "236306", "-o", "json"])
    args.func(args)
    assert '"zh": "手机号错误"' in capsys.readouterr().out
    args = parser.parse_args(["caixin", "codes", "4711"])
    with pytest.raises(SystemExit) as left:
        args.func(args)
    assert left.value.code == 4


def test_get_commands_is_what_the_provider_info_names() -> None:
    """Airflow finds the group by the provider's information."""
    assert "caixin" in cli_parser.ALL_COMMANDS_DICT
    [group] = get_commands()
    assert group.name == "caixin"
    assert [one.name for one in group.subcommands] == [one.name for one in COMMANDS]


RunBinary = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def binary() -> RunBinary:
    """Run the real ``airflow caixin``."""
    command = [str(Path(sys.executable).with_name("airflow")), "caixin"]
    # In that mode Airflow says so on stdout.
    environment = {name: value for name, value in os.environ.items() if "UNIT_TEST" not in name}

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *argv], capture_output=True, text=True, check=False, env=environment)

    return run


@pytest.mark.timeout(300)  # four starts of Airflow
@pytest.mark.usefixtures("to_sandbox")
def test_the_real_binary(binary: RunBinary, sandbox: Any) -> None:
    """Codes, templates, campaign, report and a mistake by Airflow's own command line without its database."""
    shown = binary("templates", "-o", "json")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert json.loads(shown.stdout)[0]["tpl_id"] == 65535
    sent = binary("send", "--tpl-id", "65535", "13912340001", "--campaign-id", "b", "-y", "-o", "json")
    assert (sent.returncode, json.loads(sent.stdout)["sent"]) == (0, 1)
    assert "13912340001" not in sent.stdout + sent.stderr
    assert [row["mobile"] for row in sandbox.billed()] == ["13912340001"]
    report = binary("campaign", "report", "b")
    assert (report.returncode, report.stderr) == (0, "")
    assert report.stdout.splitlines()[0] == "mobile,state,reason,error_code,sid,sent_at"
    assert report.stdout.splitlines()[1].startswith("13912340001,sent,")
    wrong = binary("campaign", "show", "nope")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("campaign_id 'nope': this ledger has no such campaign")
    assert "Traceback" not in wrong.stderr
