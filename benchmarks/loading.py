"""What large audiences cost: peak memory, time to load, time to a resumed campaign's first new message.

Usage: python -m benchmarks.loading

Each figure is taken in a process of its own. The audience of the memory run is skipped as a whole (another
carrier's numbers), so that it goes through every step but the sending.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy.engine import URL

from airflow_provider_caixin.audience import FileAudience
from airflow_provider_caixin.ledger import Ledger
from benchmarks.resuming import first_new_message, load_and_settle
from benchmarks.sender import campaign_on

RUNS = 3
SMALL, LARGE, SETTLED = 10_000, 1_000_000, 900_000
SKIPPED, SENT = "130", "139"


def audience(folder: Path, prefix: str, count: int) -> Path:
    """Write a file of made-up numbers in no order.

    :param folder: where.
    :param prefix: the first three digits.
    :param count: how many.
    """
    file = folder / f"{prefix}-{count}.txt"
    with file.open("w") as lines:
        # 7919 is prime to 10^8, so every number is another one.
        lines.writelines(f"{prefix}{index * 7919 * 613 % 10**8:08}\n" for index in range(count))
    return file


def whole_run(folder: Path, prefix: str, count: int) -> dict[str, float]:
    """Load an audience, run the campaign where nobody is left to be sent to, and write the report.

    :param folder: a folder of its own.
    :param prefix: the first three digits of the numbers.
    :param count: how many numbers.
    """
    one = campaign_on(Ledger(address(folder)), port=9)
    began = time.monotonic()
    one.load(FileAudience(audience(folder, prefix, count)), "benchmark")
    loaded = time.monotonic() - began
    if prefix == SKIPPED:
        one.send()
        with (folder / "report.csv").open("w", newline="") as report:
            one.write_report(report)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": loaded, "peak": peak, "total": one.counts().total}


def resume(folder: Path) -> dict[str, float]:
    """Time a campaign that is mostly settled, from opening the ledger to its first new message.

    :param folder: a folder of its own.
    """
    file = audience(folder, SENT, LARGE)
    load_and_settle(address(folder), file, SETTLED)
    return {"seconds": first_new_message(address(folder), file)}


def address(folder: Path) -> URL:
    """Return the address of the ledger in a folder.

    :param folder: the folder.
    """
    return URL.create("sqlite", database=str(folder / "ledger.db"))


def in_its_own_process(*words: str) -> dict[str, float]:
    """Run one part of this module in a fresh process.

    :param words: the part and its arguments.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.loading", folder, *words]
        answer = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
        )
    figures: dict[str, float] = json.loads(answer.stdout)
    return figures


def main() -> None:
    """Print the figures of each run."""
    for _ in range(RUNS):
        small = in_its_own_process("whole", SKIPPED, str(SMALL))
        large = in_its_own_process("whole", SKIPPED, str(LARGE))
        load = in_its_own_process("whole", SENT, str(LARGE))
        again = in_its_own_process("resume")
        print(
            f"peak memory {small['peak']:.0f} MB for {SMALL:,} and {large['peak']:.0f} MB for {LARGE:,} recipients; "
            f"{LARGE:,} loaded in {load['seconds']:.1f} s (all skipped: {large['seconds']:.1f} s); first new message "
            f"after {again['seconds']:.2f} s when {SETTLED:,} of {LARGE:,} are settled",
            flush=True,
        )


def part(folder: Path, what: str, *words: str) -> dict[str, float]:
    """Run one part in this process.

    :param folder: a folder of its own.
    :param what: ``whole`` or ``resume``.
    :param words: its arguments.
    """
    return whole_run(folder, words[0], int(words[1])) if what == "whole" else resume(folder)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(part(Path(sys.argv[1]), *sys.argv[2:])))
    else:
        main()
