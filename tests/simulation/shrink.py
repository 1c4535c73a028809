"""Make a scenario that fails shorter, as long as it still fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.simulation.scenario import Scenario

MOST_PLAYS: Final = 250


def shrink(scenario: Scenario, fails: Callable[[Scenario], bool]) -> Scenario:
    """Leave out whatever the failure does not need: campaigns, processes, faults, acts, recipients.

    :param fails: plays a scenario; returns whether something did not hold.
    """
    plays = 0
    while True:
        for smaller in scenario.smaller():
            plays += 1
            if plays > MOST_PLAYS:
                return scenario
            if smaller.size < scenario.size and fails(smaller):
                scenario = smaller
                break
        else:
            return scenario
