from __future__ import annotations

import time

import sqlalchemy as sa
from sqlalchemy.engine import URL

from airflow_provider_caixin.ledger import Ledger, schema
from tests.databases import MYSQL


@MYSQL
def test_mysql_s_defaults_do_not_matter(ledger_url: URL) -> None:
    """A database for Latin letters that knows no case, and a server whose clock keeps summer time."""
    server = sa.create_engine(ledger_url, poolclass=sa.NullPool)
    with server.connect() as connection:
        connection.exec_driver_sql(
            f"ALTER DATABASE {ledger_url.database} CHARACTER SET latin1 COLLATE latin1_swedish_ci"
        )
    ledger = Ledger(ledger_url)
    with ledger.writing() as connection:
        suppress = sa.insert(schema.suppression)
        connection.execute(suppress, {"number": "13912345678", "reason": "退订 😀", "added_at": 0.0})
        assert connection.execute(sa.select(schema.suppression.c.reason)).scalar_one() == "退订 😀"
        assert connection.exec_driver_sql("SELECT @@time_zone").scalar_one() == "+00:00"
        assert abs(ledger.now(connection) - time.time()) < 5
    tables = sa.text(
        "SELECT table_name, engine, table_collation FROM information_schema.tables WHERE table_schema = :it"
    )
    with server.connect() as connection:
        kinds = {row[1:] for row in connection.execute(tables, {"it": ledger_url.database})}
    assert kinds == {("InnoDB", "utf8mb4_bin")}
    ledger.close()
