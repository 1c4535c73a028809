from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from airflow_provider_caixin.juhe.codes import CODES

if TYPE_CHECKING:
    from airflow_provider_caixin.sandbox import SandboxServer
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


def test_sids_begin_with_the_time_and_differ(caller: Caller, server: SandboxServer) -> None:
    """Each message gets an id of its own, the one that the record has for it."""
    sids = [json.loads(caller.send())["result"]["sid"] for _ in range(20)]
    rows = server.billed()
    assert sids == [row["sid"] for row in rows]
    assert len(set(sids)) == 20
    assert all(int(sid[:8], 16) == int(row["at"]) for sid, row in zip(sids, rows, strict=True))


@pytest.mark.parametrize("path", TEMPLATE_PATHS)
def test_my_templates_lists_the_fields_of_the_document(
    caller: Caller, server: SandboxServer, path: str
) -> None:
    """Each template has the five fields in the document's order, and media under the address that the caller used."""
    envelope = json.loads(caller.post(path, key="made-up-key"))
    assert list(envelope) == ["reason", "result", "error_code"]
    assert (envelope["reason"], envelope["error_code"]) == ("success", 0)
    for template in envelope["result"]:
        assert list(template) == ["tplId", "url", "content", "tpl_state", "created_at"]
        assert re.fullmatch(r"【[^】]+】.+", template["content"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", template["created_at"])
        assert template["url"].startswith(f"{server.url}/media/")
    states = {template["tplId"]: template["tpl_state"] for template in envelope["result"]}
    assert states == {65535: 1, 65536: 1, 65537: 0, 65538: 0, 65539: 1, 65540: 1, 65541: 1}


def test_my_templates_by_get_finds_no_key(caller: Caller) -> None:
    """The document knows this endpoint by POST only, so what a URL says does not count."""
    assert json.loads(caller.ask("GET", "/caixinv2/myTpls?key=made-up-key")[2])["error_code"] == 10001


@pytest.mark.parametrize(
    ("tpl_id", "content_type", "magic"),
    [(65535, "video/mp4", b"ftyp"), (65536, "image/jpeg", b"\xff\xd8\xff")],
)
def test_the_media_of_a_template_can_be_shown(
    caller: Caller, server: SandboxServer, tpl_id: int, content_type: str, magic: bytes
) -> None:
    """The video and the picture come from the sandbox itself, in a type that browsers show."""
    listed = json.loads(caller.post("/caixinv2/myTpls", key="k"))["result"]
    (url,) = (template["url"] for template in listed if template["tplId"] == tpl_id)
    status, headers, body = caller.ask("GET", url.removeprefix(server.url))
    assert (status, headers["content-type"]) == (200, content_type)
    assert magic in body[:16]
    assert len(body) < 60_000


def test_a_video_can_be_asked_for_in_parts(caller: Caller) -> None:
    """Some browsers play a video only from a server that knows ranges."""
    status, headers, body = caller.ask("GET", "/media/sunrise.mp4", headers={"range": "bytes=4-7"})
    assert (status, headers["content-range"].partition("/")[0], body) == (206, "bytes 4-7", b"ftyp")


def test_marketing_templates_tell_how_to_refuse_and_one_does_not(caller: Caller) -> None:
    """All built-in contents end with the opt-out hint but 65539, which is there to be noticed."""
    listed = json.loads(caller.post("/caixinv2/myTpls", key="k"))["result"]
    without = [template["tplId"] for template in listed if not template["content"].endswith("拒收请回复R")]
    assert without == [65539]


def test_a_system_error_has_the_legacy_code_in_front(caller: Caller) -> None:
    """System errors carry resultcode as text, reason, a null result and error_code, in this order."""
    assert caller.send(key="sandbox-10012").decode() == (
        '{"resultcode":"112","reason":"请求超过次数限制","result":null,"error_code":10012}'
    )


def test_a_service_error_has_no_legacy_code(caller: Caller) -> None:
    """Service errors carry reason, a null result and error_code, in this order."""
    assert caller.send("12345").decode() == '{"reason":"手机号错误","result":null,"error_code":236306}'


@pytest.mark.parametrize(
    "key", ["made-up-key", "k", "sandbox", "sandbox-", "sandbox-1", "sandbox-99999", "密钥"]
)
def test_any_other_key_is_accepted(caller: Caller, key: str) -> None:
    """Only magic keys and the empty one are special."""
    assert json.loads(caller.send(key=key))["error_code"] == 0


@pytest.mark.parametrize("code", sorted(set(CODES) - {0}))
def test_every_code_is_reachable_by_a_key(caller: Caller, code: int) -> None:
    """The key sandbox-CODE brings about CODE at both endpoints, with the document's words."""
    for body in (caller.send(key=f"sandbox-{code}"), caller.post("/caixinv2/myTpls", key=f"sandbox-{code}")):
        envelope = json.loads(body)
        assert (envelope["error_code"], envelope["reason"]) == (code, CODES[code].zh)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, 10001),
        ({"key": ""}, 10001),
        ({"key": "", "tplId": "x", "mobile": "x"}, 10001),
        ({"key": "k"}, 236301),
        ({"key": "k", "tplId": "", "mobile": "13912345678"}, 236301),
        ({"key": "k", "tplId": "65535.0", "mobile": "13912345678"}, 236301),
        ({"key": "k", "tplId": "６５５３５", "mobile": "13912345678"}, 236301),
        ({"key": "k", "tplId": "-1", "mobile": "x"}, 236301),
        ({"key": "k", "tplId": "1", "mobile": "x"}, 236302),
        ({"key": "k", "tplId": "9" * 40, "mobile": "x"}, 236301),
        ({"key": "k", "tplId": "65537", "mobile": "x"}, 236303),
        ({"key": "k", "tplId": "65538", "mobile": "x"}, 236303),
        ({"key": "k", "tplId": "65541", "mobile": "x"}, 236304),
        ({"key": "k", "tplId": "65535"}, 236306),
        ({"key": "k", "tplId": "65535", "mobile": ""}, 236306),
        ({"key": "k", "tplId": "65535", "mobile": "12912345678"}, 236306),
        ({"key": "k", "tplId": "65535", "mobile": "1391234567"}, 236306),
        ({"key": "k", "tplId": "65535", "mobile": "139123456789"}, 236306),
        ({"key": "k", "tplId": "65535", "mobile": "+8613912345678"}, 236306),
        ({"key": "k", "tplId": "65535", "mobile": "１３９１２３４５６７８"}, 236306),
        ({"key": "k", "tplId": "65535", "mobile": "13912345678\n"}, 236306),
        ({"key": "sandbox-236309", "tplId": "65535", "mobile": "x"}, 236306),
        ({"key": "sandbox-10008", "tplId": "x", "mobile": "x"}, 10008),
    ],
)
def test_parameters_are_checked_in_order(
    caller: Caller, server: SandboxServer, fields: dict[str, str], code: int
) -> None:
    """The caller is checked before the template, the template before the number; nothing of it is billed."""
    assert json.loads(caller.post("/caixinv2/send", **fields))["error_code"] == code
    state = server.state()
    assert (state["billed"], state["by_code"]) == (0, {str(code): 1})


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
