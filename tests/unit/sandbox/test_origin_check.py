from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airflow_provider_caixin.sandbox import SandboxServer

if TYPE_CHECKING:
    from tests.unit.sandbox.conftest import Caller


JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://stranger.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["reset", "settings", "templates/65535"])
def test_another_sites_page_changes_nothing(
    caller: Caller, server: SandboxServer, headers: dict[str, str], path: str
) -> None:
    """What only a browser says of a page is believed: the sandbox has no password that would tell."""
    caller.send()
    before = server.state()
    status, _, body = caller.ask("POST", f"/_sandbox/{path}", "{}", {**JSON, **headers})
    assert (status, "pages of other sites may not change the sandbox" in json.loads(body)["detail"]) == (
        403,
        True,
    )
    assert server.state() == before


def test_its_own_page_and_programs_change_things(caller: Caller, server: SandboxServer) -> None:
    """The inbox names its own origin; curl names none, and needs no type for a reset."""
    own = {"origin": server.url, "sec-fetch-site": "same-origin"}
    assert caller.ask("POST", "/_sandbox/settings", '{"quota": 3}', {**JSON, **own})[0] == 200
    assert server.state()["settings"]["quota"] == 3
    assert caller.ask("POST", "/_sandbox/reset")[0] == 200
    assert server.state()["settings"]["quota"] is None


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("stranger.example", 421),
        ("127.0.0.1.stranger.example:8088", 421),
        ("[::1", 421),
        ("localhost:8088", 200),
        ("127.0.0.1", 200),
        ("[::1]:8088", 200),
        ("sandbox:8088", 200),
        ("host.docker.internal:8088", 200),
    ],
)
def test_a_strangers_name_for_this_machine_is_refused(caller: Caller, host: str, status: int) -> None:
    """A stranger's name that resolves to 127.0.0.1 would make his page the sandbox's own to a browser."""
    assert caller.ask("GET", "/_sandbox/state", headers={"host": host})[0] == status
    assert caller.ask("GET", "/", headers={"host": host})[0] == status


def test_a_gateway_has_any_name(caller: Caller) -> None:
    """The gateway's own paths answer under whatever name a connection uses."""
    answer = caller.ask("POST", "/caixinv2/myTpls", "key=k", {"host": "v.juhe.cn", **FORM})
    assert json.loads(answer[2])["error_code"] == 0
