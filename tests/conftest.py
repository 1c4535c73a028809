"""What all tests share: a throw-away Airflow home, ledgers on each database, and no silent skips in CI."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

# Before any import of Airflow: it makes its home when it is imported.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="caixin-airflow-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"

from airflow_provider_caixin.ledger import Ledger

BACKENDS = {
    "sqlite": "sqlite://",
    "postgresql": "postgresql+psycopg://root@127.0.0.1:5432/test",
    "mysql": "mysql+pymysql://root@127.0.0.1:3306/test",
}
NEEDS_A_MACHINE = ("service", "live", "browser")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI the services are required: there a skipped test of one has failed."""
    report = yield
    marked = any(item.get_closest_marker(name) for name in NEEDS_A_MACHINE)
    if report.skipped and marked and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
    return report


def _server(backend: str) -> URL:
    url = make_url(BACKENDS[backend])
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        engine.connect().close()
    except sa.exc.DBAPIError as error:
        pytest.skip(f"no {backend} at {url.host}:{url.port}: {error.orig}")
    return url


@pytest.fixture(
    params=["sqlite", *(pytest.param(name, marks=pytest.mark.service) for name in ("postgresql", "mysql"))]
)
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[URL]:
    """Give the address of an empty ledger, on each of the three databases in turn."""
    if request.param == "sqlite":
        yield URL.create("sqlite", database=str(tmp_path / "ledger.db"))
        return
    server = _server(request.param)
    name = f"caixin_{uuid.uuid4().hex}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield server.set(database=name)
    finally:
        force = " WITH (FORCE)" if request.param == "postgresql" else ""
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name}{force}")
        engine.dispose()


@pytest.fixture
def ledger(ledger_url: URL) -> Iterator[Ledger]:
    """Open an empty ledger, on each of the three databases in turn."""
    opened = Ledger(ledger_url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Open an empty embedded ledger."""
    opened = Ledger.sqlite(tmp_path / "ledger.db")
    yield opened
    opened.close()
