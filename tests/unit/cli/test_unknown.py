"""Unknown outcomes: listed and resolved, and what each command says of them after a sender died."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.china_time import DAY_SECONDS
from airflow_provider_caixin.cli import main
from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.vocabulary import State
from tests.unit.ledger.conftest import LEASE, Past

from .conftest import LOST, A, Answer, B, C, Run


class Told(Answer):
    """What a command came to."""

    @property
    def told(self) -> Any:
        """Its rows, or how many lines its report has of each state."""
        if self.out.startswith("mobile,"):
            return self._states
        return self.json if isinstance(self.json, list) else [self.json]

    @property
    def _states(self) -> Counter[str]:
        return Counter(row["state"] for row in csv.DictReader(io.StringIO(self.out)))


Ask = Callable[..., Told]


@pytest.fixture
def ask(server_context: None, capsys: pytest.CaptureFixture[str]) -> Ask:  # noqa: ARG001  # before all
    """Run a command."""

    def call(*argv: str) -> Told:
        capsys.readouterr()
        status = main(list(argv))
        return Told(status, *capsys.readouterr())

    return call


@pytest.fixture
def past(shared_ledger: Ledger) -> Past:
    """Leave a campaign behind whose sender died with A in the air, in the ledger that the commands find."""
    past = Past(shared_ledger)
    died_at = ago(shared_ledger, 2 * LEASE)
    past.sent(past.campaign("dead", A, B, C), {A: State.IN_FLIGHT, B: State.SENT}, died_at)
    return past


def ago(ledger: Ledger, seconds: float) -> float:
    """Return a moment by the ledger's clock."""
    with ledger.reading() as connection:
        return ledger.now(connection) - seconds


def each(*names: str) -> Callable[[Any], Any]:
    """Take some cells of each row."""
    return lambda rows: [tuple(row[name] for name in names) for row in rows]


TABLE = ("-o", "json")
EVER = ("--from", "2020-01-01")

# Each command that shows who is unknown, what is looked at, and what that is: A is unknown, B sent, C
# pending.
SHOWN: dict[tuple[str, ...], tuple[Callable[[Any], Any], Any]] = {
    ("unknown", "list", *TABLE): (each("campaign_id", "unknown"), [("dead", 1)]),
    ("unknown", "list", "dead", "--full", *TABLE): (each("mobile"), [(A,)]),
    ("campaigns", *TABLE): (each("unknown", "left"), [(1, 1)]),
    ("campaign", "show", "dead", *TABLE): (each("unknown", "left"), [(1, 1)]),
    ("campaign", "report", "dead"): (dict, {"unknown": 1, "sent": 1, "pending": 1}),
    ("campaign", "report", "dead", "--state", "unknown"): (dict, {"unknown": 1}),
    ("campaign", "report", "dead", "--state", "in_flight"): (dict, {}),
    ("number", "show", A, *TABLE): (lambda rows: each("state")(rows[0]["messages"]), [("unknown",)]),
    ("usage", *EVER, *TABLE): (each("billed", "possibly_billed"), [(1, 1)]),
    ("usage", "--by", "template", *EVER, *TABLE): (each("billed", "possibly_billed"), [(1, 1)]),
    ("usage", "--by", "campaign", *EVER, *TABLE): (each("billed", "possibly_billed"), [(1, 1)]),
    ("usage", "--by", "dag", *EVER, *TABLE): (each("billed", "possibly_billed"), [(1, 1)]),
}


def test_each_command_knows_what_the_dead_one_had_in_the_air(past: Past, ask: Ask) -> None:
    """As unknown, also when the campaign was cancelled, until a person says what became of them."""
    seen = {command: look(ask(*command).told) for command, (look, _) in SHOWN.items()}
    assert seen == {command: right for command, (_, right) in SHOWN.items()}
    assert ask("ledger", "check").status == 0
    assert ask("campaign", "cancel", "dead", "-y").status == 0
    [campaign] = ask("campaigns", "--status", "cancelled", *TABLE).told
    assert (campaign["unknown"], campaign["left"]) == (1, 0)
    assert ask("unknown", "resolve", "dead", "--numbers", A, "--as", "sent", "-y").status == 0
    assert ask("unknown", "list").status == 4
    assert past.counts(1) == {"sent": 2, "skipped": 1}
    assert ask("ledger", "check").status == 0


def test_who_forgets_is_told_of_them(past: Past, ask: Ask) -> None:
    """Their campaign is one with unknown recipients, and their count stays."""
    old, at = past.campaign("old", A), ago(past.ledger, 9 * DAY_SECONDS)
    past.sent(old, {A: State.IN_FLIGHT}, at)
    with past.ledger.writing() as connection:
        long_ago = sa.update(schema.campaign).where(schema.campaign.c.id == old)
        connection.execute(long_ago.values(created_at=at, loaded_at=at))
    asked = ask("ledger", "purge", "--older-than", "8")
    assert asked.status == 5
    assert "1 of them are unknown" in asked.err
    assert ask("ledger", "purge", "--older-than", "8", "-y", "--recent").status == 0
    [shown] = [one for one in ask("campaigns", *TABLE).told if one["campaign_id"] == "old"]
    assert (shown["status"], shown["unknown"], shown["left"]) == ("purged", 1, 0)


def test_unknown_recipients_are_listed_and_resolved(run: Run, sent: str, tmp_path: Path) -> None:
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
def test_an_unknown_recipient_that_was_billed(run: Run, sent: str, whom: list[str]) -> None:
    """It counts as billed from then on."""
    assert run("usage", "-o", "json").json[0]["possibly_billed"] == 1
    assert run("unknown", "resolve", sent, "--as", "sent", *whom, "-y").status == 0
    [today] = run("usage", "-o", "json").json
    assert (today["billed"], today["possibly_billed"]) == (3, 0)
