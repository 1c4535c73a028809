"""Campaigns: listed, reported, paused, retried, cancelled."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from airflow_provider_caixin.sandbox import SandboxServer

from .conftest import REJECTED, C, Run


def test_campaigns_and_one_of_them(run: Run, sent: str) -> None:
    """Searched, by status, page by page; one with its reasons and codes."""
    run("send", "--tpl-id", "65536", C, "--campaign-id", "second", "-y")
    assert [row["campaign_id"] for row in run("campaigns", "-o", "json").json] == ["second", "c"]
    page = run("campaigns", "--most", "1", "-o", "json")
    assert [row["campaign_id"] for row in page.json] == ["second"]
    assert f"--before {page.json[0]['key']}" in page.err
    rest = run("campaigns", "--before", str(page.json[0]["key"]), "-o", "json")
    assert [row["campaign_id"] for row in rest.json] == ["c"]
    assert [row["campaign_id"] for row in run("campaigns", "65536", "-o", "json").json] == ["second"]
    assert run("campaigns", "--status", "running").status == 4
    shown = run("campaign", "show", sent, "-o", "json").json
    assert (shown["status"], shown["total"], shown["rejected"]) == ("done", 7, {"236306": 1})
    assert shown["skipped"] == {"duplicate": 1, "invalid_number": 1, "not_china_mobile": 1}
    table = run("campaign", "show", sent).out
    assert re.search(r"rejected: 236306 手机号错误 +\| 1", table)


def test_a_report_is_the_next_audience(run: Run, sent: str, tmp_path: Path, sandbox: SandboxServer) -> None:
    """Rejected recipients, written by state and by code, are sent another template in their own campaign."""
    for n, chosen in enumerate((["--state", "rejected"], ["--reason", "236306"])):
        report = tmp_path / f"rest{n}.csv"
        answer = run("campaign", "report", sent, *chosen, "--file", str(report))
        assert answer.status == 0
        assert "1 recipients are in" in answer.err
        dry = run("send", "--tpl-id", "65536", str(report), "--dry-run", "-o", "json")
        assert (dry.json["total"], dry.json["would_send"]) == (1, 1)
    sandbox.reset()
    again = run("send", "--tpl-id", "65536", str(report), "-y", "-o", "json")
    assert again.json["rejected"] == {"236306": 1}
    assert [row["mobile"] for row in sandbox.requests()] == [REJECTED]
    assert run("campaign", "report", sent, "--state", "pending").status == 4


def test_the_report_on_stdout(run: Run, sent: str) -> None:
    """In the audience's order, for a pipe."""
    rows = list(csv.reader(run("campaign", "report", sent, full=True).out.splitlines()))
    assert rows[0] == ["mobile", "state", "reason", "error_code", "sid", "sent_at"]
    assert [row[1] for row in rows[1:]] == [
        "sent",
        "sent",
        "skipped",
        "rejected",
        "unknown",
        "skipped",
        "skipped",
    ]


def test_retry_pause_resume_cancel(run: Run, sent: str, sandbox: SandboxServer, audience: Path) -> None:
    """What is done can run again; it can be paused (which stops the command), resumed, cancelled for good."""
    assert run("campaign", "pause", sent).status == 0
    assert run("campaign", "resume", sent).status == 0
    assert run("campaign", "retry", sent, "--code", "10012").status == 4
    assert "1 recipients are pending again" in run("campaign", "retry", sent, "--code", "236306").err
    assert run("campaign", "pause", sent).status == 0
    before = len(sandbox.requests())
    again = ("send", "--tpl-id", "65535", str(audience), "--campaign-id", sent, "-y", "-o", "json")
    paused = run(*again)
    assert paused.status == 1
    assert "Campaign 'c' is paused." in paused.err
    assert run("campaigns", "--status", "paused", "-o", "json").json[0]["left"] == 1
    assert run("campaign", "resume", sent).status == 0
    assert len(sandbox.requests()) == before
    run(*again)
    assert len(sandbox.requests()) == before + 1
    run("campaign", "retry", sent, "--code", "236306")
    assert run("campaign", "cancel", sent).status == 5
    assert run("campaign", "cancel", sent, "-y").status == 0
    assert run(*again).status == 1
    assert len(sandbox.requests()) == before + 1
    assert run("campaign", "retry", sent, "--code", "236306").status == 1
    assert run("campaign", "show", "nope").status == 2
