"""Send and check: who would get it, who gets it, and what stops it."""

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
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.audience import FileAudience
from airflow_provider_caixin.campaign import Campaign, StoppedInSilence
from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.cli import send as cli_send
from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.views import checks
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.session import session
from airflow_provider_caixin.session.readers import object_path
from airflow_provider_caixin.settings.ledgers import embedded_path

from .conftest import A, B, C, Run


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
    """With no campaign id the day's is taken; the cap stops another id, can be switched off, and says so."""
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
    """Outcomes are counted, too many failed ones are a failure, and the same file again bills nobody."""
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
    """Rename a campaign and its loads to what earlier versions called them."""
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
    """It bills nobody twice: the campaign is named; one that has sent nothing yet is only mentioned."""
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
        (["--tpl-id", "65535", "list.xlsx"], "is no .txt or .csv file"),
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
    """That is known before a bill; a failure only at the end tells the counts and how to get the report."""
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
    """Dry it is only heeded; sending puts the numbers on the list."""
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


def test_a_file_that_changes_while_its_campaign_is_named(
    run: Run, tmp_path: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is made of the content, so a file that is another one behind it is refused."""
    file, content = tmp_path / "a.txt", vars(FileAudience)["content"].fget
    file.write_text(f"{A}\n")

    def changed_behind(audience: FileAudience) -> str:
        found = str(content(audience))
        file.write_text(f"{A}\n{B}\n")
        return found

    monkeypatch.setattr(FileAudience, "content", property(changed_behind))
    answer = run("send", "--yes", "--tpl-id", "65535", str(file))
    assert answer.status == 1
    assert "changed after its rows were counted. Nothing was sent; give the command again." in answer.err
    assert sandbox.requests() == []


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
    """Return the command line of a process."""
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
    """Counts are told, the rest is pending; the same command goes on, even after a touch; no second bill."""
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
