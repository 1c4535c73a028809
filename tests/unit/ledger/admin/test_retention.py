from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.admin import controls, retention, suppressions, unknowns
from airflow_provider_caixin.ledger.errors import CampaignPurged
from airflow_provider_caixin.ledger.queue.load import load_audience
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.rows import tally as tallies
from airflow_provider_caixin.ledger.views import campaigns as campaign_views
from airflow_provider_caixin.ledger.views import checks
from airflow_provider_caixin.ledger.views import recipients as recipient_views
from airflow_provider_caixin.ledger.views import unknowns as unknown_views
from airflow_provider_caixin.ledger.views import usage as usage_views
from airflow_provider_caixin.vocabulary import State, Status
from tests.unit.ledger.conftest import Past

NUMBERS = [str(13_900_000_000 + index) for index in range(8)]

DAY = 86_400.0

NOW = float(int(time.time()))

OLD = NOW - 30 * DAY


def aged(ledger: Ledger, key: int) -> None:
    """Let a campaign be of a month ago."""
    with ledger.writing() as connection:
        change = sa.update(schema.campaign).where(schema.campaign.c.id == key)
        connection.execute(change.values(created_at=OLD, loaded_at=OLD, active_at=OLD))


def tally(ledger: Ledger, campaign: int) -> set[tuple[str, str | None, int | None, int]]:
    """Count a campaign by state, reason and code."""
    with ledger.reading() as connection:
        return set(tallies.tally(connection, campaign, NOW))


def test_recipients_of_old_campaigns_are_forgotten(
    past: Past, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts, minutes and suppressions stay, and the campaign sends nothing any more."""
    monkeypatch.setattr(retention, "_BATCH_ROWS", 3)
    old, open_, recent, late = (past.campaign(name, *NUMBERS) for name in ("old", "open", "recent", "late"))
    for key in (old, recent, late):
        past.sent(
            key,
            {**dict.fromkeys(NUMBERS[:5], State.SENT), NUMBERS[5]: State.REJECTED},
            OLD if key == old else NOW,
        )
        past.sent(key, dict.fromkeys(NUMBERS[6:], State.UNKNOWN), OLD)
    for key in (old, open_, late):
        aged(ledger, key)
    suppressions.suppress(ledger, NUMBERS[:1])
    before = tally(ledger, old)
    # What was sent to somebody yesterday is no month old, whatever else the campaign says of itself.
    (candidate,) = retention.purgeable(ledger, NOW - 8 * DAY)
    assert (candidate.campaign_id, candidate.recipients, candidate.unknown) == ("old", 8, 2)
    assert abs(candidate.ended_at - OLD) < 60
    assert list(retention.purge(ledger, NOW - 8 * DAY)) == [candidate]
    assert list(retention.purge(ledger, NOW - 8 * DAY)) == []
    with ledger.reading() as connection:
        assert {one.campaign_id for one in recipient_views.history(connection, NUMBERS[1], NOW)} == {
            "open",
            "late",
            "recent",
        }
        assert tally(ledger, old) == before
        # What an audience of a single number is called gives it away, as there are not so many.
        loaded = set(connection.execute(sa.select(schema.load.c.campaign)).scalars())
        assert loaded == {open_, recent, late}
        assert sum(minute.sent for minute in usage_views.minutes(connection, old, NOW)) == 5
        summary = campaign_views.campaign(connection, old, NOW)
        assert summary is not None
        assert summary.status(NOW) is Status.PURGED
        with pytest.raises(CampaignPurged, match=r"'old'.*its own campaign_id"):
            campaign_rows.peek_campaign(connection, "old", None, 65535)
    with pytest.raises(CampaignPurged):
        load_audience(ledger, old, "another source", lambda: [(NUMBERS[0], None)], lease=60)
    assert len(list(suppressions.suppressed(ledger))) == 1
    assert list(checks.disagreements(ledger)) == []


def test_who_is_just_being_loaded_is_not_forgotten(past: Past, ledger: Ledger) -> None:
    """An old campaign that gets more recipients is none that is over."""
    key = past.campaign("campaign", NUMBERS[0])
    past.sent(key, {NUMBERS[0]: State.SENT}, OLD)
    aged(ledger, key)
    purged: list[retention.Candidate] = []

    def rows() -> Iterator[tuple[str, None]]:
        purged.extend(retention.purge(ledger, NOW - 8 * DAY))
        yield NUMBERS[1], None

    assert load_audience(ledger, key, "more", rows, lease=60)
    assert purged == []
    assert past.counts(key)["pending"] == 1


def test_of_the_forgotten_nobody_is_sent_to_again(past: Past, ledger: Ledger) -> None:
    """Also by a person's word that comes while they are being forgotten."""
    key = past.campaign("campaign", *NUMBERS[:2])
    past.sent(key, {NUMBERS[0]: State.UNKNOWN, NUMBERS[1]: State.REJECTED}, OLD)
    with ledger.reading() as connection:
        ids = [one.id for one in unknown_views.unknowns(connection, key, NOW)]
    with ledger.writing() as connection:
        connection.execute(sa.update(schema.campaign).values(purged_at=NOW))
    with pytest.raises(CampaignPurged):
        unknowns.resolve(ledger, key, ids, "pending")
    with pytest.raises(CampaignPurged):
        controls.retry_rejected(ledger, "campaign", 236306)
    assert past.counts(key) == {"unknown": 1, "rejected": 1}


def test_what_went_on_since_the_look_is_not_forgotten(
    past: Past, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look is without a lock: a campaign may have sent something, and be over again, before its turn."""
    key = past.campaign("campaign", NUMBERS[0])
    past.sent(key, {NUMBERS[0]: State.SENT}, OLD)
    aged(ledger, key)
    found = retention.purgeable(ledger, NOW - 8 * DAY)
    assert [one.key for one in found] == [key]
    with ledger.writing() as connection:
        connection.execute(sa.update(schema.campaign).values(active_at=NOW))
    monkeypatch.setattr(retention, "purgeable", lambda *_: found)
    assert list(retention.purge(ledger, NOW - 8 * DAY)) == []
    assert past.counts(key) == {"sent": 1}


def test_a_cancelled_campaign_is_forgotten_although_nobody_ran_it_again(past: Past, ledger: Ledger) -> None:
    """What it had left is skipped as its next run would have done."""
    key = past.campaign("campaign", *NUMBERS)
    past.sent(key, {NUMBERS[0]: State.SENT}, OLD)
    aged(ledger, key)
    assert list(retention.purge(ledger, NOW - 8 * DAY)) == []
    controls.cancel_campaign(ledger, "campaign")
    assert [one.campaign_id for one in retention.purge(ledger, NOW - 8 * DAY)] == ["campaign"]
    assert past.counts(key) == {"sent": 1, "skipped": 7}
    assert tally(ledger, key) == {("sent", None, None, 1), ("skipped", "cancelled", None, 7)}
    assert checks.info(ledger).rows["recipient"] == 0


def test_a_campaign_whose_process_died_is_forgotten_as_well(past: Past, ledger: Ledger) -> None:
    """With a lease that no run has looked at since, or an audience that was never complete."""
    dead = past.campaign("dead", NUMBERS[0])
    past.sent(dead, {NUMBERS[0]: State.IN_FLIGHT}, OLD)
    broken_off = past.campaign("broken off", NUMBERS[1])
    for key in (dead, broken_off):
        aged(ledger, key)
    with ledger.writing() as connection:
        connection.execute(
            sa.update(schema.load).where(schema.load.c.campaign == broken_off).values(done=False)
        )
        never = sa.update(schema.campaign).where(schema.campaign.c.id == broken_off)
        connection.execute(never.values(loaded_at=None, pending=0))
    controls.cancel_campaign(ledger, "broken off")
    assert {one.key for one in retention.purge(ledger, NOW - 8 * DAY)} == {dead, broken_off}
    assert past.counts(dead) == {"unknown": 1}
    assert checks.info(ledger).rows["recipient"] == 0
