"""What the documentation says is so: its code runs, its tables are the code's, its links lead somewhere."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pendulum
import pytest
from airflow.sdk import DAG, Asset, Connection, task

from airflow_provider_caixin import cli
from airflow_provider_caixin.compat import NOTSET
from airflow_provider_caixin.notifications.caixin import CaixinNotifier
from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.rules import FrequencyCap
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.sensors.caixin import CaixinTemplateSensor, CaixinWindowSensor
from airflow_provider_caixin.session import metrics
from airflow_provider_caixin.settings.connection import _EXTRA_FIELDS, CaixinConnection
from airflow_provider_caixin.settings.options import CONFIG_OPTIONS
from airflow_provider_caixin.timetables.caixin import SendWindowTimetable
from airflow_provider_caixin.transfers.sql_to_caixin import SqlToCaixinOperator
from airflow_provider_caixin.vocabulary import SkipReason, State, Status
from scripts.tables import DOCS, ROOT, written

PAGES = sorted([*DOCS.glob("**/*.md"), *ROOT.glob("*.md")])
EXAMPLES = sorted((ROOT / "example_dags").glob("*.py"))
# What a piece of a Dag file in a page may use without importing it.
AT_HAND: dict[str, Any] = {
    one.__name__: one
    for one in (
        Asset,
        CaixinNotifier,
        CaixinSendOperator,
        CaixinTemplateSensor,
        CaixinWindowSensor,
        FrequencyCap,
        SendWindowTimetable,
        SqlToCaixinOperator,
        timedelta,
    )
} | {"task": task}
PACKAGE = ROOT / "airflow_provider_caixin"


class Block(NamedTuple):
    """A block of code in a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str) -> Iterator[Block]:
    """Find the blocks of some languages in all pages."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in re.finditer(r"^( *)```(\w+|\{\.python\})\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE):
            if found[2] in languages:
                yield Block(
                    page,
                    text.count("\n", 0, found.start()) + 1,
                    found[2],
                    inspect.cleandoc("\n" + found[3]) + "\n",
                )


# The fence of an included file is another, because ruff formats Python and would take the include for some.
INCLUDED = list(blocks("{.python}"))
WRITTEN = list(blocks("python"))
COMMANDS = [
    (str(block), line) for block in blocks("console") for line in block.text.splitlines() if line.strip()
]


def rows(page: str, heading: str | None = None) -> list[list[str]]:
    """Read the cells of the table under a heading, or of the first one of the page; without its head."""
    text = (DOCS / page).read_text(encoding="utf-8")
    if heading is not None:
        text = text.partition(f"## {heading}\n")[2]
        assert text, f"{page} has no heading {heading}"
    table = re.search(r"^\|.*\n\|[-| ]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[1].splitlines()]


@pytest.fixture
def _sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with SandboxServer() as server:
        host, _, port = server.url.removeprefix("http://").partition(":")
        value = {"conn_type": "caixin", "password": "k", "host": host, "port": int(port), "schema": "http"}
        monkeypatch.setenv("AIRFLOW_CONN_CAIXIN_DEFAULT", json.dumps(value))
        yield


@pytest.mark.usefixtures("_sandbox")
@pytest.mark.parametrize("block", WRITTEN, ids=str)
def test_code_runs(block: Block) -> None:
    """A block runs by itself if it is a whole file, else inside a Dag; the sandbox plays the gateway."""
    with DAG("docs", schedule=None, start_date=pendulum.datetime(2025, 1, 1)) as dag:
        names = dict(AT_HAND)
        exec(compile(block.text, str(block), "exec"), names)
    made = [one for one in names.values() if isinstance(one, DAG)] or [dag]
    if "task_id=" in block.text and "with DAG" not in block.text:
        assert all(one.tasks for one in made)


@pytest.mark.parametrize("block", INCLUDED, ids=str)
def test_an_included_dag_is_whole(block: Block) -> None:
    """The part of a file that a page shows is all of it behind its docstring."""
    found = re.fullmatch(r'--8<-- "(example_dags/\w+\.py):(\d+):"\n', block.text)
    assert found
    text = (ROOT / found[1]).read_text(encoding="utf-8")
    shown = "".join(text.splitlines(keepends=True)[int(found[2]) - 1 :])
    assert shown.startswith("from __future__ import annotations\n")
    assert ast.dump(ast.parse(shown)) == ast.dump(ast.Module(ast.parse(text).body[1:], []))


def test_every_example_is_shown() -> None:
    """No Dag under example_dags/ is left out."""
    shown = {name for block in INCLUDED for name in re.findall(r"example_dags/(\w+\.py)", block.text)}
    assert shown == {path.name for path in EXAMPLES}


def test_dag_ids_are_unique() -> None:
    """All of it copied into one Dag folder does not clash; the READMEs show one Dag in two languages."""
    sources = [path.read_text(encoding="utf-8") for path in EXAMPLES]
    sources += [block.text for block in WRITTEN if block.page.name != "README.zh-CN.md"]
    ids = [name for text in sources for name in re.findall(r'\bDAG\(\s*(?:dag_id=)?"(\w+)"', text)]
    # The Dag of the README is the first of the guide on sending, too.
    ids.remove("spring_sale")
    assert sorted(ids) == sorted(set(ids))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tables_are_the_codes(page: Path) -> None:
    """`make tables` would change nothing."""
    text = page.read_text(encoding="utf-8")
    assert written(text) == text


@pytest.mark.parametrize(
    ("page", "heading", "made"),
    [
        ("sending.md", "Arguments", CaixinSendOperator),
        ("events.md", "A message to the on-call phone", CaixinNotifier),
    ],
)
def test_arguments(page: str, heading: str, made: type[Any]) -> None:
    """The table has every argument, its default, and a star where it is a template field."""
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(made.__init__).parameters.items()
        if name not in ("self", "kwargs", "context")
    }
    table = {row[0].strip("`*"): (row[0].endswith("*"), row[1]) for row in rows(page, heading)}
    assert list(table) != []
    assert set(table) == set(parameters)
    assert {name for name, (starred, _) in table.items() if starred} == set(made.template_fields)
    for name, (_, default) in table.items():
        given = parameters[name].default
        if given is inspect.Parameter.empty:
            assert default == "required"
        elif given is NOTSET:
            assert default == "not given"
        elif name != "deferrable":
            assert default == f"`{json.dumps(given) if isinstance(given, str) else given}`"


def test_each_argument_has_an_example() -> None:
    """The guide on sending names every argument in a heading, and all but switches in code."""
    page = (DOCS / "sending.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^## .*$", page, re.MULTILINE))))
    arguments = {row[0].strip("`*") for row in rows("sending.md", "Arguments")}
    assert arguments - named == {"tpl_id", "caixin_conn_id", "report_file"}


def test_connection_extras() -> None:
    """The table has what is read of a connection's extra, with the defaults of the configuration."""
    table = {row[0].strip("`"): row[1].strip("`") for row in rows("connection.md", "Extra")}
    assert set(table) == set(_EXTRA_FIELDS)
    for name in ("messages_per_second", "send_window", "frequency_cap"):
        assert table[name] == CONFIG_OPTIONS[name]["default"]


def test_states_reasons_and_statuses() -> None:
    """Every state, skip reason and status is explained, in Chinese as the vocabulary has them."""
    for heading, words in (("States", State), ("Reasons", SkipReason), ("Statuses", Status)):
        assert {row[0].strip("`"): row[1] for row in rows("words.md", heading)} == {
            word.value: word.zh for word in words
        }
    reasons = {row[0].strip("`") for row in rows("rules.md", "Why a recipient was skipped")}
    assert reasons == {reason.value for reason in SkipReason}
    statuses = {row[0].strip("`") for row in rows("cli.md", "Where a campaign stands")}
    assert statuses == {status.value for status in Status}


def test_metrics() -> None:
    """The table names the metrics that the module does."""
    said = set(re.findall(r"caixin\.[a-zA-Z.]+", str(metrics.__doc__)))
    assert {row[0].strip("`") for row in rows("metrics.md")} == said


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page: Path) -> None:
    """What a page links to is in the repository; `make docs` looks at the anchors, too."""
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s:#]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md"])
def test_paths(name: str) -> None:
    """A path in code font is one of the repository or of the package."""
    text = (ROOT / name).read_text(encoding="utf-8")
    for path in re.findall(r"`([\w.]+(?:/[\w.*]*)+)`", text):
        assert list(ROOT.glob(path.rstrip("/"))) or list(PACKAGE.glob(path.rstrip("/"))), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files(page: Path) -> None:
    """A file in code font that has a folder is one of the repository or of the package."""
    for path in re.findall(r"`((?:\w+/)+[\w.-]+\.(?:json|md|py|txt))`", page.read_text(encoding="utf-8")):
        assert (ROOT / path).exists() or (PACKAGE / path).exists(), path


@pytest.mark.parametrize(("place", "line"), [one for one in COMMANDS if one[1].startswith("export ")])
def test_environment(place: str, line: str) -> None:
    """A connection in the environment can be read, and an option is one."""
    for variable in shlex.split(line)[1:]:
        name, _, value = variable.partition("=")
        if name == "AIRFLOW_CONN_CAIXIN_DEFAULT":
            read = Connection.from_json if value.startswith("{") else Connection.from_uri
            settings = CaixinConnection.parse(read(value, conn_id="caixin_default"))
            assert settings.app_key
        elif name.startswith("AIRFLOW__CAIXIN__"):
            assert name.removeprefix("AIRFLOW__CAIXIN__").lower() in CONFIG_OPTIONS, place


@pytest.mark.parametrize(
    "target",
    sorted(
        {
            name
            for page in PAGES
            for name in re.findall(r"(?:`|^)make ([a-z][\w.-]*)", page.read_text(), re.MULTILINE)
        }
    ),
)
def test_make(target: str) -> None:
    """Every ``make`` command is a target."""
    assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def commands() -> Iterator[tuple[str, str]]:
    """Find commands of ours, in blocks and in sentences."""
    for place, line in COMMANDS:
        if found := re.match(r"(?:\$ )?(?:airflow caixin|python -m airflow_provider_caixin) ([^#|>]+)", line):
            yield place, found[1]
    for page in PAGES:
        for words in re.findall(
            r"`(?:airflow caixin|python -m airflow_provider_caixin) ([^`]+)`", page.read_text()
        ):
            if words != "...":
                yield str(page.relative_to(ROOT)), words


@pytest.mark.parametrize(("place", "words"), sorted(set(commands())))
def test_our_commands(place: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The command is there, and has the options that it is shown with."""
    given = [word for word in shlex.split(words) if word not in ("--help", "-h")]
    with pytest.raises(SystemExit) as ended:
        cli.main([*given, "--help"])
    assert ended.value.code == 0, place
    told = capsys.readouterr().out
    for option in given:
        if option.startswith("--"):
            assert option in told, place
