"""Two clocks, either of which may be wrong."""

from __future__ import annotations

import logging
import time
from functools import partial

import pytest

from airflow_provider_caixin.campaign.clocks import Clocks
from airflow_provider_caixin.machine import Machine

NOW = 1_795_400_000.0


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was warned of."""
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


class Host:
    """A host's clock that a test sets.

    :param now: what it says.
    """

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        """Read it."""
        return self.now


@pytest.mark.parametrize("apart", [0.0, 1.9, -1.9])
def test_clocks_that_agree(apart: float, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody is told of what the guards of the window bear."""
    clocks = Clocks(Machine(Host()))
    assert clocks.moments() == (NOW, NOW)
    assert clocks.read(lambda: NOW + apart) == NOW + apart
    assert clocks.moments()[1] == pytest.approx(NOW + apart, abs=0.1)
    assert clocks.apart == pytest.approx(apart)
    assert clocks.ending() is None
    assert not warnings(caplog)


def test_clocks_apart_are_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """And again when they are still further apart; by the ledger's clock time goes on."""
    host = Host()
    clocks = Clocks(Machine(host))
    for apart in (5.0, 5.1, 4.0, 8.0, 8.0):
        clocks.read(partial(sum, (host.now, apart)))
        assert clocks.ending() is None
    first, second = warnings(caplog)
    assert "(2026-11-23 10:13:20) and the ledger's (2026-11-23 10:13:25) are 5.0 s apart" in first
    assert "are 8.0 s apart" in second
    earlier = clocks.moments()[1]
    time.sleep(0.01)
    assert 0.01 <= clocks.moments()[1] - earlier < 1


@pytest.mark.parametrize("apart", [31.0, -31.0, 86_400.0])
def test_clocks_that_are_too_far_apart_end_the_run(apart: float, caplog: pytest.LogCaptureFixture) -> None:
    """The sentence names both; set right, the run may go on."""
    host = Host()
    clocks = Clocks(Machine(host))
    clocks.read(lambda: host.now + apart)
    ending = str(clocks.ending())
    assert "2026-11-23 10:13:20" in ending
    assert f"they are {abs(apart):.0f} s apart" in ending
    assert "NTP" in ending
    assert not warnings(caplog)
    host.now += apart
    clocks.read(lambda: NOW + apart)
    assert clocks.ending() is None


@pytest.mark.parametrize("apart", [0.0, 50.0])
def test_a_ledger_that_answers_late_is_not_off(apart: float) -> None:
    """The process was suspended for 20 s while it asked: only what cannot be explained by that counts."""
    host = Host()

    def slowly() -> float:
        host.now += 20.0
        return host.now - 10.0 + apart

    clocks = Clocks(Machine(host))
    clocks.read(slowly)
    assert clocks.apart == pytest.approx(max(0.0, apart - 10.0))
