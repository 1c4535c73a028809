"""The gateway: its templates, its codes, and its refusals."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_caixin.sandbox import SandboxServer

from .conftest import Run


def test_templates_and_codes(run: Run) -> None:
    """The account's templates; codes with text, cause and remedy; a code that the document lacks is told."""
    assert "【晨山书店】" in run("templates").out
    codes = run("codes", "-o", "json").json
    assert {row["code"] for row in codes} >= {0, 10014, 236306}
    assert run("codes", "10008", "-o", "json").json["remedy"].startswith("This host's IP must be added")
    assert run("codes", "4711").status == 4


def test_a_wrong_key(run: Run, connect: Callable[..., None], sandbox: SandboxServer) -> None:
    """The gateway's refusal is a sentence; a connection without a key is wrong usage."""
    connect("refused", host=sandbox.host, port=sandbox.port, schema="http", password="sandbox-10001")
    answer = run("templates", "--conn-id", "refused")
    assert answer.status == 1
    assert "10001" in answer.err
    connect("keyless", password="")
    assert run("templates", "--conn-id", "keyless").status == 2
