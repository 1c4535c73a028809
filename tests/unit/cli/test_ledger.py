"""The ledger itself: what it holds, what it forgets, what follows a restore."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.cli import main
from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.settings.ledgers import embedded_path

from .conftest import Run


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
    """It tells of unknown recipients that it would forget, and asks again if less than 5 months passed."""
    days = str(age - 1)
    assert run("ledger", "purge", "--older-than", days, "-y").status == 4
    old(age)
    asked = run("ledger", "purge", "--older-than", days)
    assert asked.status == 5
    assert "Forget 7 recipients of 1 campaigns" in asked.err
    assert "1 of them are unknown and could never be resolved" in asked.err
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
    """It asks, and then what was pending is unknown."""
    run("campaign", "retry", sent, "--code", "236306")
    assert run("ledger", "restored").status == 5
    answer = run("ledger", "restored", "-y")
    assert answer.status == 0
    assert "1 recipients in 1 campaigns became unknown." in answer.err
    assert run("campaign", "show", sent, "-o", "json").json["unknown"] == 2
