"""Each module has a test that is found by its name, and each test the module that its name says."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parent
PACKAGE: Final = TESTS.parents[1] / "airflow_provider_caixin"

#: Modules without a test of their name, and why.
UNTESTED: Final = {
    "__main__.py": "a call of cli.main, which tests/unit/cli runs",
    "audience/errors.py": "a class without code: tests/unit/test_errors.py",
    "audience/sources/protocols.py": "signatures, which mypy checks",
    "cli/__init__.py": "the two ways to the commands, by which their tests call them",
    "compat.py": "names of Airflow's, which every test of an operator uses",
    "ledger/errors.py": "classes without code: tests/unit/test_errors.py",
    "sandbox/__init__.py": "public names, by which all tests import them",
    "sandbox/__main__.py": "a call of sandbox.command, whose tests run it",
}
#: Tests that are about more than a module, or about files that are none.
OF_NO_MODULE: Final = {
    "campaign/test_state_machine.py",  # loop and ledger together, by steps at random
    "page/test_styles.py",  # page/static/*.css
    "page/test_words.py",  # page/static/words.*.json
    "test_layout.py",
    "test_packaging.py",
    "test_public_api.py",
}

MODULES: Final = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")}
TESTED: Final = {path.relative_to(TESTS) for path in TESTS.rglob("test_*.py")} - {*map(Path, OF_NO_MODULE)}


def is_plain(module: Path) -> bool:
    """Return whether a module is a package's ``__init__`` that has no function and no class of its own."""
    parts = ast.parse((PACKAGE / module).read_text(encoding="utf-8")).body
    return module.name == "__init__.py" and not any(
        isinstance(part, ast.FunctionDef | ast.ClassDef) for part in parts
    )


def module_of(test: Path) -> Path | None:
    """Return the module that a test is about by its name; None: there is none.

    ``hooks/test_caixin.py`` and ``hooks/test_caixin_retries.py`` are about ``hooks/caixin.py``; what a
    package's ``__init__`` has of its own is tested in ``cli/test_cli.py``.
    """
    name = test.stem.removeprefix("test_")
    while name:
        found = test.with_name(f"{name}.py")
        if found in MODULES:
            return found
        if name == test.parent.name:
            return test.with_name("__init__.py")
        name = name.rpartition("_")[0]
    return None


def listed(paths: set[Path]) -> str:
    """Return paths one a line, which pytest does not cut."""
    return "\n".join(["", *sorted(map(str, paths))])


def test_each_module_has_a_test_of_its_name() -> None:
    """A reader finds the tests of a module without a search."""
    found = {module_of(test) for test in TESTED}
    missing = {module for module in MODULES - found if not is_plain(module)}
    assert not missing - {*map(Path, UNTESTED)}, listed(missing - {*map(Path, UNTESTED)})


def test_each_test_has_the_name_of_a_module() -> None:
    """And finds the module of a test."""
    nameless = {test for test in TESTED if module_of(test) is None}
    assert not nameless, listed(nameless)


def test_no_exception_is_out_of_date() -> None:
    """What stands in the table above is there, and has no test."""
    exceptions = {*map(Path, UNTESTED)}
    outdated = (exceptions - MODULES) | (exceptions & {module_of(test) for test in TESTED})
    assert not outdated, listed(outdated)
