"""The simulator by hand: python -m tests.simulation --help."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.simulation.database import empty_ledger
from tests.simulation.play import Played, play
from tests.simulation.scenario import Scenario, draw
from tests.simulation.shrink import shrink

# Of each process of the pool.
_place: Path
_empty: Path


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder, in memory where there is such a place: these ledgers outlive no crash."""
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="caixin-simulation-", dir=place) as made:
        yield Path(made)


def main() -> int:
    """Play scenarios; the exit status is 1 when something did not hold."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description="Campaigns in virtual time."
    )
    parser.add_argument(
        "--number", type=int, default=100, metavar="N", help="how many, each with the next seed (100)"
    )
    parser.add_argument("--seed", type=int, help="of the first one (a new one)")
    parser.add_argument(
        "--story", action="store_true", help="tell what happens in that one, and play no other"
    )
    parser.add_argument(
        "--first", action="store_true", help="stop at the first that does not hold, and leave it as it is"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (as many as processors)")
    asked = parser.parse_args()
    first = random.randrange(10**9) if asked.seed is None else asked.seed
    with folder() as place:
        empty = empty_ledger(place)
        if asked.story:
            return _told(play(draw(first), place, empty, keep=True))
        failed = _played(range(first, first + asked.number), asked.jobs, place, empty, only_first=asked.first)
        if not failed or asked.first:
            return 1 if failed else 0
        return _told(shortest(draw(min(failed)), place, empty))


def _played(seeds: range, jobs: int, place: Path, empty: Path, *, only_first: bool) -> list[int]:
    """Play seeds side by side, and return those that did not hold."""
    began, scenarios, campaigns, requests, failed = time.monotonic(), 0, 0, 0, []
    sys.stdout.write(f"Seeds {seeds[0]} to {seeds[-1]}\n")
    with multiprocessing.get_context("fork").Pool(jobs, _begin, (place, empty)) as pool:
        for seed, played in zip(
            seeds, pool.imap(_play, seeds, chunksize=1 if only_first else 4), strict=False
        ):
            scenarios += 1
            campaigns += played[0]
            requests += played[1]
            if played[2]:
                failed.append(seed)
                sys.stdout.write(f"Seed {seed}: {played[2]}\n")
                sys.stdout.flush()
                if only_first:
                    break
    sys.stdout.write(
        f"{scenarios} scenarios, {campaigns} campaigns, {requests} requests, {time.monotonic() - began:.0f} s: "
        f"{len(failed)} did not hold.\n"
    )
    return failed


def shortest(scenario: Scenario, place: Path, empty: Path) -> Played:
    """Return the story of a shorter scenario that does not hold either."""
    kinds = play(scenario, place, empty).kinds
    return play(
        shrink(scenario, lambda one: bool(kinds & play(one, place, empty).kinds)), place, empty, keep=True
    )


def _told(played: Played) -> int:
    sys.stdout.write("\n".join([f"{played.scenario}", *played.story, *played.wrong, played.digest, ""]))
    return 1 if played.wrong else 0


def _begin(place: Path, empty: Path) -> None:
    global _place, _empty  # what a process of the pool is given at its start
    _place, _empty = place / str(os.getpid()), empty
    _place.mkdir()


def _play(seed: int) -> tuple[int, int, list[str]]:
    """Return how many campaigns and requests there were, and what did not hold."""
    played = play(draw(seed), _place, _empty)
    return len(played.scenario.numbers), played.requests, played.wrong


if __name__ == "__main__":
    sys.exit(main())
