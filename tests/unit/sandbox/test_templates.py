from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from airflow_provider_caixin.sandbox import SandboxServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sandbox.conftest import Caller


TEMPLATE_PATHS = ("/caixinv2/myTpls", "/caixinv2/myTpls.php")


@pytest.mark.parametrize("path", TEMPLATE_PATHS)
def test_my_templates_lists_the_fields_of_the_document(
    caller: Caller, server: SandboxServer, path: str
) -> None:
    """Each template has five fields in the document's order, and media under the caller's address."""
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


def test_marketing_templates_tell_how_to_refuse_and_one_does_not(caller: Caller) -> None:
    """All built-in contents end with the opt-out hint but 65539, which is there to be noticed."""
    listed = json.loads(caller.post("/caixinv2/myTpls", key="k"))["result"]
    without = [template["tplId"] for template in listed if not template["content"].endswith("拒收请回复R")]
    assert without == [65539]


def test_a_template_becomes_available_on_request(caller: Caller, server: SandboxServer) -> None:
    """65538 waits for its review: refused, then listed as available and accepted, then refused again."""
    assert json.loads(caller.send(tpl_id=65538))["error_code"] == 236303
    server.set_template(65538, available=True)
    listed = {
        item["tplId"]: item["tpl_state"]
        for item in json.loads(caller.post("/caixinv2/myTpls", key="k"))["result"]
    }
    assert (listed[65538], listed[65537]) == (1, 0)
    assert json.loads(caller.send(tpl_id=65538))["error_code"] == 0
    server.set_template(65538, available=False)
    assert json.loads(caller.send(tpl_id=65538))["error_code"] == 236303


def test_a_template_becomes_available_after_a_time(
    server: SandboxServer, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    """``available_in`` is in seconds from now; long ones are not over yet."""

    def state() -> object:
        return next(item["tpl_state"] for item in server.state()["templates"] if item["tplId"] == 65538)

    server.set_template(65538, available_in=1000)
    assert state() == 0
    server.set_template(65538, available_in=0.05)
    eventually(lambda: state() == 1)


def test_a_template_can_become_available_after_the_start(caller: Caller) -> None:
    """``available_after`` is for demos of the template sensor."""
    with SandboxServer(available_after=0) as server:
        answer = type(caller)(server).send(tpl_id=65538)
    assert json.loads(answer)["error_code"] == 0


def test_another_template_cannot_be_changed(server: SandboxServer) -> None:
    """An id without a template is refused with a sentence."""
    with pytest.raises(ValueError, match="tpl_id 1: not one of the sandbox's templates"):
        server.set_template(1, available=True)
