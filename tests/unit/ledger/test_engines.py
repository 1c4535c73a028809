from __future__ import annotations

import pytest
from sqlalchemy.engine import URL

from airflow_provider_caixin.ledger import (
    Ledger,
    LedgerError,
    engines,
)
from tests.databases import SERVERS


def test_another_database_is_refused() -> None:
    """By name, with those that would do."""
    with pytest.raises(LedgerError, match="'oracle' is not supported; expected sqlite, postgresql or mysql"):
        Ledger("oracle://127.0.0.1/ledger")


@SERVERS
def test_every_kind_of_limits_holds(ledger_url: URL) -> None:
    """Those of writers, readers, and whoever makes the tables."""
    for limits in (engines.WRITER, engines.READER, engines.MAKER):
        engine = engines.engine_for(ledger_url, limits)
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
        engine.dispose()
