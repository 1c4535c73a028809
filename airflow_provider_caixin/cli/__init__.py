"""The command line: ``airflow caixin`` and ``python -m airflow_provider_caixin``, the same commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

# Airflow loads this module with every one of its own commands: what a command needs is imported when it runs.
from airflow_provider_caixin.cli.definition import COMMANDS, EXIT_CODES, HELP, Command, Group


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, without Airflow's command line around it, and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_caixin",
        description=HELP,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add(parser, COMMANDS)
    args = parser.parse_args(argv)
    return _run(args.target, args)


def get_commands() -> list[Any]:
    """Return the commands in the shape of Airflow's command line."""
    from airflow.cli.cli_config import GroupCommand

    return [
        GroupCommand(
            name="caixin",
            help=HELP,
            subcommands=_for_airflow(COMMANDS),
            description=f"{HELP}\n\n{EXIT_CODES}",
        )
    ]


def _add(parser: argparse.ArgumentParser, commands: Iterable[Command | Group]) -> None:
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for one in commands:
        child = subparsers.add_parser(
            one.name,
            help=one.help,
            description=one.help,
            epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if isinstance(one, Group):
            _add(child, one.commands)
            continue
        for option in one.options:
            option.add_to_parser(child)
        child.set_defaults(target=one.target)


def _for_airflow(commands: Iterable[Command | Group]) -> tuple[Any, ...]:
    from airflow.cli.cli_config import ActionCommand, GroupCommand

    return tuple(
        GroupCommand(name=one.name, help=one.help, subcommands=_for_airflow(one.commands), epilog=EXIT_CODES)
        if isinstance(one, Group)
        else ActionCommand(
            name=one.name,
            help=one.help,
            func=_action(one.target),
            args=one.options,  # type: ignore[arg-type]  # all that Airflow does with one is to add it to a parser
            epilog=EXIT_CODES,
        )
        for one in commands
    )


def _action(target: str) -> Callable[[argparse.Namespace], None]:
    def action(args: argparse.Namespace) -> None:
        # Airflow takes no exit status from a command.
        if status := _run(target, args):
            sys.exit(status)

    return action


def _run(target: str, args: argparse.Namespace) -> int:
    from airflow_provider_caixin.cli.terminal import run

    return run(target, args)
