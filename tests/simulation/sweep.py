"""Every crash point: a small campaign, struck at each place where a process can be struck."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from tests.simulation.process import Fault, Kind
from tests.simulation.scenario import LEASE_SECONDS, Post, Scenario

#: Killed, suspended for less and for longer than the lease, and without its connection.
STRIKES: Final[tuple[tuple[Kind, float], ...]] = (
    ("die", 0.0),
    ("freeze", LEASE_SECONDS / 2),
    ("freeze", 2 * LEASE_SECONDS),
    ("lose", 0.0),
)

#: Two tasks of one campaign, of which the first is struck; batches of 20 rows, so that the load has two.
SMALL: Final = Scenario(
    seed=1,
    begins=12 * 3600.0,
    numbers=(tuple(str(13_912_340_000 + number) for number in range(25)),),
    accounts=(0,),
    posts=(Post(0, 0, 0.0, "task 0"), Post(0, 0, 0.1, "task 1")),
    plan=(("rate", 200.0), ("window", "09:00-18:00"), ("cap", 1), ("max_messages", 22)),
)


def struck(visits: Counter[str]) -> Iterator[Scenario]:
    """Yield the small scenario with one fault each, at every point that the first task comes to without any.

    :param visits: how often it was at each point.
    """
    struck_post, *others = SMALL.posts
    for point, most in sorted(visits.items()):
        for nth in range(1, most + 1):
            for kind, seconds in STRIKES:
                fault = Fault(point, nth, kind, seconds)
                yield replace(SMALL, posts=(replace(struck_post, faults=((1, fault),)), *others))
