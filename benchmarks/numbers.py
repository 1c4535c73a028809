"""How many numbers a second are normalised and classified, on one core.

Usage: python -m benchmarks.numbers

Three runs over 1,000,000 made-up numbers each; beside them, in the same process, what the packages ``phone``
and ``phonenumbers`` take for a look-up, where they are installed.
"""

from __future__ import annotations

import random
import time
from collections import deque
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from airflow_provider_caixin.audience import Classifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

RUNS = 3
NUMBERS = 1_000_000
LOOK_UPS = 50_000  # of the packages, which are slower


def made_up(count: int) -> list[str]:
    """Make up numbers of all carriers.

    :param count: how many.
    """
    generator = random.Random(2)  # noqa: S311  the same numbers in each run
    return [str(generator.randrange(13_000_000_000, 20_000_000_000)) for _ in range(count)]


def rate(run: Callable[[list[str]], Iterable[object]], numbers: list[str]) -> float:
    """Measure numbers a second.

    :param run: takes the numbers and gives an iterable of results, which is used up.
    :param numbers: what to run over.
    """
    start = time.perf_counter()
    deque(run(numbers), maxlen=0)
    return len(numbers) / (time.perf_counter() - start)


def contestants() -> Iterator[tuple[str, list[str], Callable[[list[str]], Iterable[object]]]]:
    """Yield name, numbers and run of everything that can be measured here."""
    numbers = made_up(NUMBERS)
    classify = Classifier(blocked_regions=("北京", "沈阳")).classify
    yield "normalise + classify, clean text", numbers, classify
    yield (
        "normalise + classify, +86 138-0013-8000",
        [f"+86 {n[:3]}-{n[3:7]}-{n[7:]}" for n in numbers],
        classify,
    )
    yield "normalise + classify, no numbers", [f"x{n}" for n in numbers], classify
    few = numbers[:LOOK_UPS]
    with missing_allowed():
        find = import_module("phone").Phone().find
        yield "phone: find", few, lambda rows: map(find, rows)
    with missing_allowed():
        library = import_module("phonenumbers")
        carrier, geocoder = import_module("phonenumbers.carrier"), import_module("phonenumbers.geocoder")

        def look_up(number: str) -> tuple[str, str]:
            parsed = library.parse(number, "CN")
            return carrier.name_for_number(parsed, "zh"), geocoder.description_for_number(parsed, "zh")

        yield "phonenumbers: parse, carrier, city", few, lambda rows: map(look_up, rows)


@contextmanager
def missing_allowed() -> Iterator[None]:
    """Print which package is missing and go on."""
    try:
        yield
    except ModuleNotFoundError as error:
        print(f"{error.name} is not installed: left out")


def main() -> None:
    """Print a line for each contestant."""
    for name, numbers, run in contestants():
        rates = [rate(run, numbers) for _ in range(RUNS)]
        print(f"{name:42}", *(f"{value:>11,.0f}/s" for value in rates))


if __name__ == "__main__":
    main()
