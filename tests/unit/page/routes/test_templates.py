"""Templates as the gateway lists them, and what is shown where it does not."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from airflow_provider_caixin.sandbox import SandboxServer
from tests.unit.conftest import Connect
from tests.unit.page.conftest import KEY, Browser


def _unused_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def test_templates_as_the_gateway_lists_them(browser: Callable[..., Browser], sandbox: SandboxServer) -> None:
    """With their text apart from the signature, and only addresses that a browser may load."""
    assert sandbox.port
    answer = browser("op").get("/connections/caixin_default/templates")
    by_id = {one["tpl_id"]: one for one in answer["templates"]}
    video = by_id[65535]
    assert video["available"] is True
    assert video["kind"] in ("video", "picture")
    assert video["url"].startswith("http://127.0.0.1:")
    assert video["content"].startswith(f"【{video['signature']}】")
    assert video["text"]
    assert "【" not in video["text"]
    assert isinstance(video["created_at"], float)
    assert any(not one["available"] for one in answer["templates"])


def test_a_gateway_that_refuses_says_nothing_or_says_no(
    browser: Callable[..., Browser], connect: Connect, sandbox: SandboxServer, silent: int
) -> None:
    """Within seconds, with the gateway's own words where it had any."""
    op = browser("op")
    connect("away", host="127.0.0.1", port=_unused_port(), schema="http")
    connect("mute", host="127.0.0.1", port=silent, schema="http", extra={"timeout": 0.5})
    for conn_id in ("away", "mute"):
        began = time.monotonic()
        answer = op.get(f"/connections/{conn_id}/templates", 504)
        assert (answer["kind"], time.monotonic() - began < 30) == ("gateway", True)
    sandbox.configure(maintenance=True)
    answer = op.get("/connections/caixin_default/templates", 502)
    assert answer["kind"] == "gateway"
    assert KEY not in str(op.answers)
