from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.admin import controls, restore, retention, suppressions, unknowns
from airflow_provider_caixin.ledger.errors import CampaignPurged
from airflow_provider_caixin.ledger.queue import draw as drawing
from airflow_provider_caixin.ledger.queue.load import load_audience
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.rows import tally as tallies
from airflow_provider_caixin.ledger.views import campaigns as campaign_views
from airflow_provider_caixin.ledger.views import checks
from airflow_provider_caixin.ledger.views import recipients as recipient_views
from airflow_provider_caixin.ledger.views import unknowns as unknown_views
from airflow_provider_caixin.ledger.views import usage as usage_views
from airflow_provider_caixin.vocabulary import State, Status

from .conftest import Past

PEOPLE = [str(13_900_000_000 + index) for index in range(8)]
DAY = 86_400.0
NOW = float(int(time.time()))
OLD = NOW - 30 * DAY
MIDNIGHT = NOW - NOW % DAY


def aged(ledger: Ledger, key: int) -> None:
    """Let a campaign be of a month ago."""
    with ledger.writing() as connection:
        change = sa.update(schema.campaign).where(schema.campaign.c.id == key)
        connection.execute(change.values(created_at=OLD, loaded_at=OLD, active_at=OLD))


def test_what_a_ledger_holds(past: Past, ledger: Ledger) -> None:
    """Its id, its tables' version, and its rows."""
    past.campaign("campaign", *PEOPLE)
    found = checks.info(ledger)
    assert (found.uuid, found.dialect, found.version) == (ledger.uuid, ledger.dialect, schema.SCHEMA_VERSION)
    assert (found.rows["recipient"], found.rows["campaign"], found.rows["traffic"]) == (8, 1, 0)


def test_counts_that_disagree_are_told(past: Past, ledger: Ledger) -> None:
    """Of a campaign's row and of its minutes."""
    key = past.campaign("campaign", *PEOPLE)
    past.sent(key, {PEOPLE[0]: State.SENT}, NOW)
    assert list(checks.disagreements(ledger)) == []
    with ledger.writing() as connection:
        connection.execute(sa.update(schema.campaign).values(pending=6))
        connection.execute(sa.update(schema.traffic).values(sent=2))
    assert list(checks.disagreements(ledger)) == [
        "campaign 'campaign': its row says 6 pending, and 7 recipients are.",
        "campaign 'campaign': its minutes say 2 requests sent, its recipients 1.",
    ]


def test_people_of_old_campaigns_are_forgotten(
    past: Past, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts, minutes and suppressions stay, and the campaign sends nothing any more."""
    monkeypatch.setattr(retention, "BATCH", 3)
    old, open_, recent, late = (past.campaign(name, *PEOPLE) for name in ("old", "open", "recent", "late"))
    for key in (old, recent, late):
        past.sent(
            key,
            {**dict.fromkeys(PEOPLE[:5], State.SENT), PEOPLE[5]: State.REJECTED},
            OLD if key == old else NOW,
        )
        past.sent(key, dict.fromkeys(PEOPLE[6:], State.UNKNOWN), OLD)
    for key in (old, open_, late):
        aged(ledger, key)
    suppressions.suppress(ledger, PEOPLE[:1])
    before = tally(ledger, old)
    # What was sent to somebody yesterday is no month old, whatever else the campaign says of itself.
    (candidate,) = retention.purgeable(ledger, NOW - 8 * DAY)
    assert (candidate.campaign_id, candidate.recipients, candidate.unknown) == ("old", 8, 2)
    assert abs(candidate.ended_at - OLD) < 60
    assert list(retention.purge(ledger, NOW - 8 * DAY)) == [candidate]
    assert list(retention.purge(ledger, NOW - 8 * DAY)) == []
    with ledger.reading() as connection:
        assert {one.campaign_id for one in recipient_views.history(connection, PEOPLE[1], NOW)} == {
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
        load_audience(ledger, old, "another source", lambda: [(PEOPLE[0], None)], lease=60)
    assert len(list(suppressions.suppressed(ledger))) == 1
    assert list(checks.disagreements(ledger)) == []


def tally(ledger: Ledger, campaign: int) -> set[tuple[str, str | None, int | None, int]]:
    """Count a campaign by state, reason and code."""
    with ledger.reading() as connection:
        return set(tallies.tally(connection, campaign, NOW))


def test_a_ledger_from_a_backup_doubts_what_it_would_send(
    past: Past, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pending and in the air become unknown as of now; a campaign that was being loaded is paused."""
    monkeypatch.setattr(retention, "BATCH", 3)
    open_, done = past.campaign("open", *PEOPLE), past.campaign("done", *PEOPLE[:2])
    past.sent(open_, {PEOPLE[0]: State.SENT, PEOPLE[1]: State.IN_FLIGHT}, OLD)
    past.sent(done, dict.fromkeys(PEOPLE[:2], State.SENT), OLD)
    loading = past.campaign("loading", PEOPLE[0])
    with ledger.writing() as connection:
        connection.execute(sa.update(schema.load).where(schema.load.c.campaign == loading).values(done=False))
    found = restore.restored(ledger, MIDNIGHT)
    assert (found.recipients, found.campaigns, found.paused) == (8, ["open", "loading"], ["loading"])
    assert past.counts(open_) == {"sent": 1, "unknown": 7}
    with ledger.reading() as connection:
        (latest, *_) = recipient_views.history(connection, PEOPLE[7], NOW)
        assert abs((latest.sent_at or 0) - ledger.now(connection)) < 60
        summary = campaign_views.campaign(connection, loading, NOW)
        assert summary is not None
        assert summary.paused
    assert latest.reason == restore.RESTORED
    again = restore.restored(ledger, MIDNIGHT)
    assert (again.recipients, again.campaigns, again.paused) == (0, [], ["loading"])


def test_who_is_just_being_loaded_is_not_forgotten(past: Past, ledger: Ledger) -> None:
    """An old campaign that gets more people is none that is over."""
    key = past.campaign("campaign", PEOPLE[0])
    past.sent(key, {PEOPLE[0]: State.SENT}, OLD)
    aged(ledger, key)
    purged: list[retention.Candidate] = []

    def rows() -> Iterator[tuple[str, None]]:
        purged.extend(retention.purge(ledger, NOW - 8 * DAY))
        yield PEOPLE[1], None

    assert load_audience(ledger, key, "more", rows, lease=60)
    assert purged == []
    assert past.counts(key)["pending"] == 1


def test_of_the_forgotten_nobody_is_sent_to_again(past: Past, ledger: Ledger) -> None:
    """Also by a person's word that comes while they are being forgotten."""
    key = past.campaign("campaign", *PEOPLE[:2])
    past.sent(key, {PEOPLE[0]: State.UNKNOWN, PEOPLE[1]: State.REJECTED}, OLD)
    with ledger.reading() as connection:
        ids = [one.id for one in unknown_views.unknowns(connection, key, NOW)]
    with ledger.writing() as connection:
        connection.execute(sa.update(schema.campaign).values(purged_at=NOW))
    with pytest.raises(CampaignPurged):
        unknowns.resolve(ledger, key, ids, "pending")
    with pytest.raises(CampaignPurged):
        controls.retry_rejected(ledger, "campaign", 236306)
    assert past.counts(key) == {"unknown": 1, "rejected": 1}


def test_whom_a_rule_held_back_is_doubted_too(past: Past, ledger: Ledger) -> None:
    """Those whom a later run would have taken up; the day's count has each of them once."""
    passing = ["suppressed", "frequency_cap", "over_budget", "window_closed"]
    lasting = ["blocked_region", "not_china_mobile", "invalid_number", "cancelled"]
    skipped = dict(zip([*PEOPLE[1:], "nobody"], [*passing, *lasting], strict=True))
    key = past.campaign("campaign", PEOPLE[0], skipped=skipped)
    past.sent(key, {PEOPLE[0]: State.IN_FLIGHT}, NOW)
    yesterday = past.campaign("yesterday", PEOPLE[0], account="other")
    past.sent(yesterday, {PEOPLE[0]: State.IN_FLIGHT}, NOW - DAY)
    assert restore.restored(ledger, MIDNIGHT).recipients == 6
    assert past.counts(key) == {"unknown": 5, "skipped": 4}
    assert (past.day_count(), past.day_count("other")) == (5, 1)
    assert restore.restored(ledger, MIDNIGHT).recipients == 0
    with ledger.reading() as connection:
        ids = [one.id for one in unknown_views.unknowns(connection, key, NOW)]
    assert unknowns.resolve(ledger, key, ids, "pending") == 5
    assert past.day_count() == 0
    assert list(checks.disagreements(ledger)) == []


def test_doubts_of_a_load_that_was_not_complete_are_nobodys(past: Past, ledger: Ledger) -> None:
    """Until the audience is loaded once more: who is in it then is in doubt, and the others are no part of the campaign."""
    key = past.campaign("campaign", *PEOPLE[:2])
    with ledger.writing() as connection:
        connection.execute(sa.update(schema.load).values(done=False))
        ids = list(connection.execute(sa.select(schema.recipient.c.id)).scalars())
    assert restore.restored(ledger, MIDNIGHT).recipients == 2
    assert unknowns.resolve(ledger, key, ids, "pending") == 0
    with ledger.reading() as connection:
        later = ledger.now(connection) + DAY
        assert unknown_views.oldest(connection, key, NOW) is None
        assert list(unknown_views.find(connection, key, PEOPLE, NOW)) == []
        assert drawing.draw_unknown(connection, key, later, later, 9) == []
        assert recipient_views.history(connection, PEOPLE[0], NOW) == []
    assert load_audience(ledger, key, "source", lambda: [(PEOPLE[0], None), (PEOPLE[2], None)], lease=60)
    assert past.counts(key) == {"unknown": 1, "pending": 1}
    with ledger.reading() as connection:
        assert [one.number for one in unknown_views.unknowns(connection, key, NOW)] == PEOPLE[:1]
        assert len(recipient_views.history(connection, PEOPLE[0], NOW)) == 1
        assert recipient_views.history(connection, PEOPLE[1], NOW) == []


def test_what_went_on_since_the_look_is_not_forgotten(
    past: Past, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look is without a lock: a campaign may have sent something, and be over once more, before its turn."""
    key = past.campaign("campaign", PEOPLE[0])
    past.sent(key, {PEOPLE[0]: State.SENT}, OLD)
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
    key = past.campaign("campaign", *PEOPLE)
    past.sent(key, {PEOPLE[0]: State.SENT}, OLD)
    aged(ledger, key)
    assert list(retention.purge(ledger, NOW - 8 * DAY)) == []
    controls.cancel_campaign(ledger, "campaign")
    assert [one.campaign_id for one in retention.purge(ledger, NOW - 8 * DAY)] == ["campaign"]
    assert past.counts(key) == {"sent": 1, "skipped": 7}
    assert tally(ledger, key) == {("sent", None, None, 1), ("skipped", "cancelled", None, 7)}
    assert checks.info(ledger).rows["recipient"] == 0


def test_what_is_over_in_the_backup_is_not_doubted(past: Past, ledger: Ledger) -> None:
    """Nothing has left of a cancelled campaign; and of long-settled ones nobody is taken up whom a rule held back."""
    cancelled = past.campaign("cancelled", PEOPLE[0])
    controls.cancel_campaign(ledger, "cancelled")
    settled = past.campaign("settled", PEOPLE[0], skipped={PEOPLE[1]: "frequency_cap"})
    past.sent(settled, {PEOPLE[0]: State.SENT}, OLD)
    with ledger.writing() as connection:
        long_ago = sa.update(schema.campaign).where(schema.campaign.c.id == settled)
        connection.execute(long_ago.values(created_at=NOW - 40 * DAY, active_at=NOW - 40 * DAY))
    past.campaign("recent", PEOPLE[0])
    assert restore.restored(ledger, MIDNIGHT).campaigns == ["recent"]
    assert past.counts(cancelled) == {"skipped": 1}
    assert past.counts(settled) == {"sent": 1, "skipped": 1}


def test_a_restored_doubt_is_not_sent_once_more_by_a_rule(past: Past, ledger: Ledger) -> None:
    """It may have been, between the backup and its return; only a person knows."""
    key = past.campaign("campaign", *PEOPLE[:2])
    past.sent(key, {PEOPLE[0]: State.UNKNOWN}, OLD)
    later = NOW + DAY
    with ledger.reading() as connection:
        assert len(drawing.draw_unknown(connection, key, later, later, 9)) == 1
    restore.restored(ledger, MIDNIGHT)
    assert past.counts(key) == {"unknown": 2}
    with ledger.reading() as connection:
        assert drawing.draw_unknown(connection, key, later, later, 9) == []
    assert list(checks.disagreements(ledger)) == []


def test_a_campaign_whose_process_died_is_forgotten_as_well(past: Past, ledger: Ledger) -> None:
    """With a lease that no run has looked at since, or an audience that was never complete."""
    dead = past.campaign("dead", PEOPLE[0])
    past.sent(dead, {PEOPLE[0]: State.IN_FLIGHT}, OLD)
    broken_off = past.campaign("broken off", PEOPLE[1])
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
