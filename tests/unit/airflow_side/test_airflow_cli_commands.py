"""Each command on a real ledger and a real sandbox."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.audience import FileAudience
from airflow_provider_caixin.campaign import Campaign, StoppedInSilence
from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.cli import main
from airflow_provider_caixin.cli import send as cli_send
from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.admin import accounts
from airflow_provider_caixin.ledger.views import checks
from airflow_provider_caixin.sandbox import SandboxServer, magic_mobile
from airflow_provider_caixin.session import session
from airflow_provider_caixin.session.readers import object_path
from airflow_provider_caixin.settings.ledgers import embedded_path

A, B, C = "13912340001", "13912340002", "13912340003"
REJECTED, LOST = magic_mobile(236306), magic_mobile(99004)
FULL_NUMBER = re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)")
KEY = "unit-test-app-key"
# In sentences about what is expected.
EXAMPLE = "13800138000"


class Answer(NamedTuple):
    """What a command came to."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed with ``-o json``."""
        return json.loads(self.out)


Run = Callable[..., Answer]


@pytest.fixture
def server_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what a command tells Airflow about this process end with the test."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], to_sandbox: object, server_context: None) -> Run:  # noqa: ARG001  # before all
    """Run a command in this process; neither the AppKey nor, by its own, a full number may show."""

    def call(*argv: str, full: bool = False) -> Answer:
        capsys.readouterr()
        status = main(list(argv))
        shown = capsys.readouterr()
        for text in shown:
            assert KEY not in text
            assert full or not FULL_NUMBER.search(text.replace(EXAMPLE, ""))
            assert "Traceback" not in text
        return Answer(status, shown.out, shown.err)

    return call


@pytest.fixture
def audience(tmp_path: Path) -> Path:
    """Give an audience in which each outcome occurs."""
    path = tmp_path / "audience.csv"
    path.write_text(f"手机号\n{A}\n{B}\n{B}\n{REJECTED}\n{LOST}\n13012345678\nnobody\n", encoding="utf-8")
    return path


@pytest.fixture
def sent(run: Run, audience: Path) -> str:
    """Send a campaign, and give its id."""
    answer = run(
        "send", "--tpl-id", "65535", str(audience), "--campaign-id", "c", "-y", "--max-failure-ratio", "none"
    )
    assert answer.status == 0
    return "c"


# ------------------------------------------------------------------ send and check


def test_check_says_who_would_get_it_and_keeps_nothing(
    run: Run, audience: Path, tmp_path: Path, sandbox: SandboxServer
) -> None:
    """By reason, and by name only in the report that was asked for."""
    report = tmp_path / "who.csv"
    answer = run("check", str(audience), "--report-file", str(report), "-o", "json")
    assert answer.status == 0
    assert answer.json["would_send"] == 4
    assert answer.json["skipped"] == {"duplicate": 1, "invalid_number": 1, "not_china_mobile": 1}
    with report.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["mobile"]: row["reason"] for row in rows}["13012345678"] == "not_china_mobile"
    assert len(rows) == 7
    assert sandbox.requests() == []
    assert run("campaigns").status == 4


def test_send_needs_a_yes(run: Run, sandbox: SandboxServer) -> None:
    """Without a terminal to ask on and without --yes nothing is sent, and it says what would be billed."""
    answer = run("send", "--tpl-id", "65535", A, B)
    assert answer.status == 5
    assert "Send 2 messages, each of which is billed? There is no terminal to ask on: add --yes" in answer.err
    assert "【晨山书店】" in answer.err
    assert sandbox.requests() == []
    assert run("campaigns").status == 4


def test_the_same_command_again_sends_nobody_anything(run: Run, sandbox: SandboxServer) -> None:
    """Without a campaign id the day's is taken; another id is stopped by the cap, which can be switched off, and that is said."""
    today = f"cli/65535/{datetime.now(CHINA):%Y-%m-%d}"
    first = run("send", "--tpl-id", "65535", A, "-y", "-o", "json")
    assert (first.status, first.json["campaign_id"], first.json["sent"]) == (0, today, 1)
    again = run("send", "--tpl-id", "65535", A, "-y", "-o", "json")
    assert (again.status, again.out) == (4, "")
    assert "duplicate: 1" in again.err
    capped = run("send", "--tpl-id", "65535", A, "-y", "--campaign-id", "other")
    assert capped.status == 4
    assert "frequency_cap: 1" in capped.err
    assert len(sandbox.billed()) == 1
    free = run("send", "--tpl-id", "65535", A, "-y", "--campaign-id", "other", "--frequency-cap", "none")
    assert free.status == 0
    assert "A rule is loosened: frequency_cap is off in this command and 1 a day without it." in free.err
    assert len(sandbox.billed()) == 2


def test_a_file_is_the_same_campaign_as_long_as_it_is_the_same(
    run: Run, audience: Path, sandbox: SandboxServer
) -> None:
    """The outcomes are counted, too much of them failed is a failure, and the same file again bills nobody."""
    command = ("send", "--tpl-id", "65535", str(audience), "-y", "-o", "json")
    first = run(*command)
    assert first.status == 1
    assert "50% of the messages failed" in first.err
    counts = first.json
    assert (counts["sent"], counts["rejected"], counts["unknown"]) == (2, {"236306": 1}, 1)
    assert counts["campaign_id"].startswith("cli/65535/audience.csv/")
    assert run(*command).status == 4
    assert len(sandbox.billed()) == 3


def rename(old: str, new: str) -> None:
    """Give a campaign and its loads the names that earlier versions would have given them."""
    ledger = Ledger.sqlite(embedded_path())
    with ledger.writing() as connection:
        table = schema.campaign
        change = sa.update(table).where(table.c.campaign_id == old)
        key = connection.execute(sa.select(table.c.id).where(table.c.campaign_id == old)).scalar_one()
        connection.execute(change.values(campaign_id=new, hash=schema.digest(new)))
        for load in connection.execute(sa.select(schema.load).where(schema.load.c.campaign == key)).all():
            source = f"cli/{new}/{load.source.rpartition('/')[2]}"
            change = sa.update(schema.load).where(schema.load.c.id == load.id)
            connection.execute(change.values(source=source, hash=schema.digest(source)))
    ledger.close()


def test_a_campaign_that_is_known_by_its_file_s_time(
    run: Run, tmp_path: Path, sandbox: SandboxServer, to_sandbox: Callable[..., None]
) -> None:
    """It goes on as long as the file has that time; afterwards it is named, and nothing is sent beside it."""
    to_sandbox(frequency_cap="none")
    path = tmp_path / "list.txt"
    path.write_text(f"{A}\n{B}\n")
    line = ("send", "--tpl-id", "65535", str(path), "-y", "-o", "json")
    new = run(*line, "--max-messages", "1").json["campaign_id"]
    old = f"cli/65535/list.txt/{FileAudience(object_path(str(path))).fingerprint[:8]}"
    rename(new, old)
    again = run(*line, "--max-messages", "1")
    assert (again.status, again.out) == (4, "")
    assert f"Campaign {old!r} has this file's time and size" in again.err
    os.utime(path, (0, 0))
    # As after Ctrl-C.
    ledger = Ledger.sqlite(embedded_path())
    with ledger.writing() as connection:
        table = schema.campaign
        row = sa.update(table).where(table.c.campaign_id == old)
        connection.execute(row.values(pending=1, skipped=0))
        rest = sa.update(schema.recipient).where(schema.recipient.c.state == "skipped")
        connection.execute(rest.values(state="pending", reason=None))
    ledger.close()
    refused = run(*line)
    assert (refused.status, refused.out) == (1, "")
    assert (
        f"Campaign {old!r} of a file of this name is not finished: 1 recipients are left, 1 got"
        in refused.err
    )
    assert f"add --campaign-id {old};" in refused.err
    assert run("check", "--tpl-id", "65535", str(path)).err.startswith(f"Campaign {old!r}")
    path.write_text(f"{B}\n{C}\n")
    changed = run(*line, "--campaign-id", old)
    assert changed.status == 1
    assert "1 are new and 1 are gone, 0 of whom" in changed.err
    path.write_text(f"{A}\n{B}\n")
    assert run(*line, "--campaign-id", old).json["sent"] == 2
    assert sorted(row["mobile"] for row in sandbox.billed()) == [A, B]
    with Ledger.sqlite(embedded_path()).reading() as connection:
        sources = (
            connection.execute(sa.select(schema.load.c.source).order_by(schema.load.c.id)).scalars().all()
        )
    assert len(sources) == 2


def test_a_file_that_was_edited_while_its_campaign_is_not_finished(
    run: Run, tmp_path: Path, sandbox: SandboxServer, to_sandbox: Callable[..., None]
) -> None:
    """Nobody is billed twice by it: the campaign is named; one that has sent nothing yet is only mentioned."""
    to_sandbox(frequency_cap="none", max_per_day=1)
    path = tmp_path / "list.txt"
    path.write_text(f"{A}\n{B}\n")
    line = ("send", "--tpl-id", "65535", str(path), "-y", "-o", "json")
    first = run(*line)
    assert (first.status, first.json["sent"], first.json["pending"]) == (3, 1, 1)
    name = first.json["campaign_id"]
    to_sandbox(frequency_cap="none")
    path.write_text(f"{B}\n{A}\n{C}\n")
    refused = run(*line)
    assert (refused.status, refused.out) == (1, "")
    assert f"Campaign {name!r} of a file of this name is not finished" in refused.err
    assert len(sandbox.billed()) == 1
    going_on = run(*line, "--campaign-id", name)
    assert (going_on.status, going_on.json["sent"]) == (0, 3)
    assert "1 are new. They are added." in going_on.err
    assert sorted(row["mobile"] for row in sandbox.billed()) == [A, B, C]
    path.write_text(f"{C}\n13912340004\n")
    assert run(*line, "--campaign-id", name).status == 1
    assert run(*line, "--campaign-id", name, "--audience-change", "add").json["sent"] == 4
    # Another file, and numbers that were typed, are other audiences of the same campaign.
    other = tmp_path / "other.txt"
    other.write_text("13912340005\n")
    assert run("send", "--tpl-id", "65535", str(other), "-y", "--campaign-id", name).status == 0
    assert run("send", "--tpl-id", "65535", "13912340006", "-y", "--campaign-id", name).status == 0
    assert run("send", "--tpl-id", "65535", "13912340007", "-y", "--campaign-id", name).status == 0
    assert len(sandbox.billed()) == 7
    # Nobody can have it twice of a campaign that has reached nobody.
    to_sandbox(frequency_cap="none", max_per_day=7)
    other.write_text("13912340008\n")
    line = ("send", "--tpl-id", "65535", str(other), "-y", "-o", "json")
    unsent = run(*line)
    assert (unsent.status, unsent.json["pending"]) == (3, 1)
    to_sandbox(frequency_cap="none")
    other.write_text("13912340008\n13912340009\n")
    beside = run(*line)
    assert (beside.status, beside.json["sent"]) == (0, 2)
    assert (
        f"Campaign {unsent.json['campaign_id']!r} of a file of this name is not finished: nobody got the message, 1 rec"
        in beside.err
    )


@pytest.mark.parametrize("extra", [(), ("--dry-run",)])
def test_a_closed_window(run: Run, sandbox: SandboxServer, extra: tuple[str, ...]) -> None:
    """It refuses and names the opening; a dry run still tells who would get it."""
    hour = (datetime.now(CHINA) + timedelta(hours=3)).hour
    window = f"{hour:02}:00-{hour:02}:30"
    answer = run("send", "--tpl-id", "65535", A, "-y", "--send-window", window, *extra)
    assert answer.status == (0 if extra else 3)
    assert re.search(
        rf"The send window {window} is closed; it opens \d{{4}}-\d\d-\d\d {hour:02}:00", answer.err
    )
    assert sandbox.requests() == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--tpl-id", "x", A], "tpl_id 'x' is not a template id"),
        (["--tpl-id", "65535", "1391234001"], "'139...01' is no mobile number of mainland China"),
        (["--tpl-id", "65535", A, "list.csv"], "'lis...sv' is no mobile number"),
        (["--tpl-id", "65535", "nothere.csv"], "audience_file 'nothere.csv' does not exist"),
        (["--tpl-id", "65535", "book.xlsx"], "is no .txt or .csv file"),
        (["--tpl-id", "4711", A, "-y"], "Template 4711 is not among the 7 templates"),
        (["--tpl-id", "65535", A, "--send-window", "later"], "send_window"),
        (["--tpl-id", "65535", A, "--blocked-regions", "Atlantis"], "Atlantis"),
        (["--tpl-id", "65535", A, "--expires-at", "soon"], "expires_at 'soon' is not a moment"),
        (["--tpl-id", "65535", A, "--expires-at", "2026-W49"], "expires_at '2026-W49' is not a moment"),
        (["--tpl-id", "65535", A, "--expires-at", ""], "expires_at came to ''"),
        (["--tpl-id", "65535", A, "--suppress-file", ""], "suppress_file came to ''"),
        (["--tpl-id", "65535", "x.csv", "--column", ""], "audience_column came to ''"),
        (["--tpl-id", "65535", A, "--conn-id", "nope"], "The conn_id `nope` isn't defined"),
        (["--tpl-id", "65535", A, "--ledger", "nope"], "Ledger connection 'nope' is not defined in Airflow"),
    ],
)
def test_mistakes_are_a_sentence(
    run: Run, sandbox: SandboxServer, arguments: list[str], sentence: str
) -> None:
    """Status 2, no traceback, nothing sent."""
    answer = run("send", *arguments)
    assert (answer.status, answer.out) == (2, "")
    assert sentence in answer.err
    assert sandbox.requests() == []


@pytest.mark.parametrize("command", [("check",), ("send", "--tpl-id", "65535", "-y")], ids=lambda one: one[0])
@pytest.mark.parametrize("role", ["audience_file", "suppress_file"])
def test_a_report_over_an_input(
    run: Run, audience: Path, sandbox: SandboxServer, command: tuple[str, ...], role: str
) -> None:
    """It is refused before anything is read or sent."""
    before = audience.read_bytes()
    inputs = (str(audience),) if role == "audience_file" else (A, "--suppress-file", str(audience))
    answer = run(*command, *inputs, "--report-file", f"{audience.parent}/./{audience.name}")
    assert answer.status == 2
    assert f"is the file that {role} " in answer.err
    assert audience.read_bytes() == before
    assert sandbox.requests() == []


def test_a_report_that_cannot_be_written(
    run: Run, tmp_path: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is known before anybody is billed; where it fails only at the end, the counts and the way to it are told."""
    answer = run("send", "--tpl-id", "65535", A, "-y", "--report-file", str(tmp_path))
    assert (answer.status, sandbox.requests()) == (1, [])
    assert "cannot be written: IsADirectoryError" in answer.err
    report = tmp_path / "report.csv"
    command = ("send", "--tpl-id", "65535", A, "-y", "--report-file", str(report), "-o", "json")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Campaign, "write_report", fail)
        answer = run(*command, "--campaign-id", "c")
    assert (answer.status, answer.json["sent"]) == (1, 1)
    assert "No space left on device" in answer.err
    assert "campaign report c --file FILE" in answer.err
    assert run("campaign", "report", "c", "--file", str(report)).status == 0
    assert A in report.read_text(encoding="utf-8-sig")
    assert len(sandbox.billed()) == 1


def test_an_expiry_that_has_passed(run: Run, sandbox: SandboxServer) -> None:
    """It is refused while the campaign has nobody yet, and nothing is kept."""
    answer = run("send", "--tpl-id", "65535", A, "-y", "--expires-at", "2020-01-01")
    assert answer.status == 1
    assert "expires_at 2020-01-01 (the end of that day) has passed" in answer.err
    assert sandbox.requests() == []
    assert run("campaigns").status == 4


def test_a_template_that_is_not_available(run: Run, sandbox: SandboxServer) -> None:
    """It is looked at before anybody is asked to confirm."""
    answer = run("send", "--tpl-id", "65537", A, "-y")
    assert answer.status == 1
    assert "Template 65537 is not available" in answer.err
    assert sandbox.requests() == []


def test_a_suppress_file_is_heeded_and_kept(run: Run, tmp_path: Path, sandbox: SandboxServer) -> None:
    """Dry it is only heeded; sending puts the people on the list."""
    out = tmp_path / "out.txt"
    out.write_text(f"{B}\n")
    arguments = (A, B, "--suppress-file", str(out), "-o", "json")
    assert run("check", *arguments).json["skipped"] == {"suppressed": 1}
    assert run("suppress", "list").status == 4
    assert run("send", "--tpl-id", "65535", *arguments, "-y").json["sent"] == 1
    assert [row["mobile"] for row in run("suppress", "list", "-o", "json", full=True).json] == [B]
    assert [row["mobile"] for row in sandbox.billed()] == [A]


def rows_of_ledger() -> int | None:
    """Count the recipients in the embedded ledger; None: there is none."""
    if not embedded_path().exists():
        return None
    ledger = Ledger.sqlite(embedded_path())
    try:
        return checks.info(ledger).rows["recipient"]
    finally:
        ledger.close()


@pytest.mark.parametrize("which", ["audience", "suppressed"])
@pytest.mark.parametrize("when", ["asked", "loaded"])
def test_nobody_is_billed_whom_the_question_did_not_count(
    run: Run, tmp_path: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, which: str, when: str
) -> None:
    """A file that changes before the yes, or while it is loaded, takes another command."""
    files = {"audience": tmp_path / "a.txt", "suppressed": tmp_path / "out.txt"}
    files["audience"].write_text(f"{A}\n{B}\n")
    files["suppressed"].write_text(f"{B}\n")

    def change() -> None:
        files[which].write_text(f"{A}\n{B}\n{C}\n" if which == "audience" else "\n")

    def confirm(question: str, **_: Any) -> None:
        assert question == "Send 1 messages, each of which is billed?"
        if when == "asked":
            change()

    class Changing(Campaign):
        def load(self, *given: Any, **named: Any) -> bool:
            if when == "loaded":
                change()
            return super().load(*given, **named)

    monkeypatch.setattr(cli_send, "confirm", confirm)
    monkeypatch.setattr(session, "Campaign", Changing)
    paths = (str(files["audience"]), "--suppress-file", str(files["suppressed"]))
    answer = run("send", "--tpl-id", "65535", *paths)
    assert answer.status == 1
    assert "changed after its rows were counted. Nothing was sent; give the command again." in answer.err
    assert sandbox.requests() == []
    # Nor by the next command: nothing of the other file is in the campaign.
    if (number := rows_of_ledger()) is not None:
        assert number == 0


def command(*argv: str) -> list[str]:
    """Give the command line of a process."""
    return [sys.executable, "-m", "airflow_provider_caixin", *argv]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_it_cleanly(
    run: Run,
    tmp_path: Path,
    sandbox: SandboxServer,
    to_sandbox: Callable[..., None],
    number: int,
    status: int,
) -> None:
    """The counts are told, who is left stays pending, and the same command goes on, also after a touch, without a second bill."""
    to_sandbox(messages_per_second=20, frequency_cap="none")
    path = tmp_path / "many.txt"
    path.write_text("\n".join(f"1391235{n:04}" for n in range(120)))
    line = ["send", "--tpl-id", "65535", str(path), "-y", "-o", "json"]
    with subprocess.Popen(
        command(*line), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while len(sandbox.billed()) < 10:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate()
    assert process.returncode == status, err
    assert "The same command goes on where the campaign stands." in err
    counts = json.loads(out[out.index("{") :])
    assert counts["total"] == counts["sent"] + counts["unknown"] + counts["pending"] == 120
    assert counts["pending"] > 0
    os.utime(path, (0, 0))
    to_sandbox(messages_per_second=200, frequency_cap="none")
    assert run(*line).json["pending"] == 0
    billed = [row["mobile"] for row in sandbox.billed()]
    assert len(billed) == len(set(billed)) == 120 - counts["unknown"]


def test_a_signal_while_the_ledger_is_silent(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks it for counts: that would not end."""

    def stopped(*_: Any) -> None:
        raise StoppedInSilence("The task was told to stop while the ledger did not answer.")

    def never(_: Campaign) -> None:
        raise AssertionError

    monkeypatch.setattr(Campaign, "send", stopped)
    monkeypatch.setattr(Campaign, "counts", never)
    answer = run("send", "--tpl-id", "65535", A, "-y")
    assert answer.status == 130
    assert "did not answer. The same command goes on" in answer.err


@pytest.mark.parametrize(("typed", "status"), [("y\n", 0), ("n\n", 5), ("\n", 5)])
def test_the_question_on_a_terminal(
    sandbox: SandboxServer, to_sandbox: Callable[..., None], typed: str, status: int
) -> None:
    """Only a yes sends; meanwhile a terminal sees how far it is."""
    to_sandbox(messages_per_second=5)
    numbers = [f"1391236{n:04}" for n in range(15)]
    master, slave = pty.openpty()
    line = command("send", "--tpl-id", "65535", *numbers, "-o", "json")
    with subprocess.Popen(line, stdin=slave, stdout=subprocess.PIPE, stderr=slave, text=True) as process:
        os.close(slave)
        seen = ""
        while "[y/N]" not in seen:
            seen += os.read(master, 4096).decode()
        os.write(master, typed.encode())
        try:
            while piece := os.read(master, 4096):
                seen += piece.decode()
        except OSError:  # Linux: the other side is closed
            pass
    os.close(master)
    assert process.returncode == status, seen
    assert "Send 15 messages, each of which is billed? [y/N]" in seen
    assert len(sandbox.billed()) == (15 if status == 0 else 0)
    assert ("left at" in seen) == (status == 0)


# ------------------------------------------------------------------ campaigns


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


@pytest.mark.parametrize("output", ["table", "plain", "yaml", "json"])
def test_outputs(run: Run, sent: str, output: str) -> None:
    """All four hold the same."""
    shown = run("campaigns", "-o", output)
    assert shown.status == 0
    assert sent in shown.out
    assert "65535" in shown.out


def test_a_report_is_the_next_audience(run: Run, sent: str, tmp_path: Path, sandbox: SandboxServer) -> None:
    """Those who were rejected, written by state and by code, are sent another template as a campaign of their own."""
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
    """What is done can be run again: it can be paused, which stops the same command, resumed, and cancelled for good."""
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


# ------------------------------------------------------------------ doubts


def test_doubts_are_listed_and_resolved(run: Run, sent: str, tmp_path: Path) -> None:
    """Masked unless it is asked for more; a person's word takes a yes."""
    [campaign] = run("unknown", "list", "-o", "json").json
    assert (campaign["campaign_id"], campaign["unknown"]) == (sent, 1)
    [masked] = run("unknown", "list", sent, "-o", "json").json
    assert masked["mobile"] == f"{LOST[:3]}****{LOST[7:]}"
    [full] = run("unknown", "list", sent, "--full", "-o", "json", full=True).json
    assert full["mobile"] == LOST
    assert run("unknown", "resolve", sent, "--as", "sent").status == 2
    assert run("unknown", "resolve", sent, "--as", "sent", "--numbers", A, "-y").status == 4
    assert run("unknown", "resolve", sent, "--as", "sent", "--all").status == 5
    told = tmp_path / "told.csv"
    run("campaign", "report", sent, "--state", "unknown", "--file", str(told))
    assert run("unknown", "resolve", sent, "--as", "pending", "--file", str(told), "-y").status == 0
    assert run("campaign", "show", sent, "-o", "json").json["left"] == 1
    assert run("unknown", "list").status == 4


@pytest.mark.parametrize("whom", [["--all"], ["--numbers", LOST]])
def test_a_doubt_that_was_billed(run: Run, sent: str, whom: list[str]) -> None:
    """It counts as billed from then on."""
    assert run("usage", "-o", "json").json[0]["possibly_billed"] == 1
    assert run("unknown", "resolve", sent, "--as", "sent", *whom, "-y").status == 0
    [today] = run("usage", "-o", "json").json
    assert (today["billed"], today["possibly_billed"]) == (3, 0)


# ------------------------------------------------------------------ people


def test_a_person(run: Run, sent: str) -> None:
    """Every message with its sid and campaign, in any spelling of the number."""
    shown = run("number", "show", "+86 139-1234-0001", "-o", "json", full=True).json
    assert (shown["number"], shown["suppressed"]) == (A, False)
    [message] = shown["messages"]
    assert (message["campaign_id"], message["state"], message["tpl_id"]) == (sent, "sent", 65535)
    assert message["sid"] in run("number", "show", A, full=True).out
    assert run("number", "show", C, full=True).status == 4
    assert run("number", "show", "12345").status == 2


def test_an_opt_out_list_is_checked_the_evening_before(run: Run, tmp_path: Path) -> None:
    """What is readable, new, none and damaged; nothing is imported, and the status says whether a send would stop."""
    source = tmp_path / "out.csv"
    source.write_text(f"名单\n手机号,姓名\n{A},甲\n{B},乙\n{B},乙\n合计 3,\n")
    run("suppress", "add", A)
    checked = run("suppress", "import", "--check", str(source), "-o", "json")
    assert (checked.status, checked.json) == (
        0,
        {
            "file": str(source),
            "numbers": 2,
            "new": 1,
            "not_mobile": 1,
            "may_be_damaged": 0,
            "damaged_rows": [],
        },
    )
    source.write_text(f"手机号\n{B}\n\n1.38E+10\n")
    checked = run("suppress", "import", "--check", str(source))
    assert checked.status == 1
    assert re.search(r"may_be_damaged +\| 1", checked.out)
    assert (
        "line 4: '9.99E+99' (9 stands for a digit, x for a letter). A send with this list stops"
        in checked.err
    )
    assert [row["mobile"] for row in run("suppress", "list", "-o", "json", full=True).json] == [A]
    source.write_text("张三\n李四\n")
    none = run("suppress", "import", "--check", str(source))
    assert (none.status, "Not one row is a mobile number" in none.err) == (1, True)


def test_an_import_takes_what_it_can_read_and_names_the_rest(run: Run, tmp_path: Path) -> None:
    """The numbers are on the list, the damaged row is told, and the command has failed."""
    source = tmp_path / "out.txt"
    source.write_text(f"{A}\n1391234000\n{B}/{C}\n")
    imported = run("suppress", "import", str(source))
    assert imported.status == 1
    assert "1 row may be a damaged mobile number (line 2: '9999999999'" in imported.err
    assert "What can be read is on the suppression list." in imported.err
    assert [row["mobile"] for row in run("suppress", "list", "-o", "json", full=True).json] == [A, B, C]
    for command in (("check",), ("send", "--tpl-id", "65535", "-y")):
        stopped = run(*command, A, "--suppress-file", str(source))
        assert (stopped.status, "may be a damaged mobile number" in stopped.err) == (2, True)
    source.write_text("13912340009\n1391234000\n")
    stopped = run("send", "--tpl-id", "65535", "-y", A, "--suppress-file", str(source))
    assert "What can be read is on the suppression list." in stopped.err
    assert run("suppress", "list", "-o", "json", full=True).json[-1]["mobile"] == "13912340009"


def test_an_audience_of_which_little_can_be_read(run: Run, tmp_path: Path, sandbox: SandboxServer) -> None:
    """Nothing readable stops check and send; less than half is said before the question and at the end."""
    source = tmp_path / "a.csv"
    source.write_text("手机号,金额\n9.9,1\n19.9,2\n")
    for command in (("check",), ("send", "--tpl-id", "65535", "-y")):
        stopped = run(*command, str(source))
        assert stopped.status == 2
        assert "none of the 2 rows is a mobile number; the first look like '9.9', '99.9'" in stopped.err
    assert sandbox.billed() == []
    source.write_text(f"手机号,金额\n9.9,1\n19.9,2\n{A},3\n")
    sent = run("send", "--tpl-id", "65535", "-y", str(source))
    assert (sent.status, len(sandbox.billed())) == (0, 1)
    assert sent.err.count("2 of the 3 rows of the audience are no mobile numbers") == 2
    assert "2 of 3 rows are no mobile numbers, such as '9.9', '99.9'" in sent.err


def test_the_suppression_list(run: Run, tmp_path: Path) -> None:
    """Added, imported, listed, written to a file that can be imported, removed."""
    assert run("suppress", "add", A, B, "--reason", "complained").status == 0
    source = tmp_path / "source.txt"
    source.write_text(f"{B}\n{C}\n")
    assert "1 numbers are new" in run("suppress", "import", str(source), "--reason", "shop").err
    listed = run("suppress", "list", "-o", "json", full=True).json
    assert [(row["mobile"], row["reason"]) for row in listed] == [
        (A, "complained"),
        (B, "complained"),
        (C, "shop"),
    ]
    assert "There are more than 2" in run("suppress", "list", "--most", "2", full=True).err
    written = tmp_path / "all.csv"
    run("suppress", "list", "--file", str(written))
    assert run("number", "show", A, "-o", "json", full=True).json["suppressed_reason"] == "complained"
    assert run("suppress", "remove", A, B, C).status == 5
    assert run("suppress", "remove", A, B, C, "-y").status == 0
    assert run("suppress", "remove", A, "-y").status == 4
    assert "3 numbers are new" in run("suppress", "import", str(written)).err
    assert run("send", "--tpl-id", "65535", A, "-y").status == 4


# ------------------------------------------------------------------ accounts, usage, ledger


@pytest.mark.usefixtures("sent")
def test_accounts(run: Run, to_sandbox: Callable[..., None]) -> None:
    """Paused, limited, renamed; what the connection is called is the default."""
    [account] = run("account", "list", "-o", "json").json
    name = account["account"]
    assert (account["messages_today"], account["paused"]) == (3, False)
    assert run("account", "pause").status == 0
    assert run("account", "show", "-o", "json").json["paused"] is True
    stopped = run("send", "--tpl-id", "65535", C, "-y", "--campaign-id", "d")
    assert stopped.status == 1
    assert "paused" in stopped.err
    assert run("account", "resume").status == 0
    assert run("account", "limit", "3").status == 0
    full = run("send", "--tpl-id", "65535", C, "-y", "--campaign-id", "d")
    assert full.status == 3
    assert run("account", "limit", "none").status == 0
    assert run("account", "limit", "many").status == 2
    assert run("account", "pause", "--account", "typo").status == 2
    assert run("account", "show", "--account", "typo").status == 2
    assert run("account", "rename", "shop").status == 0
    assert run("account", "rename", "shop", "--account", name).status == 2
    to_sandbox(account="shop")
    assert run("account", "show", "-o", "json").json["messages_today"] == 3
    assert run("send", "--tpl-id", "65535", C, "-y", "--campaign-id", "d").status == 0
    assert len(run("campaigns", "--account", "shop", "-o", "json").json) == 2


@pytest.mark.usefixtures("sent")
def test_accounts_of_one_key(run: Run, to_sandbox: Callable[..., None]) -> None:
    """A second name sends nothing and the answer says how they become one; a merge asks first."""
    [account] = run("account", "list", "-o", "json").json
    name = account["account"]
    to_sandbox(account="shop", frequency_cap="none")
    refused = run("send", "--tpl-id", "65535", C, "-y", "--campaign-id", "d")
    assert refused.status == 1
    assert "one AppKey is one account" in refused.err
    assert f"airflow caixin account rename shop --account {name}" in refused.err
    assert run("account", "pause", "--account", name).status == 0
    with closing(Ledger.sqlite(embedded_path())) as ledger:
        accounts.limit_account(ledger, "shop", 4)
    assert run("account", "rename", "shop", "--account", name).status == 5
    merged = run("account", "rename", "shop", "--account", name, "-y")
    assert merged.status == 0
    assert "It is paused" in merged.err
    assert "4 messages in a China day" in merged.err
    assert [one["account"] for one in run("account", "list", "-o", "json").json] == ["shop"]
    assert run("account", "rename", "shop").status == 2
    assert run("account", "resume").status == 0
    assert run("send", "--tpl-id", "65535", C, "-y", "--campaign-id", "d").status == 0
    assert run("account", "show", "-o", "json").json["messages_today"] == 4


@pytest.mark.usefixtures("sent")
def test_an_account_with_a_new_key(run: Run, sandbox: SandboxServer, connect: Callable[..., None]) -> None:
    """Its connection's commands find it before and after the first campaign with the new key, which may be separated."""
    [account] = run("account", "list", "-o", "json").json
    connect(
        password="another-unit-test-key",
        host=sandbox.host,
        port=sandbox.port,
        schema="http",
        extra={"send_window": "none", "frequency_cap": "none"},
    )
    assert run("account", "separate", "brand", "-y").status == 2
    assert run("account", "show", "-o", "json").json == account
    sent = run("send", "--tpl-id", "65535", C, "-y", "--campaign-id", "d")
    assert sent.status == 0
    assert "has a new AppKey and gives its account no name" in sent.err
    assert run("account", "show", "-o", "json").json["messages_today"] == 4
    assert run("account", "separate", " ", "-y").status == 2
    assert run("account", "separate", "brand").status == 5
    under_way = run("account", "separate", "brand", "-y")
    assert under_way.status == 1
    assert "campaign 'c'" in under_way.err
    with closing(Ledger.sqlite(embedded_path())) as ledger, ledger.writing() as connection:
        # One of its messages is in doubt, and its run was at work until now.
        connection.execute(sa.update(schema.campaign).values(active_at=1.0))
    assert run("account", "separate", "brand", "-y").status == 0
    assert run("account", "show", "-o", "json").json["account"] == "brand"
    assert run("account", "separate", "another", "-y").status == 1


@pytest.mark.parametrize("by_name", [True, False])
def test_an_account_that_is_renamed_before_its_key_is_known(run: Run, by_name: bool) -> None:
    """Named by its connection it keeps the key; otherwise the answer says what is to be done first."""
    assert run("account", "pause").status == 0
    [account] = run("account", "list", "-o", "json").json
    said = ("--account", account["account"]) if by_name else ()
    renamed = run("account", "rename", "shop", *said)
    assert renamed.status == 0
    assert ("Do so before anything is sent" in renamed.err) == by_name
    assert run("account", "show").status == (2 if by_name else 0)


def test_a_first_campaign_can_be_paused_before(run: Run) -> None:
    """The connection's account need not be in the ledger yet."""
    assert run("account", "pause").status == 0
    assert run("send", "--tpl-id", "65535", A, "-y").status == 1


def test_usage(run: Run, sent: str) -> None:
    """By day, template, campaign and Dag, within China days."""
    today = datetime.now(CHINA).date()
    for by, name in (("day", str(today)), ("template", "65535"), ("campaign", sent), ("dag", None)):
        rows = run("usage", "--by", by, "-o", "json").json
        assert rows == [{by: name, "billed": 2, "possibly_billed": 1}]
    assert re.search(r"total +\| 2 +\| 1", run("usage").out)
    assert "(command line)" in run("usage", "--by", "dag").out
    yesterday = str(today - timedelta(days=1))
    assert run("usage", "--from", yesterday, "--to", yesterday).status == 4
    assert run("usage", "--from", str(today), "--to", yesterday).status == 2
    assert run("usage", "--account", "typo").status == 2
    with pytest.raises(SystemExit, match="2"):
        main(["usage", "--from", "tomorrow"])


def old(days: int) -> None:
    """Make all that the ledger holds so many days older."""
    ledger = Ledger.sqlite(embedded_path())
    with ledger.writing() as connection:
        for table, columns in (
            (schema.campaign, ("created_at", "loaded_at", "active_at")),
            (schema.recipient, ("sent_at",)),
        ):
            values = {name: table.c[name] - days * 86400 for name in columns}
            connection.execute(sa.update(table).values(values))
        minute = schema.traffic.c.minute
        connection.execute(sa.update(schema.traffic).values(minute=minute - days * 1440))
    ledger.close()


@pytest.mark.usefixtures("sent")
def test_the_ledger(run: Run) -> None:
    """What it holds, and whether it agrees with itself."""
    shown = run("ledger", "info", "-o", "json").json
    assert (shown["dialect"], shown["rows"]["recipient"]) == ("sqlite", 7)
    assert run("ledger", "check").status == 0
    ledger = Ledger.sqlite(embedded_path())
    with ledger.writing() as connection:
        connection.execute(sa.update(schema.campaign).values(sent=5))
    ledger.close()
    wrong = run("ledger", "check")
    assert wrong.status == 1
    assert "its row says 5 sent, and 2 recipients are" in wrong.out


@pytest.mark.parametrize(("age", "answers"), [(10, ["-y", "--recent"]), (200, ["-y"])])
def test_purge(run: Run, sent: str, age: int, answers: list[str]) -> None:
    """It tells of doubts that it would forget, and asks again where less than 5 months have passed."""
    days = str(age - 1)
    assert run("ledger", "purge", "--older-than", days, "-y").status == 4
    old(age)
    asked = run("ledger", "purge", "--older-than", days)
    assert asked.status == 5
    assert "Forget 7 recipients of 1 campaigns" in asked.err
    assert "1 of them are in doubt and could never be resolved" in asked.err
    if "--recent" in answers:
        again = run("ledger", "purge", "--older-than", days, "-y")
        assert again.status == 5
        assert "less than the 5 months" in again.err
    assert run("ledger", "info", "-o", "json").json["rows"]["recipient"] == 7
    assert run("ledger", "purge", "--older-than", days, *answers).status == 0
    assert run("ledger", "info", "-o", "json").json["rows"]["recipient"] == 0
    assert run("campaign", "show", sent, "-o", "json").json["sent"] == 2
    assert run("campaign", "report", sent).status == 1
    with pytest.raises(SystemExit, match="2"):
        main(["ledger", "purge", "--older-than", "7"])


def test_restored(run: Run, sent: str) -> None:
    """It asks, and then what was pending is in doubt."""
    run("campaign", "retry", sent, "--code", "236306")
    assert run("ledger", "restored").status == 5
    answer = run("ledger", "restored", "-y")
    assert answer.status == 0
    assert "1 recipients in 1 campaigns became unknown." in answer.err
    assert run("campaign", "show", sent, "-o", "json").json["unknown"] == 2


# ------------------------------------------------------------------ the gateway, places


def test_templates_and_codes(run: Run) -> None:
    """The account's templates; codes with text, cause and remedy, one that the document lacks told as such."""
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


def test_a_wrong_ledger(run: Run, connect: Callable[..., None]) -> None:
    """A connection that is none of a ledger, or that there is not, is wrong usage."""
    connect("web", conn_type="http")
    answer = run("ledger", "info", "--ledger", "web")
    assert (answer.status, answer.out) == (2, "")
    assert "'web' is of type 'http': expected postgres or mysql" in answer.err
    answer = run("campaigns", "--ledger", "nosuch")
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.startswith("Ledger connection 'nosuch' is not defined in Airflow: expected")


def test_without_a_ledger_or_a_connection(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever only looks on makes no ledger; without a connection the ledger's commands still work."""
    answer = run("campaigns")
    assert answer.status == 1
    assert "There is no ledger yet" in answer.err
    assert not embedded_path().exists()
    monkeypatch.delenv("AIRFLOW_CONN_CAIXIN_DEFAULT")
    made = run("suppress", "add", A)
    assert made.status == 0
    assert f"A ledger without campaigns was made: {embedded_path()}" in made.err
    assert "was made" not in run("suppress", "add", A).err
    assert run("campaigns").status == 4
    assert run("account", "pause").status == 2
