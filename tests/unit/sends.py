"""What tests of whole sends share: numbers, operators, and what came of them."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.rules import SendWindow
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.settings.ledgers import embedded_path, open_ledger

A, B, C = "13912340001", "13912340002", "13912340003"
BEIJING, UNICOM, VIRTUAL = "13501000001", "13012340001", "17051234567"
TWENTY = [f"139123400{last:02}" for last in range(20)]


def operator(**arguments: Any) -> CaixinSendOperator:
    """Make an operator of template 65535."""
    return CaixinSendOperator(**{"task_id": "send", "tpl_id": 65535, **arguments})


def to_twenty(**arguments: Any) -> CaixinSendOperator:
    """Make an operator of template 65535 to twenty numbers."""
    return operator(**{"mobiles": TWENTY, **arguments})


def run(made: CaixinSendOperator, context: Any) -> dict[str, Any]:
    """Render and execute, as the task runner does."""
    made.render_template_fields(context)
    return made.execute(context)


def scheduled(context: Any, age: timedelta, kind: Any = "scheduled") -> Any:
    """Make the run one that was due so long ago."""
    return {**context, "dag_run": SimpleNamespace(run_type=kind, run_after=datetime.now(UTC) - age)}


def closed_window() -> SendWindow:
    """Return a window that is closed now and for hours to come."""
    return SendWindow("20:00-21:00" if datetime.now(CHINA).hour < 12 else "03:00-04:00")


def billed(sandbox: SandboxServer) -> list[str]:
    """Return the numbers that the sandbox billed, in order."""
    return sorted(row["mobile"] for row in sandbox.billed())


def kept() -> int:
    """Count what a ledger keeps of campaigns and opt-outs; there may be no ledger at all."""
    if not embedded_path().exists():
        return 0
    with closing(open_ledger(None)) as ledger, ledger.reading() as connection:
        tables = (schema.campaign, schema.suppression)
        return sum(
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in tables
        )
