"""What all tests share: a throw-away Airflow home, ledgers on each database, and no silent skips in CI."""

from __future__ import annotations

import json
import os
import tempfile
import time
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

# Before any import of Airflow: it makes its home when it is imported.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="caixin-airflow-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"

from airflow_provider_caixin.china_time import DAY_SECONDS, china_midnight
from airflow_provider_caixin.ledger import Ledger

if TYPE_CHECKING:
    from tests.system.live import Live

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


@pytest.fixture
def postgresql() -> URL:
    """Return the address of PostgreSQL; skip where there is none."""
    return _server("postgresql")


@pytest.fixture
def mysql() -> URL:
    """Return the address of MariaDB; skip where there is none."""
    return _server("mysql")


@pytest.fixture(autouse=True)
def _not_at_midnight() -> None:
    """Begin no test around China's midnight, where nothing leaves for seconds: some tests do not wait."""
    since = (time.time() - china_midnight(time.time()) + 30.0) % DAY_SECONDS
    if since < 32.5:
        time.sleep(32.5 - since)


@pytest.fixture
def one_china_day() -> None:
    """Let a test of caps begin and end on one day in China, by a wait where midnight is near."""
    left = china_midnight(time.time()) + DAY_SECONDS - time.time()
    if left < 60:
        time.sleep(left + 1)


@pytest.fixture(
    params=["sqlite", *(pytest.param(name, marks=pytest.mark.service) for name in ("postgresql", "mysql"))]
)
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[URL]:
    """Yield the address of an empty ledger, on each of the three databases in turn."""
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


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Run one Airflow, with the example Dags and those of the tests, for all tests that need one."""
    from scripts.throwaway import EXAMPLE_DAGS
    from tests.system.live import tried

    dags = Path(__file__).parent / "system" / "dags"
    with tried("up", tmp_path_factory.mktemp("up"), EXAMPLE_DAGS, dags) as (found, _):
        yield found


def as_connection(url: URL) -> str:
    """Return a ledger's address as the JSON of an Airflow connection."""
    backend = url.get_backend_name()
    kind = {"postgresql": "postgres"}.get(backend, backend)
    fields = {"host": url.host, "port": url.port, "login": url.username, "schema": url.database}
    return json.dumps({"conn_type": kind, **fields})
