"""Faults by hand: python -m tests.faults --help."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from scripts.throwaway import unwind_when_told
from tests.faults.databases import Missing
from tests.faults.rounds import SCENARIOS, RoundFailed, Script, again, draw, play


def main() -> int:
    """Play rounds; the exit status is 1 when one failed, 2 when this machine lacks what it needs."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Campaigns under faults.")
    parser.add_argument(
        "--rounds", type=int, default=1, metavar="N", help="how many, each with the next seed (1)"
    )
    parser.add_argument("--seed", type=int, help="of the first one (a new one)")
    parser.add_argument("--database", choices=["sqlite", "postgresql", "mysql"], help="the ledger's (drawn)")
    parser.add_argument("--scenario", choices=SCENARIOS, help="a round for one kind of fault (drawn)")
    parser.add_argument("--verbose", action="store_true", help="tell what happened, and when, of all rounds")
    asked = parser.parse_args()
    unwind_when_told()
    first = random.randrange(10**6) if asked.seed is None else asked.seed
    failed = 0
    for seed in range(first, first + asked.rounds):
        script = SCENARIOS[asked.scenario](seed) if asked.scenario else draw(seed, asked.database)
        try:
            failed += not _played(script, verbose=asked.verbose)
        except Missing as missing:
            sys.stderr.write(f"{missing}\n")
            return 2
        except KeyboardInterrupt:
            return 130
    return 1 if failed else 0


def _played(script: Script, *, verbose: bool) -> bool:
    sys.stdout.write(f"{again(script)}\n  {script.database}: {', '.join(script.faults)}\n")
    sys.stdout.flush()
    folder, began = Path(tempfile.mkdtemp(prefix="caixin-faults-")), time.monotonic()
    try:
        played = play(script, folder)
    except RoundFailed as failure:
        sys.stdout.write(f"  FAILED; its files are in {folder}\n{failure}\n")
        return False
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder)
    missed = [line for line in played.story.lines if verbose or "did not happen" in line]
    sys.stdout.write("\n".join([f"  held, {time.monotonic() - began:.0f} s", *missed]) + "\n")
    return True


if __name__ == "__main__":
    sys.exit(main())
