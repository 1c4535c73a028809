"""The one way in: what is opened, once and in order, and closed again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.rules import SendWindow
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.session.arguments import Arguments
from airflow_provider_caixin.session.readers import object_path
from airflow_provider_caixin.session.session import Session, audience_of
from airflow_provider_caixin.settings.connection import CaixinConnection
from tests.unit.sends import A, B

pytestmark = pytest.mark.usefixtures("to_sandbox")


class Opener:
    """Opens a ledger, and notes that it did."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.steps: list[str] = []

    @contextmanager
    def __call__(self, settings: CaixinConnection) -> Iterator[Ledger]:
        """Open it for a connection."""
        self.steps.append(f"opened for {settings.conn_id}")
        ledger = Ledger.sqlite(self.folder / "ledger.db")
        yield ledger
        ledger.close()
        self.steps.append("closed")


@pytest.fixture
def opener(tmp_path: Path) -> Opener:
    """Return what opens the ledger."""
    return Opener(tmp_path)


def session(opener: Opener, **given: Any) -> Session:
    """Make a session for a campaign of template 65535."""
    return Session(Arguments(tpl_id=65535, **given), campaign_id=lambda: "c", open_ledger=opener)


def test_opened_once_and_closed(opener: Opener, sandbox: SandboxServer) -> None:
    """Making a session opens nothing; the ledger comes with the first look at it."""
    with session(opener) as made:
        assert opener.steps == []
        assert made.ledger is made.ledger
        assert opener.steps == ["opened for caixin_default"]
        assert made.plan.campaign_id == "c"
    assert opener.steps == ["opened for caixin_default", "closed"]
    assert sandbox.requests() == []


def test_a_campaign(opener: Opener, sandbox: SandboxServer, tmp_path: Path) -> None:
    """It goes through the rules, numbers that opted out get nothing, and the report is written."""
    (tmp_path / "out.txt").write_text(f"{B}\n")
    files = {"suppress_file": tmp_path / "out.txt", "report_file": tmp_path / "report.csv"}
    given = {name: object_path(path) for name, path in files.items()}
    with session(opener, mobiles=[A, B], **given) as made:
        assert made.dry_run(audience_of(made.given)).would_send == 1
        assert made.import_opt_outs() == 1
        campaign = made.open_campaign()
        campaign.load(audience_of(made.given), "test")
        campaign.send()
        made.write_report(campaign)
    assert [row["mobile"] for row in sandbox.billed()] == [A]
    assert A in (tmp_path / "report.csv").read_text(encoding="utf-8-sig")


def test_the_plan_has_the_rules_and_the_arguments(opener: Opener, to_sandbox: Any) -> None:
    """Both, whoever sends; what loosens a rule is told."""
    to_sandbox(send_window="10:00-11:00")
    made = session(opener, send_window=SendWindow("09:00-18:00"), max_messages=3)
    assert (str(made.plan.window), made.plan.max_messages) == ("09:00-18:00", 3)
    assert made.plan.loosened == ("send_window is 09:00-18:00 in this Dag and 10:00-11:00 without it",)


def test_neither_or_both_audiences() -> None:
    """One of the two, and exactly one."""
    for given, word in (({}, "neither"), ({"mobiles": A, "audience_file": object_path("x.txt")}, "both")):
        with pytest.raises(ValueError, match=word):
            audience_of(Arguments(**given))  # type: ignore[arg-type]
