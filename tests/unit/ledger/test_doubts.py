from __future__ import annotations

import time

import pytest

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import controls, unknowns
from airflow_provider_caixin.ledger.errors import CancelledForGood, NoSuchCampaign
from airflow_provider_caixin.ledger.queue import settle as settlements
from airflow_provider_caixin.ledger.queue.settle import Settlement
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.rows.account import AccountRow
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.views import checks
from airflow_provider_caixin.ledger.views import unknowns as unknown_views
from airflow_provider_caixin.ledger.views import usage as usage_views
from airflow_provider_caixin.vocabulary import State

from .conftest import Past

PEOPLE = [str(13_900_000_000 + index) for index in range(6)]
NOW = float(int(time.time()))


def test_a_person_settles_what_nobody_knows(
    past: Past, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In batches; the day's count, the minutes and the campaign's counts follow, and a late answer does not."""
    monkeypatch.setattr(unknowns, "BATCH", 2)
    key = past.campaign("campaign", *PEOPLE)
    past.sent(key, dict.fromkeys(PEOPLE[:5], State.UNKNOWN), NOW)
    with ledger.reading() as connection:
        listed = unknown_views.unknowns(connection, key, NOW, most=3)
        assert [one.number for one in listed] == PEOPLE[:3]
        assert [
            one.number for one in unknown_views.unknowns(connection, key, NOW, after=listed[-1].id)
        ] == PEOPLE[3:5]
        assert unknown_views.oldest(connection, key, NOW) == NOW
        chosen = list(unknown_views.find(connection, key, [*PEOPLE[:3], PEOPLE[5], "13911111111"], NOW))
    assert chosen == [one.id for one in listed]
    assert unknowns.resolve(ledger, key, chosen, "sent") == 3
    assert unknowns.resolve(ledger, key, chosen, "pending") == 0
    with ledger.reading() as connection:
        rest = [one.id for one in unknown_views.unknowns(connection, key, NOW)]
    assert unknowns.resolve(ledger, key, [*rest[:1], chosen[0]], "pending") == 1
    assert past.counts(key) == {"sent": 3, "pending": 2, "unknown": 1}
    assert past.day_count() == 4
    with ledger.reading() as connection:
        assert usage_views.minutes(connection, key, NOW) == [usage_views.Minute(int(NOW // 60), 3, 0, 1)]
    late(ledger, key, rest[0])
    assert past.counts(key) == {"sent": 3, "pending": 2, "unknown": 1}
    assert list(checks.disagreements(ledger)) == []


def late(ledger: Ledger, campaign: int, recipient: int) -> None:
    """Let the answer to a request come at last."""
    with ledger.writing() as connection:
        gate = AccountRow.open(connection, CampaignRow.read(connection, campaign).account)
        row = CampaignRow.lock(connection, campaign)
        settlements.write_settlements(
            connection, gate, row, [Settlement(recipient, "claim", State.SENT, sid="late")]
        )
        row.save(connection)


def test_a_word_about_an_earlier_request(past: Past, ledger: Ledger) -> None:
    """Whoever was sent to once more since the list was shown is another doubt; a moment of a wrong clock is no reason."""
    key = past.campaign("campaign", *PEOPLE[:2])
    past.sent(key, {PEOPLE[0]: State.UNKNOWN}, NOW - 5)
    past.sent(key, {PEOPLE[1]: State.UNKNOWN}, NOW + 9_999)
    with ledger.reading() as connection:
        once, ahead = (one.id for one in unknown_views.unknowns(connection, key, NOW))
    assert unknowns.resolve(ledger, key, [once], "pending", before=NOW - 6) == 0
    assert unknowns.resolve(ledger, key, [once], "pending", before=NOW - 5) == 1
    assert unknowns.resolve(ledger, key, [ahead], "sent", before=NOW - 6) == 1


def test_a_doubt_of_another_campaign_is_left_alone(past: Past, ledger: Ledger) -> None:
    """Keys are a campaign's own: a number of another one resolves nothing."""
    key, other = past.campaign("campaign", *PEOPLE), past.campaign("other", *PEOPLE)
    past.sent(key, {PEOPLE[0]: State.UNKNOWN}, NOW)
    with ledger.reading() as connection:
        ids = [one.id for one in unknown_views.unknowns(connection, key, NOW)]
        assert unknown_views.oldest(connection, other, NOW) is None
    assert unknowns.resolve(ledger, other, ids, "sent") == 0
    assert past.counts(key)["unknown"] == 1
    with ledger.reading() as connection, pytest.raises(NoSuchCampaign):
        campaign_rows.known_campaign(connection, "third")


def test_a_cancelled_campaign_sends_to_nobody_again(past: Past, ledger: Ledger) -> None:
    """So its doubts stay, or count as sent; and who was rejected stays so."""
    key = past.campaign("campaign", *PEOPLE)
    past.sent(key, dict.fromkeys(PEOPLE[:2], State.UNKNOWN), NOW)
    controls.cancel_campaign(ledger, "campaign")
    with ledger.reading() as connection:
        ids = [one.id for one in unknown_views.unknowns(connection, key, NOW)]
    with pytest.raises(CancelledForGood, match="leave its doubts, or count them as sent"):
        unknowns.resolve(ledger, key, ids, "pending")
    with pytest.raises(CancelledForGood, match="a new campaign can send to them"):
        controls.retry_rejected(ledger, "campaign", 236306)
    assert past.counts(key)["unknown"] == 2
    assert unknowns.resolve(ledger, key, ids, "sent") == 2
