"""What a newcomer runs: ``make demo``, fresh, interrupted and resumed, and the form for one message."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.sandbox import SandboxServer
from scripts.throwaway import APP_KEY, Home
from tests.system.live import left_in

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

DEMO = """
import sys
from pathlib import Path
from scripts import demo
sys.exit(demo.main(Path(sys.argv[1]), resume=sys.argv[2] == "resume"))
"""
NEW_BILLS = re.compile(r"New bills in this run: (\d+)\.")
FULL_NUMBER = re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)")


def demo(home: Path, how: str) -> tuple[int, str]:
    """Run a demo to its end, and return its exit status and what it printed."""
    command = [sys.executable, "-c", DEMO, str(home), how]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert APP_KEY not in done.stdout
    assert not FULL_NUMBER.search(done.stdout)
    assert left_in(home) == []
    return done.returncode, done.stdout


def test_demo_and_the_same_campaign_again(tmp_path: Path) -> None:
    """A fresh demo sends, ledger and sandbox agree; resumed, it makes no new bill; another sends again."""
    home = tmp_path / "demo"
    status, text = demo(home, "resume")
    assert (status, text) == (1, "There is no campaign to run again: run `make demo` first.\n")
    for how, expected in (("fresh", 335), ("resume", 0)):
        status, text = demo(home, how)
        assert status == 0, text
        assert "They agree, recipient by recipient" in text
        assert [int(found) for found in NEW_BILLS.findall(text)] == [expected]
    campaign = (home / "report.csv").read_bytes()
    assert campaign.startswith(b"\xef\xbb\xbfmobile,")


def test_demo_interrupted_and_resumed(tmp_path: Path) -> None:
    """Ctrl-C in mid-campaign stops everything; resumed, it sends to those who are left, to nobody twice."""
    home = tmp_path / "demo"
    command = [sys.executable, "-c", DEMO, str(home), "fresh"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "recipients to send" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 130, rest
    assert "Stopped, with all that was started." in rest
    assert left_in(home) == []
    record = (home / "sandbox.jsonl").read_text().splitlines()
    before = sum(json.loads(line).get("billed", False) for line in record)
    assert before < 335
    status, text = demo(home, "resume")
    assert status == 0, text
    assert [int(found) for found in NEW_BILLS.findall(text)] == [335 - before]


def test_one_message_from_the_form(tmp_path: Path) -> None:
    """``caixin_send_one`` fails outside the window and names its opening; inside, it sends one message."""
    opens = "20:00" if datetime.now(CHINA).hour < 12 else "02:00"
    conf = json.dumps({"mobile": "13912349998"})
    with Home(tmp_path / "home") as home, SandboxServer() as sandbox:
        home.migrate()
        for window, status in ((f"{opens}-{opens[:3]}30", 1), ("00:00-24:00", 0)):
            home.connect(sandbox, send_window=window)
            command = home.airflow("dags", "test", "caixin_send_one", "--conf", conf)
            try:
                assert command.process.stdout is not None
                text = command.process.stdout.read().decode()
                assert command.process.wait() == status, text
            finally:
                command.stop()
            if status:
                assert re.search(
                    rf"The send window {window} is closed; it opens \d{{4}}-\d\d-\d\d {opens}\.", text
                )
                assert sandbox.requests() == []
        assert [row["mobile"] for row in sandbox.billed()] == ["13912349998"]
