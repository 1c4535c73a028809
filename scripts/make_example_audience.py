"""Write ``example_dags/data/audience.csv``: made-up numbers that show every outcome a sandbox can give.

``python -m scripts.make_example_audience`` writes the same file every time. The numbers that the sandbox
answers in a certain way are its magic ones (see ``airflow_provider_caixin/sandbox/magic.py``). The file is
for the sandbox: outside of it some of the numbers may be somebody's telephone.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from airflow_provider_caixin.audience import Classifier, Segments
from airflow_provider_caixin.sandbox import magic_mobile

TARGET = Path(__file__).parents[1] / "example_dags" / "data" / "audience.csv"
ORDINARY = 330
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")

# Answered so once: the gateway rejects, is busy and accepts later, or the message is billed and its answer
# gets lost.
REJECTED = [
    *(magic_mobile(236306, tries=tries) for tries in range(8)),
    magic_mobile(236308),
    magic_mobile(236309),
]
BUSY_ONCE = [magic_mobile(236300, tries=1), magic_mobile(236305, tries=1)]
UNKNOWN = [magic_mobile(10014), magic_mobile(99004), magic_mobile(99004, tries=1), magic_mobile(99011)]

INVALID = [
    "",
    "1380013800",
    "138001380001",
    "12345678901",
    "无",
    "1.38E+10",
    "010-65529988",
    "不愿透露",
    "400-800-1234",
]
UNICOM = ["130", "131", "155", "186"]
TELECOM = ["133", "153", "189", "199"]
VIRTUAL = ["1703", "1705", "1706", "165", "1700", "1709", "167"]

random_ = random.Random(20250223)  # noqa: S311  # the same file every time is the point


def main() -> None:
    """Write the file."""
    rows = [*_numbers(ORDINARY, _ordinary), *REJECTED, *BUSY_ONCE, *UNKNOWN]
    rows += [*_numbers(8, lambda: _in_city("北京")), *_numbers(6, lambda: _in_city("沈阳"))]
    rows += [*_numbers(12, lambda: _random(UNICOM)), *_numbers(9, lambda: _random(TELECOM))]
    rows += [*_numbers(7, lambda: _random(VIRTUAL)), *INVALID]
    random_.shuffle(rows)
    spellings: list[Callable[[str], str]] = [
        lambda number: f"+86 {number[:3]} {number[3:7]} {number[7:]}",
        lambda number: f"{number[:3]}-{number[3:7]}-{number[7:]}",
        lambda number: f"0086{number}",
        lambda number: f"{number}.0",
        lambda number: number.translate(FULL_WIDTH),
    ]
    valid = [place for place, number in enumerate(rows) if len(number) == 11 and number.isascii()]
    for turn, place in enumerate(random_.sample(valid, 25)):
        rows[place] = spellings[turn % len(spellings)](rows[place])
    # Recipients who are in the list twice, the second time spelled otherwise.
    rows += [
        f"+86{number}"
        for number in random_.sample([row for row in rows if len(row) == 11 and row.isdigit()], 11)
    ]
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    with TARGET.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["会员编号", "手机号"])
        writer.writerows([f"M{member:05}", number] for member, number in enumerate(rows, 1))


def _numbers(count: int, make: Callable[[], str]) -> Iterator[str]:
    made = set[str]()
    while len(made) < count:
        if (number := make()) not in made:
            made.add(number)
            yield number


SEGMENTS = Segments.builtin()
CLASSIFIER = Classifier(blocked_regions=("北京", "沈阳"), segments=SEGMENTS)


def _ordinary() -> str:
    while True:
        number = _random(["135", "136", "137", "138", "139", "150", "158", "159", "183", "187"])
        if CLASSIFIER.reason(number) is None and not CLASSIFIER.is_unknown(number):
            return number


def _in_city(city: str) -> str:
    while True:
        number = _random(["135", "136", "138", "139", "150", "158"])
        if (SEGMENTS.region(number) or ("", ""))[1] == city:
            return number


def _random(prefixes: list[str]) -> str:
    prefix = random_.choice(prefixes)
    return prefix + "".join(random_.choices("0123456789", k=11 - len(prefix)))


if __name__ == "__main__":
    main()
