"""A short round for each kind of fault, and rounds drawn by chance; ``make faults`` plays longer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.databases import Missing
from tests.faults.rounds import SCENARIOS, Script, draw, play
from tests.faults.workers import ROOT

SERVERS = ("postgresql", "forgetful", "replicated", "mysql")


def played(script: Script, folder: Path) -> None:
    """Play a round; where a database is missing on this machine it is skipped."""
    try:
        play(script, folder)
    except Missing as missing:
        pytest.skip(str(missing))


def marked(database: str) -> list[pytest.MarkDecorator]:
    """Mark what needs a database server; CI does not skip it."""
    return [pytest.mark.service] if database in SERVERS else []


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=marked(SCENARIOS[name](1).database))
        for name in (
            *("workers", "answers", "quota", "restarts", "forgetful", "failover"),
            *("clocks", "closing", "apart", "deserted"),
        )
    ],
)
def test_a_kind_of_fault(name: str, tmp_path: Path) -> None:
    """It happens, and everything that must hold does."""
    played(SCENARIOS[name](1), tmp_path)


@pytest.mark.parametrize(
    ("seed", "database"),
    [
        (6, "sqlite"),
        pytest.param(4, "postgresql", marks=marked("postgresql")),
        pytest.param(8, "mysql", marks=marked("mysql")),
    ],
)
def test_faults_by_chance(seed: int, database: str, tmp_path: Path) -> None:
    """Some of everything at once."""
    played(draw(seed, database), tmp_path)


def test_a_full_disk() -> None:
    """A file system of a few megabytes, in a namespace of its own.

    The mount is gone with it, whatever happens.
    """
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    try:
        subprocess.run([*alone, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this machine lets nobody mount a file system: {error}")
    command = [sys.executable, "-m", "tests.faults", "--scenario=full-disk", "--seed=1"]
    done = subprocess.run([*alone, *command], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
