"""Around every command: its errors as sentences and exit statuses, its log, its questions."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from importlib import import_module
from typing import Self, TypeVar

T = TypeVar("T")


class Exit(IntEnum):
    """Exit statuses."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    CLOSED = 3
    NOTHING = 4
    DECLINED = 5
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


class Refused(Exception):
    """A command does not do what it was asked to; the sentence says why, and what to do."""

    def __init__(self, sentence: str, status: Exit = Exit.USAGE) -> None:
        super().__init__(sentence)
        self.status = status


def run(target: str, args: argparse.Namespace) -> int:
    """Run a command.

    :param target: module of this package and function, ``module:function``.
    :return: the exit status.
    """
    module, _, name = target.partition(":")
    # As Airflow's own commands do that read connections: its database is asked for them, too.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    try:
        with _log(verbose=getattr(args, "verbose", False)):
            status = getattr(import_module(f"airflow_provider_caixin.cli.{module}"), name)(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        note("Stopped.")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has enough; Python would complain when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.BROKEN_PIPE
    except Exception as error:
        found = _status_of(error)
        if found is None:
            raise
        note(str(error))
        return found
    return int(status or Exit.DONE)


def note(sentence: str) -> None:
    """Write a sentence to stderr that is no result."""
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn the ``ValueError`` of an argument that cannot be right into wrong usage."""
    try:
        yield
    except ValueError as error:
        raise Refused(str(error)) from None


def confirm(question: str, *, yes: bool, option: str = "--yes") -> None:
    """Ask before something that cannot be undone.

    :param question: what is about to happen.
    :param yes: it was answered on the command line.
    :param option: what answers it there.
    :raises Refused: when the answer is no, or nobody is there to answer.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused(f"{question} There is no terminal to ask on: add {option} to go on.", Exit.DECLINED)
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused("Nothing was done.", Exit.DECLINED)


class StatusLine:
    """On a terminal, shows from the first second on what takes so long; use it in a ``with`` block.

    :param text: what is done; may be changed meanwhile, which the line's own thread only reads.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._thread = threading.Thread(target=self._show, name="caixin-status-line", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def count(self, items: Iterable[T], what: str) -> Iterator[T]:
        """Stream items, and show how many of ``what`` there were so far."""
        for number, item in enumerate(items, 1):
            if number % 1000 == 0:
                self.text = f"{number:,} {what}"
            yield item

    def _show(self) -> None:
        shown = False
        while not self._over.wait(1):
            shown = True
            # \033[K: what an earlier, longer line has left.
            sys.stderr.write(f"\r{self.text}\033[K")
            sys.stderr.flush()
        if shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


@contextmanager
def _log(*, verbose: bool) -> Iterator[None]:
    """Write our own log as sentences to stderr, whatever Airflow does with logs."""
    log = logging.getLogger("airflow_provider_caixin")
    before = log.level, log.propagate
    handler = logging.StreamHandler(sys.stderr)
    # On a terminal the line that says what is done has no end yet.
    start = "\r\033[K" if sys.stderr.isatty() else ""
    handler.setFormatter(logging.Formatter(f"{start}%(levelname)s: %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO if verbose else logging.WARNING)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before[0])
        log.propagate = before[1]


def _status_of(error: Exception) -> Exit | None:
    """Return the exit status of an error whose text is made for users; None: it is a mistake of ours."""
    if isinstance(error, Refused):
        return error.status
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    from airflow_provider_caixin.audience import AudienceError
    from airflow_provider_caixin.campaign import CampaignError, OutsideWindow
    from airflow_provider_caixin.juhe import CaixinError
    from airflow_provider_caixin.ledger import CampaignMismatch, LedgerError
    from airflow_provider_caixin.ledger.errors import (
        AccountExists,
        CampaignPurged,
        NoSuchAccount,
        NoSuchCampaign,
    )

    names = (AccountExists, CampaignMismatch, CampaignPurged, NoSuchAccount, NoSuchCampaign)
    if isinstance(error, (AirflowNotFoundException, AudienceError, *names)):
        return Exit.USAGE
    if isinstance(error, OutsideWindow):
        return Exit.CLOSED
    if isinstance(error, (CampaignError, CaixinError, LedgerError, OSError)):
        return Exit.FAILED
    return None
