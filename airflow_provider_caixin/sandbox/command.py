"""The sandbox as a command: its options, and running it.

FastAPI and uvicorn are imported when it runs and not before, so that a command line that merely lists its
commands stays quick.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_caixin.sandbox.settings import Settings

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8088
DEFAULT_KEEP_ALIVE_SECONDS = 5.0


def run(
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    *,
    settings: Settings | None = None,
    record: Path | None = None,
    keep_alive: float = DEFAULT_KEEP_ALIVE_SECONDS,
    available_after: float | None = None,
    port_file: Path | None = None,
) -> None:
    """Serve a sandbox until SIGINT or SIGTERM; two lines on stdout have its address and that of its inbox.

    :param host: address to listen on.
    :param port: port to listen on; 0 takes a free one.
    :param settings: what holds at the start; see ``Settings``.
    :param record: JSON-lines file of what was sent; it is continued where it exists.
    :param keep_alive: seconds after which an idle connection is closed.
    :param available_after: seconds after which template 65538 becomes available; None: on request.
    :param port_file: file to write the port into as soon as it listens.
    :raises OSError: when the address or a file cannot be had.
    :raises ValueError: when ``record`` is not a record.
    """
    from airflow_provider_caixin.sandbox.sandbox import Sandbox
    from airflow_provider_caixin.sandbox.uvicorn_server import UvicornServer, listen, url_of

    sandbox = Sandbox(record, available_after=available_after, settings=settings)
    with listen(host, port) as listener:
        url = url_of(*listener.getsockname()[:2])

        def announce() -> None:
            if port_file is not None:
                _write_whole(port_file, f"{listener.getsockname()[1]}\n")
            sys.stdout.write(f"caixin sandbox: {url}\nits inbox, for a browser: {url}/\n")
            sys.stdout.flush()

        UvicornServer(sandbox, keep_alive=keep_alive, on_ready=announce).run(sockets=[listener])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sandbox's options to a parser."""
    parser.add_argument("--host", default=DEFAULT_HOST, help="address to listen on (%(default)s)")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="port to listen on, 0 for a free one (%(default)s)"
    )
    parser.add_argument(
        "--port-file", type=Path, metavar="PATH", help="write the port into this file when it listens"
    )
    parser.add_argument(
        "--record",
        type=Path,
        metavar="PATH",
        help="write every send into this JSON-lines file, and go on from what it holds",
    )
    parser.add_argument(
        "--latency",
        type=_latency,
        default=(0.0, 0.0),
        metavar="MIN-MAX",
        help="milliseconds until an answer (0-0)",
    )
    parser.add_argument(
        "--lose-answers",
        type=float,
        default=0.0,
        metavar="N",
        help="lose answers of billed messages: this share of them (0.05), or every n-th (20)",
    )
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument("--no-rate-limit", action="store_true", help="do not count messages above 300 a second")
    rate.add_argument(
        "--enforce-rate-limit", action="store_true", help="answer messages above 300 a second with 10011"
    )
    parser.add_argument(
        "--settings",
        type=_settings,
        default={},
        metavar="JSON",
        help="any settings, as POST /_sandbox/settings takes them: '{\"quota\": 100}'",
    )
    parser.add_argument(
        "--available-after",
        type=float,
        metavar="SECONDS",
        help="make template 65538 available after so long (on request)",
    )
    parser.add_argument(
        "--keep-alive",
        type=float,
        default=DEFAULT_KEEP_ALIVE_SECONDS,
        metavar="SECONDS",
        help="close idle connections after so long (%(default)s)",
    )


def main(args: argparse.Namespace) -> int:
    """Run a sandbox as the options of ``add_arguments`` say.

    :return: exit status: 0 when it was interrupted, 2 when it could not start; the reason is on stderr.
    """
    from airflow_provider_caixin.sandbox.settings import Settings

    try:
        options = {
            "latency_ms": args.latency,
            "lose_answers": args.lose_answers,
            "rate_limit": None if args.no_rate_limit else 300,
            "rate_limit_answer": 10011 if args.enforce_rate_limit else None,
        }
        settings = Settings().changed({**options, **args.settings})
        run(
            args.host,
            args.port,
            settings=settings,
            record=args.record,
            keep_alive=args.keep_alive,
            available_after=args.available_after,
            port_file=args.port_file,
        )
    except (OSError, ValueError) as error:
        sys.stderr.write(f"caixin sandbox: {error}\n")
        return 2
    except KeyboardInterrupt:
        pass
    return 0


def _latency(text: str) -> tuple[float, float]:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r}: expected milliseconds as MIN-MAX, 150-250 for instance")
    return float(match[1]), float(match[2] or match[1])


def _settings(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a JSON object")
    return found


def _write_whole(path: Path, text: str) -> None:
    """Write a small file so that whoever waits for it never reads half of it."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text, encoding="ascii")
    part.replace(path)
