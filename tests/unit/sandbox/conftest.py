from __future__ import annotations

import http.client
import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from airflow_provider_caixin.sandbox import SandboxServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FORM = {"content-type": "application/x-www-form-urlencoded"}


class Caller:
    """A client that knows nothing of the gateway but its address: what it gets is what was on the wire."""

    def __init__(self, server: SandboxServer) -> None:
        self.server = server

    def ask(
        self, method: str, path: str, body: str | bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers (names in lower case) and body of one request on a connection of its own."""
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return (
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )
        finally:
            connection.close()

    def post(self, path: str, **fields: object) -> bytes:
        """Return the body that a form is answered with."""
        return self.ask("POST", path, urlencode(fields), FORM)[2]

    def send(self, mobile: str = "13912345678", *, key: str = "made-up-key", tpl_id: object = 65535) -> bytes:
        """Return the body that one send is answered with."""
        return self.post("/caixinv2/send", key=key, tplId=tpl_id, mobile=mobile)


@pytest.fixture(scope="module")
def _server() -> Iterator[SandboxServer]:
    with SandboxServer(stall_seconds=0.2, slow_seconds=0.001) as server:
        yield server


@pytest.fixture
def server(_server: SandboxServer) -> SandboxServer:
    """Return a sandbox as it is after its start."""
    _server.reset()
    return _server


@pytest.fixture
def caller(server: SandboxServer) -> Caller:
    """Return a client of that sandbox."""
    return Caller(server)


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Return a function that waits until something has become true, and fails when it does not."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, "it did not become true within 30 s"
            time.sleep(0.01)

    return wait
