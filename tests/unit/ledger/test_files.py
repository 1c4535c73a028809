"""Files and folders that cannot be used are named, with whose they are and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_caixin.ledger import Ledger, LedgerError
from airflow_provider_caixin.ledger.files import temporary_folder
from tests.faults.workers import ROOT

# Everything is imported while files of this user may be read.
OTHER_USER = """
import os, sys, tempfile
from pathlib import Path
from airflow_provider_caixin.ledger import Ledger, LedgerError
with tempfile.TemporaryDirectory() as folder:
    Ledger.sqlite(Path(folder) / "ledger.db").close()
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    with Ledger.sqlite(sys.argv[1]).writing() as connection:
        connection.exec_driver_sql("DELETE FROM caixin_meta")
except LedgerError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """Yield a folder that others may look into, and nobody but its owner write to."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def opened_by_another(file: Path) -> str:
    """Open a ledger as another user, or, without the right to become one, without rights to these files."""
    command = [sys.executable, "-c", OTHER_USER, str(file)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment)
    return done.stdout


def test_a_file_of_another_user(home: Path) -> None:
    """As one that root has made on the command line; it may be read, so the first that writes is told."""
    file = home / "ledger.db"
    Ledger.sqlite(file).close()
    home.chmod(0o777)
    file.chmod(0o444)
    said = opened_by_another(file)
    assert said.startswith(
        f"LedgerUnavailable The ledger's file {file} cannot be used: the file {file} belongs to "
    )
    assert "(mode 444), and this process, which runs as " in said
    assert "as one user" in said


def test_a_folder_that_is_not_writable(home: Path) -> None:
    """As an AIRFLOW_HOME that was mounted for reading."""
    home.chmod(0o555)
    said = opened_by_another(home / "ledger.db")
    assert said.startswith("LedgerError The ledger's file")
    assert f"the folder {home} belongs to " in said
    assert "(mode 555)" in said


def test_a_folder_that_is_closed(home: Path) -> None:
    """Nobody can see whether the file is there."""
    inner = home / "closed" / "inner"
    inner.mkdir(parents=True)
    (home / "closed").chmod(0)
    try:
        said = opened_by_another(inner / "ledger.db")
    finally:
        (home / "closed").chmod(0o700)
    assert f"the folder {home / 'closed'} belongs to " in said


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """It is named."""
    with pytest.raises(LedgerError, match=f"{tmp_path / 'no'} is not a folder"):
        Ledger.sqlite(tmp_path / "no" / "ledger.db")
    with pytest.raises(LedgerError, match=f"{tmp_path} is a folder"):
        Ledger.sqlite(tmp_path)


def test_the_temporary_folder_is_sqlite_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own variable goes before the usual one, and one that leads nowhere is passed over."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path / "no"))
    assert temporary_folder() == str(tmp_path)
    (tmp_path / "no").mkdir()
    assert temporary_folder() == str(tmp_path / "no")
