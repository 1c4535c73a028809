"""What is published: files of wheel and sdist, and the wheel in an environment with nothing else of ours."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from configparser import ConfigParser
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_caixin import __version__

ROOT = Path(__file__).parents[2]
PACKAGE = "airflow_provider_caixin"
DISTRIBUTION = "airflow-provider-caixin"
# Not the files of libraries' own names, which come with other versions.
SHIPPED = (
    "py.typed",
    "audience/data/segments.zlib",
    "page/static/index.html",
    "page/static/page.css",
    "page/static/shared/tokens.css",
    "page/static/words.zh.json",
    "sandbox/static/index.html",
    "sandbox/static/words.zh.json",
)

# Python 3.11 has it from 3.11.4.
SAFELY: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}

pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("wheel")]


def build(source: Path, target: Path, *kinds: str) -> list[Path]:
    """Build what is published from a source, with nothing from the network."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(target)]
    subprocess.run([*command, *(f"-t{kind}" for kind in kinds)], cwd=source, check=True, capture_output=True)
    return sorted(target.iterdir())


@pytest.fixture(scope="module")
def kept() -> set[str]:
    """List what is under version control."""
    if not (ROOT / ".git").exists():
        pytest.skip("what is published is what git keeps, and this is no git checkout")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    return set(listed.stdout.splitlines())


@pytest.fixture(scope="module")
def built(kept: set[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build wheel and sdist from a copy of that, as ``make package`` does: other files here do not matter."""
    source = tmp_path_factory.mktemp("source")
    for name in kept:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    wheel, sdist = build(source, tmp_path_factory.mktemp("dist"), "sdist", "wheel")
    return wheel, sdist


def names_in(wheel: Path) -> set[str]:
    """List a wheel's files."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_package_and_nothing_else(built: tuple[Path, Path], kept: set[str]) -> None:
    """All the package's files under version control, data too; no tests, nothing in Airflow's namespace."""
    names = names_in(built[0])
    info = f"{PACKAGE}-{__version__}.dist-info"
    assert {name.split("/", 1)[0] for name in names} == {PACKAGE, info}
    assert {name for name in names if name.startswith(f"{PACKAGE}/")} == {
        name for name in kept if name.startswith(f"{PACKAGE}/")
    }
    assert {f"{PACKAGE}/{name}" for name in SHIPPED} <= names
    assert f"{info}/licenses/LICENSE" in names


def test_what_others_wrote_comes_with_its_licence(built: tuple[Path, Path]) -> None:
    """Each page library has its licence beside it: ``preact.LICENSE`` also speaks for ``preact-hooks.js``."""
    folder = f"{PACKAGE}/page/static/shared/vendor/"
    vendored = {Path(name).name for name in names_in(built[0]) if name.startswith(folder)}
    libraries = {re.split(r"[-.]", name)[0] for name in vendored if name.endswith((".js", ".css"))}
    assert libraries
    assert {f"{name}.LICENSE" for name in libraries} == {name for name in vendored if "LICENSE" in name}


def test_what_the_wheel_says_of_itself(built: tuple[Path, Path]) -> None:
    """Name, version, what it needs, and that it is typed and a provider."""
    with zipfile.ZipFile(built[0]) as archive:
        info = f"{PACKAGE}-{__version__}.dist-info"
        metadata = message_from_bytes(archive.read(f"{info}/METADATA"))
        entry_points = archive.read(f"{info}/entry_points.txt").decode()
    assert (metadata["Name"], metadata["Version"]) == (DISTRIBUTION, __version__)
    assert metadata["Requires-Python"] == ">=3.11"
    assert {"Framework :: Apache Airflow :: Provider", "Typing :: Typed"} <= set(
        metadata.get_all("Classifier", [])
    )
    needed = [one for one in metadata.get_all("Requires-Dist", []) if "extra ==" not in one]
    assert {re.split("[<>=]", one)[0] for one in needed} == {
        "apache-airflow",
        "apache-airflow-providers-common-compat",
        "apache-airflow-providers-standard",
        "pendulum",
        "requests",
    }
    # An upper bound would keep a deployment from the next Airflow.
    assert not [one for one in needed if "<" in one or "==" in one]
    assert set(metadata.get_all("Provides-Extra", [])) == {"mysql", "postgres", "sql"}
    assert metadata["Description-Content-Type"] == "text/markdown"
    parsed = ConfigParser()
    parsed.read_string(entry_points)
    assert {name: dict(parsed[name]) for name in parsed.sections()} == {
        "airflow.plugins": {"caixin": f"{PACKAGE}.plugins.caixin:CaixinPlugin"},
        "apache_airflow_provider": {"provider_info": f"{PACKAGE}.get_provider_info:get_provider_info"},
    }


def test_the_sdist_makes_the_same_wheel(built: tuple[Path, Path], kept: set[str], tmp_path: Path) -> None:
    """It has all files under version control, tests and docs too, not ``.ci``; its wheel has equal bytes."""
    with tarfile.open(built[1]) as archive:
        archive.extractall(tmp_path, **SAFELY)
    [folder] = tmp_path.iterdir()
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {name for name in kept if not name.startswith(".ci/")} | {"PKG-INFO"}
    [again] = build(folder, tmp_path / "dist", "wheel")
    assert again.read_bytes() == built[0].read_bytes()


class Environment:
    """A virtual environment with this one's packages and nothing of ours, with an Airflow home of its own.

    :param folder: where it is made; commands run there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder / "venv", symlinks=True)
        [site] = (folder / "venv" / "lib").glob("python*/site-packages")
        [here] = {Path(path) for path in sys.path if path.endswith("site-packages")}
        for path in here.iterdir():
            if not path.name.lstrip("_").startswith(PACKAGE):
                (site / path.name).symlink_to(path)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("AIRFLOW") and name not in ("PYTHONPATH", "VIRTUAL_ENV")
        }
        self._environment = inherited | {
            "AIRFLOW_HOME": str(folder / "home"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "NO_COLOR": "1",
            "COLUMNS": "200",
        }

    def run(self, *arguments: str, status: int = 0) -> str:
        """Run Python with these arguments, and give what it printed."""
        done = subprocess.run(
            [str(self.folder / "venv" / "bin" / "python"), *arguments],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return done.stdout

    def listed(self, *command: str, by: str) -> dict[str, Any]:
        """Run an ``airflow`` command that lists things, and give its rows by one of their columns."""
        # The last line: Airflow may log before it.
        *_, text = self.run("-m", "airflow", *command, "-o", "json").splitlines()
        rows: list[dict[str, Any]] = json.loads(text)
        return {row[by]: row for row in rows}


def test_airflow_with_the_wheel_and_without_it(built: tuple[Path, Path], tmp_path: Path) -> None:
    """Airflow's commands see provider, hook, plugin, connection, CLI; uninstalled, they see none and work."""
    there = Environment(tmp_path)
    there.run("-m", "pip", "install", "-qq", "--no-index", "--no-deps", str(built[0]))
    where = Path(there.run("-c", f"import {PACKAGE}; print({PACKAGE}.__file__)").strip())
    assert where.is_relative_to(tmp_path / "venv")
    there.run("-m", "airflow", "db", "migrate")

    assert there.listed("providers", "list", by="package_name")[DISTRIBUTION]["version"] == __version__
    assert there.listed("providers", "hooks", by="connection_type")["caixin"]["package_name"] == DISTRIBUTION
    assert "caixin" in there.listed("plugins", by="name")
    there.run(
        "-m", "airflow", "connections", "add", "shop", "--conn-type", "caixin", "--conn-password", "key"
    )
    assert there.listed("connections", "get", "shop", by="conn_id")["shop"]["conn_type"] == "caixin"
    assert "236306" in there.run("-m", "airflow", "caixin", "codes", "236306")
    assert "codes" in there.run("-m", PACKAGE, "--help")

    there.run("-m", "pip", "uninstall", "-qq", "--yes", DISTRIBUTION)
    assert not where.parent.exists()
    assert DISTRIBUTION not in there.listed("providers", "list", by="package_name")
    assert "caixin" not in there.listed("providers", "hooks", by="connection_type")
    assert "caixin" not in there.run("-m", "airflow", "plugins")
    # What was kept in Airflow's database does not need us.
    assert "shop" in there.listed("connections", "get", "shop", by="conn_id")
    there.run("-m", "airflow", "caixin", "codes", "236306", status=2)
