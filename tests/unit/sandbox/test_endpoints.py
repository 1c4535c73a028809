from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING

import pytest

from airflow_provider_caixin.sandbox import SandboxServer, magic_mobile

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sandbox.conftest import Caller


PATHS = ("/caixinv2/send", "/caixinv2/send.php")
TEMPLATE_PATHS = ("/caixinv2/myTpls", "/caixinv2/myTpls.php")
ACCEPTED = re.compile(rb'\{"reason":"success","result":\{"sid":"[0-9a-f]{25}"\},"error_code":0\}')
QUERY = "key=made-up-key&tplId=65535&mobile=13912345678"


@pytest.mark.parametrize("path", PATHS)
def test_a_send_by_post_is_answered_with_the_bytes_of_the_document(caller: Caller, path: str) -> None:
    """An accepted message has reason, result.sid and error_code, in this order, and nothing else."""
    assert ACCEPTED.fullmatch(caller.post(path, key="made-up-key", tplId=65535, mobile="13912345678"))


@pytest.mark.parametrize("path", PATHS)
def test_a_send_by_get_is_accepted_and_noted(caller: Caller, server: SandboxServer, path: str) -> None:
    """The document allows GET; the state tells that it was used and that the key was in the URL."""
    status, headers, body = caller.ask("GET", f"{path}?{QUERY}")
    assert (status, headers["content-type"]) == (200, "application/json;charset=utf-8")
    assert ACCEPTED.fullmatch(body)
    state = server.state()
    assert (state["by_get"], state["key_in_url"]) == (1, 1)


def test_a_send_by_post_with_the_key_in_the_body_is_not_noted(caller: Caller, server: SandboxServer) -> None:
    """What a careful client does leaves no mark."""
    caller.send()
    state = server.state()
    assert (state["by_get"], state["key_in_url"]) == (0, 0)


def test_my_templates_by_get_finds_no_key(caller: Caller) -> None:
    """The document knows this endpoint by POST only, so what a URL says does not count."""
    assert json.loads(caller.ask("GET", "/caixinv2/myTpls?key=made-up-key")[2])["error_code"] == 10001


def test_a_video_can_be_asked_for_in_parts(caller: Caller) -> None:
    """Some browsers play a video only from a server that knows ranges."""
    status, headers, body = caller.ask("GET", "/media/sunrise.mp4", headers={"range": "bytes=4-7"})
    assert (status, headers["content-range"].partition("/")[0], body) == (206, "bytes 4-7", b"ftyp")


def test_the_body_goes_before_the_url(caller: Caller, server: SandboxServer) -> None:
    """A form and a query may be mixed; of a field in both the form's value counts."""
    headers = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}
    body = caller.ask("POST", "/caixinv2/send?mobile=1&tplId=65536", "mobile=13912345678&key=k", headers)[2]
    assert ACCEPTED.fullmatch(body)
    (row,) = server.billed()
    assert (row["tpl_id"], row["mobile"]) == ("65536", "13912345678")


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", None])
def test_a_body_that_is_no_form_has_no_fields(caller: Caller, content_type: str | None) -> None:
    """The document demands application/x-www-form-urlencoded: without it no key is found."""
    headers = {} if content_type is None else {"content-type": content_type}
    assert json.loads(caller.ask("POST", "/caixinv2/send", QUERY.encode(), headers)[2])["error_code"] == 10001


def test_bytes_that_are_not_utf_8_are_answered(caller: Caller) -> None:
    """Garbage gets an envelope like everything else."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    body = caller.ask("POST", "/caixinv2/send", b"key=%ff\xff&tplId=65535&mobile=%00", headers)[2]
    assert json.loads(body)["error_code"] == 236306


@pytest.mark.parametrize("path", [*PATHS, *TEMPLATE_PATHS])
def test_other_methods_and_long_bodies_get_the_web_servers_own_page(caller: Caller, path: str) -> None:
    """What never reaches a real gateway's code is answered by its web server, without an envelope."""
    assert caller.ask("DELETE", path)[0] == 405
    assert caller.ask("POST", path, b"x" * 100_000)[0] == 413


@pytest.mark.parametrize(
    "path", ["/caixinv2/Send", "/caixinv2/send/", "/caixinv2", "/media/../server.py", "/elsewhere"]
)
def test_other_paths_are_not_found(caller: Caller, path: str) -> None:
    """A wrong path or path_suffix is HTTP 404."""
    assert caller.ask("POST", path)[0] in {404, 405}
    assert caller.ask("GET", path)[0] == 404


FORM_TYPE = "application/x-www-form-urlencoded"


def _open(server: SandboxServer, mobile: str) -> socket.socket:
    connection = socket.create_connection((server.host, server.port), timeout=30)
    form = f"key=k&tplId=65535&mobile={mobile}".encode()
    head = f"POST /caixinv2/send HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM_TYPE}\r\nContent-Length: {len(form)}\r\n\r\n"
    connection.sendall(head.encode() + form)
    return connection


def test_two_sends_for_one_number_at_once_are_counted(
    server: SandboxServer, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    """A second send for a number that is in the air is a client's mistake; one after the other is not."""
    server.configure(stall_seconds=60)
    stalled = magic_mobile(99001)
    with _open(server, stalled):
        eventually(lambda: server.state()["in_air"] == 1)
        with _open(server, magic_mobile(99002)):
            eventually(lambda: server.state()["in_air"] == 2)
            assert server.state()["overlapping"] == 0
            with _open(server, stalled):
                eventually(lambda: server.state()["in_air"] == 3)
                assert server.state()["overlapping"] == 1
    eventually(lambda: server.state()["in_air"] == 0)
    with _open(server, stalled):
        eventually(lambda: server.state()["in_air"] == 1)
        assert server.state()["overlapping"] == 1


def test_an_answer_that_nobody_waits_for_is_lost(
    server: SandboxServer, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    """A caller that dies during the latency has been billed, and the record says that it does not know."""
    server.configure(latency_ms=[500, 500])
    _open(server, "13912345678").close()
    eventually(lambda: bool(server.state()["lost"] == 1))
    (row,) = server.billed()
    assert (row["lost"], row["code"]) == (True, 0)


def test_half_a_request_is_none(caller: Caller, server: SandboxServer) -> None:
    """A caller that dies while it writes has sent nothing, even if what arrived would do."""
    form = b"key=k&tplId=65535&mobile=13912345678"
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        head = f"POST /caixinv2/send HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM_TYPE}\r\nContent-Length: 99\r\n\r\n"
        connection.sendall(head.encode() + form)
    caller.send("13900000001")
    assert [row["mobile"] for row in server.requests()] == ["13900000001"]
