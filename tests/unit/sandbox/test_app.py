from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airflow_provider_caixin.sandbox import SandboxServer

if TYPE_CHECKING:
    from tests.unit.sandbox.conftest import Caller


def test_a_reset_forgets_sends_settings_and_templates(caller: Caller, server: SandboxServer) -> None:
    """After it the sandbox is as it was at its start, with the settings of its start."""
    fresh = server.state()
    server.configure(quota=7, latency_ms=[1, 2])
    server.set_template(65537, available=True)
    caller.send()
    caller.post("/caixinv2/myTpls", key="k")
    assert server.state() != fresh
    server.reset()
    assert server.state() == fresh
    assert fresh["settings"]["stall_seconds"] == 0.2


def test_sends_can_be_paged(caller: Caller, server: SandboxServer) -> None:
    """Requests and billed come in pages and as a whole; the AppKey is in none of them."""
    for number in range(6):
        caller.send(f"139{number:08d}" if number % 2 else "12345")
    everything, billed = server.requests(), server.billed()
    assert [row["n"] for row in everything] == [0, 1, 2, 3, 4, 5]
    assert [row["n"] for row in billed] == [1, 3, 5]
    assert json.loads(caller.ask("GET", "/_sandbox/requests?offset=2&limit=3")[2]) == everything[2:5]
    assert json.loads(caller.ask("GET", "/_sandbox/billed?offset=1&limit=1")[2]) == billed[1:2]
    assert json.loads(caller.ask("GET", "/_sandbox/requests?offset=6")[2]) == []
    assert caller.ask("GET", "/_sandbox/requests?limit=0")[0] == 422
    assert "made-up-key" not in json.dumps([everything, server.state()])
    assert {row["key"] for row in everything} == {"1f0991ebdd753c9e"}


def test_no_page_of_the_framework_is_open(caller: Caller) -> None:
    """FastAPI's documentation would load script from another host; the routes' description is there."""
    assert [caller.ask("GET", path)[0] for path in ("/docs", "/redoc")] == [404, 404]
    assert "/_sandbox/state" in json.loads(caller.ask("GET", "/_sandbox/openapi.json")[2])["paths"]
