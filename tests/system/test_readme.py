"""What the README says is so."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from airflow.sdk import DAG

from airflow_provider_caixin.operators.caixin import CaixinSendOperator

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_dag() -> None:
    """The Dag in the README is one, with a campaign in it."""
    (source,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, object] = {}
    exec(source.replace('"):', '") as dag:'), names)
    dag = names["dag"]
    assert isinstance(dag, DAG)
    assert [type(task) for task in dag.tasks] == [CaixinSendOperator]


def test_the_arguments() -> None:
    """The table names every argument of the operator, marks the templates, and nothing else."""
    table = README.partition("## The operator's arguments")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {name: star == "*" for row in rows for name, star in re.findall(r"`(\w+)`(\*?)", row)}
    arguments = set(inspect.signature(CaixinSendOperator.__init__).parameters) - {"self", "kwargs"}
    assert set(named) == arguments
    assert {name for name, templated in named.items() if templated} == set(CaixinSendOperator.template_fields)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^):]+)\)", README))))
def test_the_links(path: str) -> None:
    """What the README links to is in the repository."""
    assert (ROOT / path).exists()


@pytest.mark.parametrize(
    "target", sorted(set(re.findall(r"(?:`|^)make ([a-z][\w.-]*)", README, re.MULTILINE)))
)
def test_the_commands(target: str) -> None:
    """Every ``make`` command of the README is a target of the Makefile."""
    assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
