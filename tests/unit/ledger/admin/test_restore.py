from __future__ import annotations

import time

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.china_time import china_midnight
from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.admin import controls, restore, unknowns
from airflow_provider_caixin.ledger.queue import draw as drawing
from airflow_provider_caixin.ledger.queue.load import load_audience
from airflow_provider_caixin.ledger.views import campaigns as campaign_views
from airflow_provider_caixin.ledger.views import checks
from airflow_provider_caixin.ledger.views import recipients as recipient_views
from airflow_provider_caixin.ledger.views import unknowns as unknown_views
from airflow_provider_caixin.vocabulary import State
from tests.unit.ledger.conftest import Past

NUMBERS = [str(13_900_000_000 + index) for index in range(8)]

DAY = 86_400.0

NOW = float(int(time.time()))

OLD = NOW - 30 * DAY

MIDNIGHT = china_midnight(NOW)


def test_what_a_ledger_from_a_backup_would_send_becomes_unknown(
    past: Past, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pending and in the air become unknown as of now; a campaign that was being loaded is paused."""
    monkeypatch.setattr(restore, "_BATCH_ROWS", 3)
    open_, done = past.campaign("open", *NUMBERS), past.campaign("done", *NUMBERS[:2])
    past.sent(open_, {NUMBERS[0]: State.SENT, NUMBERS[1]: State.IN_FLIGHT}, OLD)
    past.sent(done, dict.fromkeys(NUMBERS[:2], State.SENT), OLD)
    loading = past.campaign("loading", NUMBERS[0])
    with ledger.writing() as connection:
        connection.execute(sa.update(schema.load).where(schema.load.c.campaign == loading).values(done=False))
    found = restore.restored(ledger, MIDNIGHT)
    assert (found.recipients, found.campaigns, found.paused) == (8, ["open", "loading"], ["loading"])
    assert past.counts(open_) == {"sent": 1, "unknown": 7}
    with ledger.reading() as connection:
        (latest, *_) = recipient_views.history(connection, NUMBERS[7], NOW)
        assert abs((latest.sent_at or 0) - ledger.now(connection)) < 60
        summary = campaign_views.campaign(connection, loading, NOW)
        assert summary is not None
        assert summary.paused
    assert latest.reason == restore.RESTORED
    again = restore.restored(ledger, MIDNIGHT)
    assert (again.recipients, again.campaigns, again.paused) == (0, [], ["loading"])


def test_whom_a_rule_held_back_becomes_unknown_too(past: Past, ledger: Ledger) -> None:
    """Those whom a later run would have taken up; the day's count has each of them once."""
    passing = ["suppressed", "frequency_cap", "over_budget", "window_closed"]
    lasting = ["blocked_region", "not_china_mobile", "invalid_number", "cancelled"]
    skipped = dict(zip([*NUMBERS[1:], "nobody"], [*passing, *lasting], strict=True))
    key = past.campaign("campaign", NUMBERS[0], skipped=skipped)
    past.sent(key, {NUMBERS[0]: State.IN_FLIGHT}, NOW)
    yesterday = past.campaign("yesterday", NUMBERS[0], account="other")
    past.sent(yesterday, {NUMBERS[0]: State.IN_FLIGHT}, NOW - DAY)
    assert restore.restored(ledger, MIDNIGHT).recipients == 6
    assert past.counts(key) == {"unknown": 5, "skipped": 4}
    assert (past.day_count(), past.day_count("other")) == (5, 1)
    assert restore.restored(ledger, MIDNIGHT).recipients == 0
    with ledger.reading() as connection:
        ids = [one.id for one in unknown_views.unknowns(connection, key, NOW)]
    assert unknowns.resolve(ledger, key, ids, "pending") == 5
    assert past.day_count() == 0
    assert list(checks.disagreements(ledger)) == []


def test_unknown_outcomes_of_a_load_that_was_not_complete(past: Past, ledger: Ledger) -> None:
    """They are nobody's until the audience is loaded again: who is in it then is unknown, no other."""
    key = past.campaign("campaign", *NUMBERS[:2])
    with ledger.writing() as connection:
        connection.execute(sa.update(schema.load).values(done=False))
        ids = list(connection.execute(sa.select(schema.recipient.c.id)).scalars())
    assert restore.restored(ledger, MIDNIGHT).recipients == 2
    assert unknowns.resolve(ledger, key, ids, "pending") == 0
    with ledger.reading() as connection:
        later = ledger.now(connection) + DAY
        assert unknown_views.oldest(connection, key, NOW) is None
        assert list(unknown_views.find(connection, key, NUMBERS, NOW)) == []
        assert drawing.draw_unknown(connection, key, later, later, 9) == []
        assert recipient_views.history(connection, NUMBERS[0], NOW) == []
    assert load_audience(ledger, key, "source", lambda: [(NUMBERS[0], None), (NUMBERS[2], None)], lease=60)
    assert past.counts(key) == {"unknown": 1, "pending": 1}
    with ledger.reading() as connection:
        assert [one.number for one in unknown_views.unknowns(connection, key, NOW)] == NUMBERS[:1]
        assert len(recipient_views.history(connection, NUMBERS[0], NOW)) == 1
        assert recipient_views.history(connection, NUMBERS[1], NOW) == []


def test_what_is_over_in_the_backup_stays_as_it_is(past: Past, ledger: Ledger) -> None:
    """Nothing has left of a cancelled campaign; whom an old one held back stays skipped."""
    cancelled = past.campaign("cancelled", NUMBERS[0])
    controls.cancel_campaign(ledger, "cancelled")
    settled = past.campaign("settled", NUMBERS[0], skipped={NUMBERS[1]: "frequency_cap"})
    past.sent(settled, {NUMBERS[0]: State.SENT}, OLD)
    with ledger.writing() as connection:
        long_ago = sa.update(schema.campaign).where(schema.campaign.c.id == settled)
        connection.execute(long_ago.values(created_at=NOW - 40 * DAY, active_at=NOW - 40 * DAY))
    past.campaign("recent", NUMBERS[0])
    assert restore.restored(ledger, MIDNIGHT).campaigns == ["recent"]
    assert past.counts(cancelled) == {"skipped": 1}
    assert past.counts(settled) == {"sent": 1, "skipped": 1}


def test_an_unknown_outcome_from_a_backup_is_not_sent_once_more_by_a_rule(past: Past, ledger: Ledger) -> None:
    """It may have been, between the backup and its return; only a person knows."""
    key = past.campaign("campaign", *NUMBERS[:2])
    past.sent(key, {NUMBERS[0]: State.UNKNOWN}, OLD)
    later = NOW + DAY
    with ledger.reading() as connection:
        assert len(drawing.draw_unknown(connection, key, later, later, 9)) == 1
    restore.restored(ledger, MIDNIGHT)
    assert past.counts(key) == {"unknown": 2}
    with ledger.reading() as connection:
        assert drawing.draw_unknown(connection, key, later, later, 9) == []
    assert list(checks.disagreements(ledger)) == []
