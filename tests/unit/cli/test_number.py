"""One number: every message to it."""

from __future__ import annotations

from .conftest import A, C, Run


def test_a_number(run: Run, sent: str) -> None:
    """Every message with its sid and campaign, in any spelling of the number."""
    shown = run("number", "show", "+86 139-1234-0001", "-o", "json", full=True).json
    assert (shown["number"], shown["suppressed"]) == (A, False)
    [message] = shown["messages"]
    assert (message["campaign_id"], message["state"], message["tpl_id"]) == (sent, "sent", 65535)
    assert message["sid"] in run("number", "show", A, full=True).out
    assert run("number", "show", C, full=True).status == 4
    assert run("number", "show", "12345").status == 2
