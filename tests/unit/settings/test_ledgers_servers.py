"""Ledgers on servers of their own: what they forget, whom they let in, and who signed for them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from airflow.providers.common.compat.sdk import AirflowFailException
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from airflow_provider_caixin.ledger import Ledger, LedgerError, LedgerUnavailable
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.settings.ledgers import open_ledger
from tests.conftest import as_connection
from tests.faults.databases import MariaDB, Missing, Postgres, Server
from tests.unit.juhe.conftest import Certificates, certificates

pytestmark = [pytest.mark.service, pytest.mark.xdist_group("ledger servers")]

__all__ = ["certificates"]

PASSWORDS = ["пароль", "密码😀", "grün", "p/:@%25 +#?'\"\\"]


class Locked(Postgres):
    """A cluster with TLS that may lose what it has, and asks everybody but its owner for a password."""

    def __init__(self, signed: Certificates) -> None:
        super().__init__()
        pem = copied(self, signed)
        self.settings |= {"fsync": "off", "ssl": "on", "ssl_cert_file": pem, "ssl_key_file": pem}

    def _make(self) -> None:
        super()._make()
        rules = self.folder / "data" / "pg_hba.conf"
        rules.write_text("host all caixin 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n")


class Tls(MariaDB):
    """A MariaDB with TLS."""

    def __init__(self, signed: Certificates) -> None:
        super().__init__()
        pem = copied(self, signed)
        self.settings |= {"ssl-cert": pem, "ssl-key": pem}


def copied(server: Server, signed: Certificates) -> str:
    """Copy a server's certificate and key to where it may read them, and nobody else."""
    pem = Path(shutil.copy(signed.folder / "server.pem", server.folder))
    pem.chmod(0o600)
    owner = server.folder.stat()
    os.chown(pem, owner.st_uid, owner.st_gid)
    return str(pem)


def running(server: Server) -> Iterator[Server]:
    """Run a server; skip where this machine lacks it."""
    with server:
        yield server


@pytest.fixture(scope="module")
def postgres(certificates: Certificates) -> Iterator[Server]:
    """Run a PostgreSQL cluster."""
    try:
        server = Locked(certificates)
    except Missing as missing:
        pytest.skip(str(missing))
    yield from running(server)


@pytest.fixture(scope="module")
def mariadb(certificates: Certificates) -> Iterator[Server]:
    """Run a MariaDB server."""
    try:
        server = Tls(certificates)
    except Missing as missing:
        pytest.skip(str(missing))
    yield from running(server)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Open a server's ledger through an Airflow connection: ``opened(server, extra, **fields)``."""
    ledgers: list[Ledger] = []

    def define(server: Server, extra: dict[str, Any] | None = None, **fields: Any) -> Ledger:
        connection = {**json.loads(as_connection(server.url)), "extra": extra or {}, **fields}
        monkeypatch.setenv("AIRFLOW_CONN_LED", json.dumps(connection))
        ledgers.append(open_ledger("led"))
        return ledgers[-1]

    yield define
    for one in ledgers:
        one.close()


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a ledger be unsafe."""
    monkeypatch.setenv("AIRFLOW__CAIXIN__ALLOW_UNSAFE_LEDGER", "True")


def user(connection: sa.Connection) -> str:
    """Return who is connected."""
    return str(connection.exec_driver_sql("SELECT CURRENT_USER").scalar_one()).partition("@")[0]


def test_a_postgresql_that_forgets(
    postgres: Server, opened: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is refused before there are tables; whoever may lose the ledger says so, and is warned."""
    with pytest.raises(LedgerError, match=r"fsync = off.*billed twice.*ALLOW_UNSAFE_LEDGER") as caught:
        opened(postgres)
    assert not isinstance(caught.value, LedgerUnavailable)
    assert postgres.ask("SELECT * FROM pg_tables WHERE tablename LIKE 'caixin%%'") == []
    monkeypatch.setenv("AIRFLOW__CAIXIN__ALLOW_UNSAFE_LEDGER", "True")
    opened(postgres)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"][:1]
    assert "fsync = off" in warning


@pytest.mark.parametrize("value", [0, 2])
def test_a_mariadb_that_forgets(
    mariadb: Server, opened: Any, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused at the opening, and also when somebody sets it while a ledger is in use."""
    ledger = opened(mariadb)
    mariadb.ask(f"SET GLOBAL innodb_flush_log_at_trx_commit = {value}")
    try:
        with pytest.raises(LedgerUnavailable, match=f"trx_commit = {value}"), ledger.writing():
            pass
        with pytest.raises(LedgerError, match=f"trx_commit = {value}.*billed twice") as caught:
            opened(mariadb)
        assert not isinstance(caught.value, LedgerUnavailable)
        monkeypatch.setenv("AIRFLOW__CAIXIN__ALLOW_UNSAFE_LEDGER", "True")
        opened(mariadb)
    finally:
        mariadb.ask("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    with ledger.writing() as connection:
        account_names.find_account(ledger, connection, "account")


def test_a_campaign_on_a_mariadb_that_forgets(
    mariadb: Server, to_sandbox: Any, sandbox: SandboxServer, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent, and no retry is made of it; allowed, it is sent."""
    monkeypatch.setenv("AIRFLOW_CONN_LED", as_connection(mariadb.url))
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    to_sandbox(ledger_conn_id="led")
    send: dict[str, Any] = {"task_id": "send", "tpl_id": 65535, "mobiles": ["13912340001", "13912340002"]}
    mariadb.ask("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    try:
        with pytest.raises(AirflowFailException, match="trx_commit = 2"):
            CaixinSendOperator(**send).execute(context)
        assert sandbox.requests() == []
        monkeypatch.setenv("AIRFLOW__CAIXIN__ALLOW_UNSAFE_LEDGER", "True")
        assert CaixinSendOperator(**send).execute(context)["sent"] == 2
    finally:
        mariadb.ask("SET GLOBAL innodb_flush_log_at_trx_commit = 1")


def test_a_mariadb_that_only_reads(mariadb: Server, opened: Any) -> None:
    """Also for a user whom the server would let write: what that user writes is on no other server."""
    ledger = opened(mariadb)
    mariadb.ask("SET GLOBAL read_only = 1")
    try:
        with pytest.raises(LedgerUnavailable, match="read_only is 1"), ledger.writing():
            pass
        with pytest.raises(LedgerUnavailable, match="read_only is 1"):
            opened(mariadb)
    finally:
        mariadb.ask("SET GLOBAL read_only = 0")
    with ledger.writing() as connection:
        account_names.find_account(ledger, connection, "account")


@pytest.mark.usefixtures("allowed")
def test_any_password_works(postgres: Server, mariadb: Server, opened: Any) -> None:
    """Also beyond Latin-1, and with whatever a URL would have to quote."""
    for number, password in enumerate(PASSWORDS):
        name = f"locked{number}用户"
        quoted = password.replace("\\", "\\\\").replace("'", "''").replace("%", "%%")
        mariadb.ask(f"CREATE USER `{name}` IDENTIFIED BY '{quoted}'")
        mariadb.ask(f"GRANT ALL ON ledger.* TO `{name}`")
        with opened(mariadb, login=name, password=password).reading() as connection:
            assert user(connection) == name
        wrong = {"login": name, "password": password + "x"}
        with pytest.raises(LedgerUnavailable, match="Access denied"):
            opened(mariadb, **wrong)
        quoted = password.replace("'", "''").replace("%", "%%")
        postgres.ask(f"CREATE USER \"{name}\" SUPERUSER PASSWORD '{quoted}'")
        with opened(postgres, login=name, password=password).reading() as connection:
            assert user(connection) == name
        with pytest.raises(LedgerUnavailable, match="password authentication failed"):
            opened(postgres, **wrong)


@pytest.mark.usefixtures("allowed")
def test_who_signed_for_postgresql(postgres: Server, opened: Any, certificates: Certificates) -> None:
    """What libpq takes is passed on."""
    extra = {"sslmode": "verify-full", "sslrootcert": str(certificates.ca)}
    with opened(postgres, extra).reading() as connection:
        tls = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        assert connection.exec_driver_sql(tls).scalar_one() is True
    with pytest.raises(LedgerUnavailable, match="certificate verify failed"):
        opened(postgres, {**extra, "sslrootcert": DEFAULT_CA_BUNDLE_PATH})


@pytest.mark.parametrize(
    "names",
    [
        {"ssl": {"ca": "{}"}},
        {"ssl": '{"ca": "{}"}'},
        {"ssl_ca": "{}"},
        {"ssl_mode": "VERIFY_CA", "ssl_ca": "{}"},
    ],
)
def test_who_signed_for_mariadb(
    mariadb: Server, opened: Any, certificates: Certificates, names: dict[str, Any]
) -> None:
    """A CA that did not sign is refused, under each of the names that a CA has."""

    def extra(ca: str) -> dict[str, Any]:
        return json.loads(json.dumps(names).replace("{}", ca))  # type: ignore[no-any-return]

    with opened(mariadb, extra(str(certificates.ca))).reading() as connection:
        assert connection.exec_driver_sql("SHOW STATUS LIKE 'Ssl_cipher'").one()[1]
    with pytest.raises(LedgerUnavailable, match="certificate verify failed"):
        opened(mariadb, extra(DEFAULT_CA_BUNDLE_PATH))


def test_whose_name_the_certificate_has(mariadb: Server, opened: Any, certificates: Certificates) -> None:
    """The host's, unless the extra says that it need not be."""
    extra = {"ssl_ca": str(certificates.ca)}
    with pytest.raises(LedgerUnavailable, match="Hostname mismatch"):
        opened(mariadb, extra, host="localhost")
    for more in ({"ssl_verify_identity": False}, {"ssl_mode": "VERIFY_CA"}, {"ssl_check_hostname": "false"}):
        opened(mariadb, {**extra, **more}, host="localhost")


@pytest.mark.usefixtures("allowed")
def test_a_schema_of_its_own(postgres: Server, opened: Any) -> None:
    """``options`` is kept: the tables are where search_path says."""
    postgres.ask("CREATE SCHEMA elsewhere")
    opened(postgres, {"options": "-c search_path=elsewhere", "application_name": "caixin"})
    found = postgres.ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'elsewhere'")
    assert found[0][0] > 5  # type: ignore[operator]
