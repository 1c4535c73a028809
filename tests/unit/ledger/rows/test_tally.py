from __future__ import annotations

import time

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.ledger import Ledger, LedgerUnavailable, schema
from airflow_provider_caixin.ledger.admin import controls
from airflow_provider_caixin.ledger.queue.load import load_audience
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.rows import recipient as recipient_rows
from airflow_provider_caixin.ledger.rows import tally as tallies
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.vocabulary import SkipReason, State
from tests.databases import SERVERS
from tests.unit.ledger.conftest import Past

NUMBERS = [str(13_900_000_000 + index) for index in range(6)]

NOW = float(int(time.time()))


@pytest.fixture
def kept(past: Past, ledger: Ledger) -> int:
    """Make a campaign that rests, and keep its count."""
    key = past.campaign("campaign", *NUMBERS)
    past.sent(key, {NUMBERS[0]: State.SENT, NUMBERS[1]: State.REJECTED}, NOW)
    tallies.keep(ledger, key)
    return key


def read(ledger: Ledger, key: int) -> dict[tuple[str, str | None, int | None], int]:
    """Return a campaign's tally."""
    with ledger.reading() as connection:
        return {
            (state, reason, code): number
            for state, reason, code, number in tallies.tally(connection, key, NOW)
        }


def falsify(ledger: Ledger) -> None:
    """Change what was kept, so that it can be told from a count."""
    with ledger.writing() as connection:
        code = schema.tally.c.state == State.REJECTED.value
        connection.execute(sa.update(schema.tally).where(code).values(detail="1"))


@SERVERS
def test_strict_servers(ledger: Ledger) -> None:
    """Counting by state, reason and code needs no mode of the server's."""
    with ledger.writing() as connection:
        if ledger.dialect == "mysql":
            connection.exec_driver_sql("SET sql_mode = 'ONLY_FULL_GROUP_BY,STRICT_ALL_TABLES'")
        account = account_names.find_account(ledger, connection, "account")
        campaign = campaign_rows.find_campaign(ledger, connection, "campaign", account, 65535, 0.0)
        row = {"campaign": campaign, "occurrence": 1, "state": State.SKIPPED, "reason": SkipReason.DUPLICATE}
        values = [{**row, "number": str(13_900_000_000 + place), "position": place} for place in range(3)]
        connection.execute(sa.insert(schema.recipient), values)
        assert tallies.tally(connection, campaign, 0.0) == [("skipped", "duplicate", None, 3)]


def test_a_campaign_that_rests_is_not_counted_again(ledger: Ledger, kept: int) -> None:
    """What was kept is what is counted, and then it is what is given."""
    counted = read(ledger, kept)
    assert sum(counted.values()) == len(NUMBERS)
    [code] = [code for _, _, code in counted if code is not None]
    falsify(ledger)
    assert (State.REJECTED.value, None, 1) in read(ledger, kept)
    tallies.keep(ledger, kept)
    assert (State.REJECTED.value, None, code) in read(ledger, kept)
    with ledger.reading() as connection:
        assert tallies.outcomes(connection, kept) == ({}, {code: 1})


def test_whatever_changes_a_campaign_ends_it(ledger: Ledger, kept: int) -> None:
    """A person's word, another audience, a skip, and a tick that changes no number."""
    counted = read(ledger, kept)
    falsify(ledger)
    with ledger.writing() as connection:
        CampaignRow.lock(connection, kept).save(connection)
    assert read(ledger, kept) == counted
    [code] = [code for _, _, code in counted if code is not None]
    assert controls.retry_rejected(ledger, "campaign", code) == 1
    assert read(ledger, kept) == {("sent", None, None): 1, ("pending", None, None): 5}
    tallies.keep(ledger, kept)
    load_audience(ledger, kept, "another", lambda: [("13912345678", None)], lease=60)
    assert read(ledger, kept)["pending", None, None] == 6
    tallies.keep(ledger, kept)
    recipient_rows.skip_pending(ledger, kept, SkipReason.EXPIRED)
    assert read(ledger, kept) == {("sent", None, None): 1, ("skipped", "expired", None): 6}


def test_a_campaign_that_moves_is_left_as_it_is(
    ledger: Ledger, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tick between the count and its keeping: nothing is kept that was true before it."""
    counted = read(ledger, kept)

    def meanwhile(_connection: sa.Connection, _campaign: int, _now: float) -> list[tallies.Line]:
        with ledger.writing() as other:
            other.execute(sa.update(schema.campaign).values(active_at=NOW))
        return [tallies.Line("sent", None, None, 6)]

    with monkeypatch.context() as patch:
        patch.setattr(tallies, "count", meanwhile)
        tallies.keep(ledger, kept)
    assert read(ledger, kept) == counted


def test_a_ledger_that_is_busy_fails_nobody(
    ledger: Ledger, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run has sent to everybody by then; the count is made by whoever looks."""
    counted = read(ledger, kept)

    def busy() -> None:
        raise LedgerUnavailable("locked")

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "writing", busy)
        tallies.keep(ledger, kept)
    assert read(ledger, kept) == counted
