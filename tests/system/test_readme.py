"""What the README says is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from airflow.sdk import DAG

from airflow_provider_caixin.operators.caixin import CaixinSendOperator

ROOT = Path(__file__).parents[2]
READMES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md")}


@pytest.mark.parametrize("name", READMES)
def test_the_dag(name: str) -> None:
    """The Dag in the README is one, with a campaign in it."""
    (source,) = re.findall(r"```python\n(.*?)```", READMES[name], re.DOTALL)
    names: dict[str, object] = {}
    exec(source.replace('"):', '") as dag:'), names)
    dag = names["dag"]
    assert isinstance(dag, DAG)
    assert [type(task) for task in dag.tasks] == [CaixinSendOperator]
