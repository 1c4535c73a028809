"""The command line: ``python -m airflow_provider_caixin``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run one command.

    :param argv: the arguments; None: the process's own.
    :return: the exit status.
    """
    # Each room is imported here and not above: Airflow loads this module with every one of its own commands.
    from airflow_provider_caixin.sandbox import server

    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_caixin", description="Video SMS campaigns through the Juhe gateway."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    sandbox = commands.add_parser(
        "sandbox",
        help="run a gateway that behaves as the real one's document says, and bills nobody",
        description="Run a gateway that behaves as the real one's document says, and bills nobody.",
    )
    server.add_arguments(sandbox)
    sandbox.set_defaults(run=server.main)

    args = parser.parse_args(argv)
    status: int = args.run(args)
    return status
