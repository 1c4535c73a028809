from __future__ import annotations

import time

import pytest

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import unknowns
from airflow_provider_caixin.ledger.errors import NoSuchCampaign
from airflow_provider_caixin.ledger.queue import settle as settlements
from airflow_provider_caixin.ledger.queue.settle import Settlement
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.rows.account import AccountRow
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.views import checks
from airflow_provider_caixin.ledger.views import unknowns as unknown_views
from airflow_provider_caixin.ledger.views import usage as usage_views
from airflow_provider_caixin.vocabulary import State
from tests.unit.ledger.conftest import Past

NUMBERS = [str(13_900_000_000 + index) for index in range(6)]

NOW = float(int(time.time()))


def late(ledger: Ledger, campaign: int, recipient: int) -> None:
    """Let the answer to a request come at last."""
    with ledger.writing() as connection:
        account = AccountRow.open(connection, CampaignRow.read(connection, campaign).account)
        row = CampaignRow.lock(connection, campaign)
        settlements.write_settlements(
            connection, account, row, [Settlement(recipient, "claim", State.SENT, sid="late")]
        )
        row.save(connection)


def test_a_person_settles_what_nobody_knows(
    past: Past, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In batches; the day's count, the minutes and the campaign's counts follow, a late answer does not."""
    monkeypatch.setattr(unknowns, "_BATCH_ROWS", 2)
    key = past.campaign("campaign", *NUMBERS)
    past.sent(key, dict.fromkeys(NUMBERS[:5], State.UNKNOWN), NOW)
    with ledger.reading() as connection:
        listed = unknown_views.unknowns(connection, key, NOW, most=3)
        assert [one.number for one in listed] == NUMBERS[:3]
        assert [
            one.number for one in unknown_views.unknowns(connection, key, NOW, after=listed[-1].id)
        ] == NUMBERS[3:5]
        assert unknown_views.oldest(connection, key, NOW) == NOW
        chosen = list(unknown_views.find(connection, key, [*NUMBERS[:3], NUMBERS[5], "13911111111"], NOW))
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


def test_a_word_about_an_earlier_request(past: Past, ledger: Ledger) -> None:
    """What was sent again since the list was shown is left alone; a moment of a wrong clock is no reason."""
    key = past.campaign("campaign", *NUMBERS[:2])
    past.sent(key, {NUMBERS[0]: State.UNKNOWN}, NOW - 5)
    past.sent(key, {NUMBERS[1]: State.UNKNOWN}, NOW + 9_999)
    with ledger.reading() as connection:
        once, ahead = (one.id for one in unknown_views.unknowns(connection, key, NOW))
    assert unknowns.resolve(ledger, key, [once], "pending", before=NOW - 6) == 0
    assert unknowns.resolve(ledger, key, [once], "pending", before=NOW - 5) == 1
    assert unknowns.resolve(ledger, key, [ahead], "sent", before=NOW - 6) == 1


def test_an_unknown_outcome_of_another_campaign_is_left_alone(past: Past, ledger: Ledger) -> None:
    """Keys are a campaign's own: a number of another one resolves nothing."""
    key, other = past.campaign("campaign", *NUMBERS), past.campaign("other", *NUMBERS)
    past.sent(key, {NUMBERS[0]: State.UNKNOWN}, NOW)
    with ledger.reading() as connection:
        ids = [one.id for one in unknown_views.unknowns(connection, key, NOW)]
        assert unknown_views.oldest(connection, other, NOW) is None
    assert unknowns.resolve(ledger, other, ids, "sent") == 0
    assert past.counts(key)["unknown"] == 1
    with ledger.reading() as connection, pytest.raises(NoSuchCampaign):
        campaign_rows.known_campaign(connection, "third")
