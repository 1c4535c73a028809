"""The threads of a run, with a gateway in memory.

Processes that die and freeze are in tests/integration and tests/faults.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy.engine import Connection

from airflow_provider_caixin.campaign import CampaignStopped, Progress
from airflow_provider_caixin.ledger import Ledger, LedgerUnavailable
from airflow_provider_caixin.vocabulary import State
from tests.unit.campaign.conftest import NUMBERS, Gateway, Make


def test_everybody_is_sent_to_once(make: Make, gateway: Gateway) -> None:
    """What the process brought about is known, and the last progress is the result."""
    told: list[Progress] = []
    campaign = make(NUMBERS)
    campaign.send(on_progress=told.append, every=0.05)
    assert sorted(gateway.sent) == NUMBERS
    assert campaign.outcomes == {(State.SENT, ""): len(NUMBERS)}
    assert (told[-1].sent, told[-1].pending, told[-1].in_flight) == (len(NUMBERS), 0, 0)


def test_a_commit_whose_answer_is_lost(
    make: Make, gateway: Gateway, sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was claimed by it is given back and claimed anew.

    Nobody waits for a lease, and nobody gets it twice.
    """
    writing, lost = sqlite_ledger.writing, iter([True])

    @contextmanager
    def once_lost() -> Iterator[Connection]:
        with writing() as connection:
            yield connection
        if next(lost, False):
            raise LedgerUnavailable("The ledger did not answer: gone")

    campaign = make(NUMBERS)
    monkeypatch.setattr(sqlite_ledger, "writing", once_lost)
    campaign.send()
    assert sorted(gateway.sent) == NUMBERS
    assert campaign.counts().sent == len(NUMBERS)


def test_a_run_that_was_told_to_stop_before_it_began(make: Make, gateway: Gateway) -> None:
    """Nothing leaves, and it never returns as if it were done."""
    stop = threading.Event()
    stop.set()
    campaign = make(NUMBERS)
    with pytest.raises(CampaignStopped):
        campaign.send(stop)
    assert gateway.sent == []
    assert campaign.counts().pending == len(NUMBERS)


def test_an_exception_in_the_thread_that_waits(make: Make, gateway: Gateway) -> None:
    """A task's time-out comes so: the run ends, and what is out is settled before it goes on."""

    def timed_out(_: Progress) -> None:
        raise TimeoutError

    campaign = make(NUMBERS, rate=10.0)
    with pytest.raises(TimeoutError):
        campaign.send(on_progress=timed_out, every=0.0)
    counts = campaign.counts()
    assert counts.sent == len(gateway.sent) < len(NUMBERS)
    assert counts.unknown == 0


def test_a_defect_in_the_dispatcher_reaches_the_caller(
    make: Make, sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is raised where the run was begun, and not lost in its thread."""
    campaign = make(NUMBERS)

    def broken(_: object) -> float:
        raise ZeroDivisionError

    monkeypatch.setattr(sqlite_ledger, "now", broken)
    dispatched = threading.excepthook
    with pytest.raises(ZeroDivisionError):
        campaign.send()
    assert threading.excepthook is dispatched
