"""The page as Airflow's own api-server serves it: roles, Dags, a ledger with a past, and a gateway."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.api_fastapi.app import create_app, get_auth_manager
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.log import Log
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from fastapi import FastAPI
from fastapi.testclient import TestClient

from airflow_provider_caixin.china_time import china_midnight
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.page import connections, ledgers, tallies
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.vocabulary import State
from tests.unit.conftest import Connect
from tests.unit.ledger.conftest import Past

KEY = "unit-test-app-key-of-the-page"
A, B, C, D = "13912345678", "13912345679", "13912345680", "13912345681"
HOSTILE = '=cmd|"<img src=x onerror=alert(1)>"/../?a=1#b 中文'
#: Whose Dags a user named "narrow" may neither see nor edit.
HIDDEN = "hidden"

API = "/caixin/api"


class Browser:
    """A signed-in browser that has the page open, or a program with a token.

    :param app: Airflow's app.
    :param role: the user's role; None: nobody is signed in.
    :param name: the user's name.
    """

    def __init__(self, app: FastAPI, role: str | None, name: str = "somebody") -> None:
        self.client = TestClient(app, base_url="http://airflow.test", raise_server_exceptions=False)
        self.answers: list[str] = []
        if role is not None:
            user = SimpleAuthManagerUser(username=name, role=role)
            self.client.cookies.set("_token", get_auth_manager().generate_jwt(user))

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a request as the page does; headers with ``_`` for ``-``, an empty one is left out."""
        given = {"sec_fetch_site": "same-origin", "origin": "http://airflow.test"} if method == "POST" else {}
        sent = {name.replace("_", "-"): value for name, value in {**given, **headers}.items() if value}
        if body is not None:
            sent.setdefault("content-type", "application/json")
        content = None if body is None else json.dumps(body)
        answer = self.client.request(method, API + path, content=content, headers=sent)
        self.answers.append(answer.text)
        return answer

    def get(self, path: str, status: int = 200) -> Any:
        """Get what a route has, and see that it answers with a status."""
        answer = self.ask("GET", path)
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, path: str, body: Any, status: int = 200) -> Any:
        """Post to a route, and see that it answers with a status."""
        answer = self.ask("POST", path, body)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture(scope="session")
def app() -> Iterator[FastAPI]:
    """Make Airflow's app with the plugin in it, on a database with two Dags."""
    initdb()
    with create_session() as session:
        session.add(DagBundleModel(name="bundle"))
        session.flush()
        for name in ("dag", HIDDEN):
            session.add(DagModel(dag_id=name, bundle_name="bundle"))  # type: ignore[no-untyped-call]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "a secret of the tests alone " * 3)
        yield create_app("all")


@pytest.fixture(autouse=True)
def _memory(_home: None) -> Iterator[None]:
    """Leave nothing of another test's in the page's memory."""
    connections.forget()
    tallies.forget()
    yield
    ledgers.close()


@pytest.fixture(autouse=True)
def _by_dag(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Airflow keep a user from a Dag, which its simple auth manager cannot."""
    allowed = SimpleAuthManager.is_authorized_dag

    def is_authorized(self: SimpleAuthManager, *, details: Any = None, user: Any, **asked: Any) -> bool:
        if details is not None and details.id == HIDDEN and user.username == "narrow":
            return False
        return allowed(self, details=details, user=user, **asked)

    monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", is_authorized)


@pytest.fixture
def browser(app: FastAPI) -> Callable[..., Browser]:
    """Open a browser: ``browser(role, name)``."""
    return lambda role, name="somebody": Browser(app, role, name)


@pytest.fixture
def connect(connect: Connect) -> Connect:
    """Define a connection: ``connect(conn_id, extra={...}, **fields)``."""

    def define(conn_id: str = "caixin_default", **fields: Any) -> None:
        connect(conn_id, **{"password": KEY, **fields})
        connections.forget()

    return define


@pytest.fixture
def sandbox(sandbox: SandboxServer, connect: Connect) -> SandboxServer:
    """Return a sandbox that has seen nothing yet, and the default connection to it."""
    connect(
        host=sandbox.host,
        port=sandbox.port,
        schema="http",
        extra={"account": "account", "max_per_day": 1000, "messages_per_second": 50},
    )
    return sandbox


@pytest.fixture
def home_ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Open the embedded ledger, where the page will find it."""
    opened = Ledger.sqlite(tmp_path / "caixin_ledger.db")
    yield opened
    opened.close()


class Told:
    """A past as the tests of the page tell it, with keys by campaign id.

    :param ledger: where.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.past = Past(ledger)
        with ledger.reading() as connection:
            self.now = ledger.now(connection)
        # Today, also soon after midnight in China: a day's count is what some tests look at.
        self.sent_at = max(self.now - 120, china_midnight(self.now))
        self.keys = {
            HOSTILE: self.past.campaign(HOSTILE, A, B, C, D, D, skipped={"nobody": "invalid_number"}),
            "theirs": self.past.campaign("theirs", A, dag=HIDDEN, tpl_id=65536),
            "by hand": self.past.campaign("by hand", A, B, dag=None),
            "of old": self.past.campaign("of old", A, dag="deleted", account="other"),
        }
        outcomes = {A: State.SENT, B: State.REJECTED, C: State.UNKNOWN}
        self.past.sent(self.keys[HOSTILE], outcomes, self.sent_at)
        for name in ("theirs", "by hand", "of old"):
            self.past.sent(self.keys[name], {A: State.SENT}, self.sent_at)


@pytest.fixture
def told(home_ledger: Ledger) -> Told:
    """Write the past in the embedded ledger."""
    return Told(home_ledger)


@pytest.fixture
def audited() -> Callable[[], list[tuple[str, str, str]]]:
    """Read what Airflow's audit log has got since: event, owner, extra."""
    with create_session() as session:
        before = session.query(Log).count()

    def read() -> list[tuple[str, str, str]]:
        with create_session() as session:
            rows = session.query(Log).order_by(Log.id).offset(before).all()
            return [(str(row.event), str(row.owner), str(row.extra)) for row in rows]

    return read


@pytest.fixture
def silent() -> Iterator[int]:
    """Listen on a port, take connections and say nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield listener.getsockname()[1]
