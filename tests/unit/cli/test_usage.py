"""Usage, added up by China days."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.cli import main

from .conftest import Run


def test_usage(run: Run, sent: str) -> None:
    """By day, template, campaign and Dag, within China days."""
    today = datetime.now(CHINA).date()
    for by, name in (("day", str(today)), ("template", "65535"), ("campaign", sent), ("dag", None)):
        rows = run("usage", "--by", by, "-o", "json").json
        assert rows == [{by: name, "billed": 2, "possibly_billed": 1}]
    assert re.search(r"total +\| 2 +\| 1", run("usage").out)
    assert "(command line)" in run("usage", "--by", "dag").out
    yesterday = str(today - timedelta(days=1))
    assert run("usage", "--from", yesterday, "--to", yesterday).status == 4
    assert run("usage", "--from", str(today), "--to", yesterday).status == 2
    assert run("usage", "--account", "typo").status == 2
    with pytest.raises(SystemExit, match="2"):
        main(["usage", "--from", "tomorrow"])
