from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_caixin.campaign import Progress
from airflow_provider_caixin.session.progress import ProgressLog, duration, sentence

LOG = logging.getLogger("test.progress")


def progress(sent: int = 1200, pending: int = 8750, eta: float | None = 29.8) -> Progress:
    """Make a progress of 10,000 recipients."""
    return Progress(
        total=10000,
        pending=pending,
        in_flight=50,
        sent=sent,
        rejected=0,
        unknown=0,
        skipped=0,
        rate=293.61,
        eta=eta,
    )


class Clock:
    """A clock that stands until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class Store(dict[str, Any]):
    """A task state store that counts its writes."""

    writes = 0

    def set(self, key: str, value: Any) -> None:
        """Keep a value as the real one does."""
        self.writes += 1
        self[key] = value


def test_the_sentence() -> None:
    """A line has counts, rate and time to go."""
    assert sentence(progress()) == (
        "1,200 of 10,000 done: 1,200 sent, 0 rejected, 0 unknown, 0 skipped; 8,800 left at 293.6/s, about 30 s to go"
    )
    assert sentence(progress(eta=None)).endswith("8,800 left at 293.6/s")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (298, "4 min 58 s"), (7500, "2 h 05 min")],
)
def test_durations(seconds: float, text: str) -> None:
    """Lengths of time are written as they are said."""
    assert duration(seconds) == text


def test_every_second_then_every_ten(caplog: pytest.LogCaptureFixture) -> None:
    """Ten seconds long there is a line a second, after that one in ten."""
    clock = Clock()
    told = ProgressLog(LOG, clock=clock)
    with caplog.at_level(logging.INFO):
        for second in range(61):
            clock.now = 100.0 + second
            told(progress())
    moments = len(caplog.records)
    assert moments == 10 + 6


def test_the_store_is_written_every_ten_seconds() -> None:
    """A write costs, so there is one in ten seconds and never more."""
    clock, store = Clock(), Store()
    told = ProgressLog(LOG, store, clock=clock)
    for tenth in range(301):
        clock.now = 100.0 + tenth / 10
        told(progress(sent=tenth))
    assert store.writes == 4
    assert store["progress"]["total"] == 10000
    assert store["progress"]["sent"] in range(290, 301)


def test_a_store_that_fails_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """A campaign goes on when nobody can watch it."""

    class Broken:
        def set(self, key: str, value: Any) -> None:
            """Fail as a server does that is gone."""
            raise RuntimeError(f"no {key} for {value['total']}")

    clock = Clock()
    told = ProgressLog(LOG, Broken(), clock=clock)
    with caplog.at_level(logging.WARNING):
        for second in range(60):
            clock.now = 100.0 + second
            told(progress())
    assert [record.getMessage() for record in caplog.records] == [
        "Progress cannot be kept in the task state store: no progress for 10000"
    ]
