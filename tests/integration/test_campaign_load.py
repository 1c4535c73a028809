"""Audiences of campaigns: gone, changed, unreadable, broken off, empty."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.audience import AudienceError, Classifier, FileAudience, audience_from
from airflow_provider_caixin.campaign import (
    AudienceChanged,
    CampaignStopped,
)
from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.admin import controls
from airflow_provider_caixin.ledger.queue import sorting
from airflow_provider_caixin.sandbox import SandboxServer, magic_mobile
from tests.integration.campaigns import BEIJING, Make, numbers


def test_an_audience_file_that_is_gone_next_morning(make: Make, tmp_path: Path) -> None:
    """The ledger has the audience; a file that was never loaded is an error."""
    file = tmp_path / "audience.txt"
    file.write_text("\n".join(numbers(3)))
    make().load(FileAudience(file), "dag/run/task")
    file.unlink()
    campaign = make()
    assert not campaign.load(FileAudience(file), "dag/run/task")
    campaign.send()
    assert campaign.counts().sent == 3
    with pytest.raises(AudienceError):
        campaign.load(FileAudience(file), "dag/run")
    with pytest.raises(AudienceError):
        campaign.load(FileAudience(tmp_path / "another.txt"), "dag/run/task")


def test_a_file_that_changed_under_its_campaign(
    make: Make, gateway: SandboxServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its recipients decide.

    The same are silent, more are a WARNING, others are refused until a person said which are meant.
    """
    file, everybody = tmp_path / "audience.txt", numbers(6)

    def load(given: list[str], **said: Any) -> bool:
        caplog.clear()
        before = file.stat().st_mtime_ns if file.exists() else 0
        file.write_text("\n".join(given))
        os.utime(file, ns=(before + 10**9, before + 10**9))
        return make().load(FileAudience(file), "dag/run/task/-1", **said)

    assert load(everybody[:3])
    assert load(everybody[:3])
    assert not make().load(FileAudience(file), "dag/run/task/-1")
    assert "changed" not in caplog.text
    assert load(everybody[:4])
    [warning] = [one.message for one in caplog.records if one.levelname == "WARNING"]
    assert "1 are new. They are added." in warning
    refused = r"2 are new and 1 are gone, 1 of whom .*Nobody was added.*audience_change=.add.*keep.*cancel"
    with pytest.raises(AudienceChanged, match=refused) as raised:
        load(everybody[1:])
    assert not any(number in str(raised.value) for number in everybody)
    # The path was wrong, and is corrected.
    corrected = tmp_path / "corrected.txt"
    corrected.write_text(everybody[5])
    with pytest.raises(AudienceChanged, match="1 are new and 4 are gone"):
        make().load(FileAudience(corrected), "dag/run/task/-1")
    assert not load(everybody[1:], audience_change="keep")
    assert "goes on with the first list" in caplog.text
    make().send()
    assert sorted(row["mobile"] for row in gateway.billed()) == everybody[:4]
    assert load(everybody[1:], audience_change="add")
    make().send()
    assert sorted(row["mobile"] for row in gateway.billed()) == everybody
    # Who is gone has had it: nothing is left to decide.
    assert load(everybody[1:])


def test_who_is_gone_from_a_file_and_would_get_it_all_the_same(make: Make, tmp_path: Path) -> None:
    """It is refused, until a person said so or cancelled the campaign."""
    file, everybody = tmp_path / "audience.txt", numbers(3)
    file.write_text("\n".join(everybody))
    make().load(FileAudience(file), "dag/run/task/-1")
    file.write_text(everybody[0])
    for _ in range(2):
        with pytest.raises(AudienceChanged, match="0 are new and 2 are gone, 2 of whom would still get"):
            make().load(FileAudience(file), "dag/run/task/-1")
    campaign = make()
    assert campaign.load(FileAudience(file), "dag/run/task/-1", audience_change="keep")
    file.unlink()
    file.write_text("")
    controls.cancel_campaign(campaign._ledger, "campaign")
    assert make().load(FileAudience(file), "dag/run/task/-1")


def test_who_is_gone_from_a_list_and_kept_out_by_a_rule(
    make: Make, gateway: SandboxServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Whom the rules of this run would let pass is still to come.

    Whom they keep out is nobody's business any more.
    """
    here, beijing = numbers(1)[0], "13501000001"
    blocked = {"classifier": Classifier(blocked_regions=["北京"])}

    def load(*given: str, **plan: Any) -> bool:
        return make(**plan).load(audience_from(list(given)), "dag/run/task")

    assert load(here, beijing, magic_mobile(99004), **blocked)
    make(**blocked).send()
    assert load(here, magic_mobile(99004), **blocked)
    with pytest.raises(AudienceChanged, match="2 are gone, 1 of whom would still get"):
        load(here, **blocked, on_unknown="resend")
    with pytest.raises(AudienceChanged, match="2 are gone, 1 of whom would still get"):
        load(here)
    assert load(here, **blocked)
    assert load(**blocked)
    assert "Nobody is in it now: the campaign goes on with the first list." in caplog.text
    make(**blocked).send()
    assert gateway.state()["requests"] == 2


def test_nothing_of_an_unreadable_audience_is_kept(make: Make, gateway: SandboxServer) -> None:
    """It is judged before the ledger is touched, and the same source may give something better next time."""
    campaign = make()
    with pytest.raises(AudienceError, match="none of the 2 rows is a mobile number"):
        campaign.load(audience_from(["9.9", "19.9"]), "dag/run/task")
    assert campaign.counts().total == 0
    assert campaign.load(audience_from(["9.9", *numbers(1)]), "dag/run/task")
    campaign.send()
    assert (campaign.counts().sent, campaign.counts().skipped) == (1, {"invalid_number": 1})
    assert len(gateway.billed()) == 1


def test_a_load_that_broke_off_under_other_rules(
    make: Make, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had skipped is looked at again: the next load takes its rows over as they are."""
    monkeypatch.setattr(sorting, "BATCH_ROWS", 1)
    first = make(classifier=Classifier(blocked_regions=["北京"]))

    def merged() -> bool:
        with ledger.reading() as connection:
            rows = sa.select(sa.func.count()).select_from(schema.recipient)
            return int(connection.execute(rows).scalar_one()) == 2

    with pytest.raises(CampaignStopped):
        first.load(audience_from([BEIJING, *numbers(2)]), "source", merged)
    second = make(classifier=Classifier())
    second.load(audience_from([BEIJING, *numbers(2)]), "source")
    second.send()
    assert second.counts().sent == 3


def test_a_loaded_audience_without_end_is_no_hindrance(make: Make) -> None:
    """An empty audience is a campaign with nothing to do."""
    campaign = make([])
    campaign.send()
    assert campaign.counts().total == 0
