from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL

from airflow_provider_caixin.ledger import (
    CampaignMismatch,
    Ledger,
    LedgerError,
    State,
    campaigns,
    messages,
    schema,
)
from airflow_provider_caixin.ledger.campaigns import CampaignRow
from airflow_provider_caixin.ledger.loads import LoadGivenUp, load_audience, sorted_audience, visible_ranges

Rows = list[tuple[str, str | None]]


def make(ledger: Ledger, name: str = "campaign") -> int:
    """Make a campaign."""
    with ledger.writing() as connection:
        account = campaigns.find_account(ledger, connection, "account")
        return campaigns.find_campaign(ledger, connection, name, account, 65535, 1_795_400_000.0)


def load(ledger: Ledger, campaign: int, source: str, rows: Iterable[tuple[str, str | None]]) -> bool:
    """Load rows with a lease that nothing here outlasts."""
    return load_audience(ledger, campaign, source, lambda: rows, lease=60)


def states(ledger: Ledger, campaign: int) -> Counter[tuple[str, str, str | None]]:
    """Count what a campaign's runs can see: number, state, reason."""
    with ledger.reading() as connection:
        return Counter((row.mobile, row.state, row.reason) for row in messages.report(connection, campaign))


def counts(ledger: Ledger, campaign: int) -> dict[State, int]:
    """Read the campaign's own counts."""
    with ledger.reading() as connection:
        return CampaignRow.read(connection, campaign).counts


A, B, C = "13912345678", "13912345679", "13912345680"


def test_every_audience_row_is_a_ledger_row(ledger: Ledger) -> None:
    """A number's second occurrence is a duplicate, a row that is no number keeps its text."""
    campaign = make(ledger)
    assert load(ledger, campaign, "s", [(B, None), (A, None), (B, None), ("12", "invalid_number"), (B, None)])
    assert states(ledger, campaign) == {
        (B, "pending", None): 1,
        (B, "skipped", "duplicate"): 2,
        (A, "pending", None): 1,
        ("12", "skipped", "invalid_number"): 1,
    }
    assert counts(ledger, campaign)[State.PENDING] == 2
    assert counts(ledger, campaign)[State.SKIPPED] == 3


def test_the_report_has_the_audience_s_order(ledger: Ledger) -> None:
    """Rows are merged in the order of their numbers, and read in the order they came in."""
    campaign = make(ledger)
    load(ledger, campaign, "s", [(C, None), (A, None), ("x", "invalid_number"), (B, None)])
    load(ledger, campaign, "t", [("13800000000", None)])
    with ledger.reading() as connection:
        assert [row.mobile for row in messages.report(connection, campaign)] == [C, A, "x", B, "13800000000"]


def test_the_same_audience_adds_nothing_and_another_who_is_new(ledger: Ledger) -> None:
    """In whatever order it comes; a source that is done is not even opened."""
    campaign = make(ledger)
    load(ledger, campaign, "s", [(A, None), (B, None), (A, None)])
    before = states(ledger, campaign)

    def refuse() -> Rows:
        raise AssertionError("the source was opened again")

    assert not load_audience(ledger, campaign, "s", refuse, lease=60)
    assert load(ledger, campaign, "t", [(A, None), (A, None), (B, None)])
    assert states(ledger, campaign) == before
    load(ledger, campaign, "u", [(C, None), (A, None), (A, None), (A, None)])
    assert states(ledger, campaign) - before == {(C, "pending", None): 1, (A, "skipped", "duplicate"): 1}
    assert counts(ledger, campaign)[State.PENDING] == 3


def test_a_source_that_breaks_leaves_nothing_and_can_be_loaded_again(ledger: Ledger) -> None:
    """The error passes through; the next attempt does not wait for a lease."""
    campaign = make(ledger)

    def broken() -> Rows:
        raise OSError("the share went away")

    with pytest.raises(OSError, match="share"):
        load_audience(ledger, campaign, "s", broken, lease=60)
    assert states(ledger, campaign) == {}
    assert load(ledger, campaign, "s", [(A, None)])
    assert states(ledger, campaign) == {(A, "pending", None): 1}


def crash_half_way(ledger: Ledger, campaign: int, source: str, rows: Rows) -> None:
    """Leave what a process leaves that is killed in the middle of merging: rows, and a load that is not done."""
    load(ledger, campaign, source, rows)
    table = schema.load
    with ledger.writing() as connection:
        died = sa.update(table).where(table.c.hash == schema.digest(source))
        connection.execute(died.values(done=False, owner="dead", lease=ledger.now(connection) - 1))
        row = CampaignRow.lock(connection, campaign)
        row.counts = dict.fromkeys(State, 0)
        row.save(connection)


def test_rows_of_a_load_that_died_are_hidden_until_it_is_taken_over(ledger: Ledger) -> None:
    """Neither claims, counts nor the report see them; the same source makes them visible."""
    campaign = make(ledger)
    crash_half_way(ledger, campaign, "s", [(A, None), (B, None)])
    assert states(ledger, campaign) == {}
    with ledger.writing() as connection:
        ranges = visible_ranges(connection, campaign)
        assert messages.draw(connection, campaign, ledger.now(connection), 9, ranges) == []
    assert load(ledger, campaign, "s", [(A, None), (B, None)])
    assert states(ledger, campaign) == {(A, "pending", None): 1, (B, "pending", None): 1}
    assert counts(ledger, campaign)[State.PENDING] == 2


def test_another_source_adopts_the_rows_of_a_load_that_died(ledger: Ledger) -> None:
    """A corrected file under the same task has most of the same people: none of them may stay hidden."""
    campaign = make(ledger)
    crash_half_way(ledger, campaign, "s", [(A, None), (B, None)])
    assert load(ledger, campaign, "corrected", [(B, None), (C, None)])
    assert states(ledger, campaign) == {(B, "pending", None): 1, (C, "pending", None): 1}
    assert counts(ledger, campaign)[State.PENDING] == 2
    assert load(ledger, campaign, "s", [(A, None), (B, None)])
    assert states(ledger, campaign) == {
        (A, "pending", None): 1,
        (B, "pending", None): 1,
        (C, "pending", None): 1,
    }


def test_loads_with_people_in_common_lose_nobody_when_one_dies(ledger: Ledger) -> None:
    """While an earlier load is alive a later one waits for it; when it dies the later one takes its rows."""
    campaign = make(ledger)
    crash_half_way(ledger, campaign, "first", [(A, None), (B, None)])
    with ledger.writing() as connection:
        connection.execute(sa.update(schema.load).values(lease=ledger.now(connection) + 1.5))
    asked: list[int] = []

    def note() -> bool:
        asked.append(1)
        return False

    assert load_audience(ledger, campaign, "second", lambda: [(B, None), (C, None)], lease=60, give_up=note)
    assert len(asked) > 3
    assert states(ledger, campaign) == {(B, "pending", None): 1, (C, "pending", None): 1}
    assert counts(ledger, campaign)[State.PENDING] == 2


def test_a_later_load_does_not_hold_an_earlier_one_up(ledger: Ledger) -> None:
    """The earlier one takes the people they have in common."""
    campaign = make(ledger)
    load(ledger, campaign, "first", [])
    crash_half_way(ledger, campaign, "second", [(A, None), (B, None)])
    with ledger.writing() as connection:
        first = schema.load.c.hash == schema.digest("first")
        connection.execute(sa.update(schema.load).where(first).values(done=False, owner=None))
        connection.execute(sa.update(schema.load).where(~first).values(lease=ledger.now(connection) + 50))
    assert load(ledger, campaign, "first", [(B, None), (C, None)])
    assert states(ledger, campaign) == {(B, "pending", None): 1, (C, "pending", None): 1}


def test_a_reader_may_wait_for_a_file(ledger: Ledger) -> None:
    """PostgreSQL ends idle transactions of writers after seconds, but not a report that is being written."""
    if ledger.dialect == "postgresql":
        show = sa.text("SHOW idle_in_transaction_session_timeout")
        with ledger.reading() as connection:
            assert connection.execute(show).scalar_one() == "0"
        with ledger.writing() as connection:
            assert connection.execute(show).scalar_one() == "5s"


def test_one_source_is_loaded_by_one_process_at_a_time(ledger: Ledger) -> None:
    """The second one waits until the first is done, and finds it done."""
    campaign = make(ledger)
    reading, go_on, results = threading.Event(), threading.Event(), []

    def slow() -> Iterable[tuple[str, str | None]]:
        reading.set()
        assert go_on.wait(30)
        yield A, None

    first = threading.Thread(
        target=lambda: results.append(load_audience(ledger, campaign, "s", slow, lease=60))
    )
    first.start()
    assert reading.wait(30)
    asked = []

    def give_up() -> bool:
        asked.append(1)
        go_on.set()
        return False

    assert not load_audience(ledger, campaign, "s", lambda: [(B, None)], lease=60, give_up=give_up)
    first.join(30)
    assert results == [True]
    assert asked
    assert states(ledger, campaign) == {(A, "pending", None): 1}


def test_waiting_for_another_loader_can_be_given_up(ledger: Ledger) -> None:
    """A task that is told to stop does not wait for a lease."""
    campaign = make(ledger)
    crash_half_way(ledger, campaign, "s", [(A, None)])
    with ledger.writing() as connection:
        connection.execute(sa.update(schema.load).values(lease=ledger.now(connection) + 50))
    with pytest.raises(LoadGivenUp):
        load_audience(ledger, campaign, "s", lambda: [(A, None)], lease=60, give_up=lambda: True)
    assert states(ledger, campaign) == {}


def test_a_load_can_be_given_up_half_way(ledger: Ledger) -> None:
    """It is handed back: the next attempt waits for no lease and loads everyone."""
    campaign = make(ledger)
    rows: Rows = [(str(13_900_000_000 + index), None) for index in range(25_000)]
    asked = iter([False, False, True])
    with pytest.raises(LoadGivenUp):
        load_audience(ledger, campaign, "s", lambda: rows, lease=60, give_up=lambda: next(asked))
    assert states(ledger, campaign) == {}
    assert load(ledger, campaign, "s", rows)
    assert counts(ledger, campaign)[State.PENDING] == 25_000


def test_different_sources_load_side_by_side(ledger: Ledger) -> None:
    """Two threads merge overlapping audiences into one campaign: everyone once, and the counts are right."""
    campaign = make(ledger)
    people = [str(13_900_000_000 + index) for index in range(3_000)]
    threads = [
        threading.Thread(target=load, args=(ledger, campaign, name, [(one, None) for one in part]))
        for name, part in (("s", people[:2000]), ("t", people[1000:][::-1]))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert states(ledger, campaign) == {(one, "pending", None): 1 for one in people}
    assert counts(ledger, campaign)[State.PENDING] == 3_000


def test_a_campaign_has_one_template_and_one_account(ledger: Ledger) -> None:
    """Another one under the same id is refused, and the sentence names the way out."""
    make(ledger)
    with ledger.writing() as connection:
        account = campaigns.find_account(ledger, connection, "account")
        other = campaigns.find_account(ledger, connection, "Account")
        with pytest.raises(CampaignMismatch, match=r"template 65535, not 65536.*cancel that campaign"):
            campaigns.find_campaign(ledger, connection, "campaign", account, 65536, 0.0)
        with pytest.raises(CampaignMismatch, match="another account"):
            campaigns.find_campaign(ledger, connection, "campaign", other, 65535, 0.0)
        upper = campaigns.find_campaign(ledger, connection, "CAMPAIGN", other, 65535, 0.0)
        long = campaigns.find_campaign(ledger, connection, "活动" * 3_000, account, 65535, 0.0)
        assert (
            len({upper, long, campaigns.find_campaign(ledger, connection, "campaign", account, 65535, 0.0)})
            == 3
        )


def test_a_newer_ledger_is_refused(ledger: Ledger) -> None:
    """The sentence says which version is known and what to do."""
    with ledger.writing() as connection:
        newer = sa.update(schema.meta).where(schema.meta.c.name == "schema_version")
        connection.execute(newer.values(value=str(schema.SCHEMA_VERSION + 1)))
    with pytest.raises(LedgerError, match="upgrade airflow-provider-caixin"):
        Ledger(ledger.engine.url)


def test_many_may_make_a_ledger_at_once(ledger_url: URL) -> None:
    """They find one and the same ledger."""
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(Ledger, [ledger_url] * 8))
    assert len({one.uuid for one in opened}) == 1
    for one in opened:
        one.close()


def test_a_ledger_keeps_its_id(ledger: Ledger) -> None:
    """Opened again it is the same ledger."""
    again = Ledger(ledger.engine.url)
    assert again.uuid == ledger.uuid
    again.close()


def test_sorting_streams_every_row_once() -> None:
    """Sorted by number, with its place, and occurrences counted."""
    rows: Rows = [(B, None), (A, "blocked_region"), (B, None), (A, None)]
    found = [
        (row["number"], row["occurrence"], row["position"], row["reason"]) for row in sorted_audience(rows)
    ]
    assert found == [
        (A, 1, 1, "blocked_region"),
        (A, 2, 3, "duplicate"),
        (B, 1, 0, None),
        (B, 2, 2, "duplicate"),
    ]
