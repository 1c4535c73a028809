from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.ledger import CampaignMismatch, Ledger, schema
from airflow_provider_caixin.ledger.errors import LoadGivenUp, LoadLost
from airflow_provider_caixin.ledger.queue import draw as drawing
from airflow_provider_caixin.ledger.queue import load as loads
from airflow_provider_caixin.ledger.queue import sorting
from airflow_provider_caixin.ledger.queue.load import Change, LoadUnwanted, Revision, load_audience
from airflow_provider_caixin.ledger.queue.sorting import sorted_audience
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.rows import load as load_rows
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.rows.load import visible_ranges
from airflow_provider_caixin.ledger.views import reports
from airflow_provider_caixin.vocabulary import SkipReason, State

Rows = list[tuple[str, str | None]]


def make(ledger: Ledger, name: str = "campaign") -> int:
    """Make a campaign."""
    with ledger.writing() as connection:
        account = account_names.find_account(ledger, connection, "account")
        return campaign_rows.find_campaign(ledger, connection, name, account, 65535, 1_795_400_000.0)


def load(ledger: Ledger, campaign: int, source: str, rows: Iterable[tuple[str, str | None]]) -> bool:
    """Load rows with a lease that nothing here outlasts."""
    return load_audience(ledger, campaign, source, lambda: rows, lease=60)


def states(ledger: Ledger, campaign: int) -> Counter[tuple[str, str, str | None]]:
    """Count what a campaign's runs can see: number, state, reason."""
    with ledger.reading() as connection:
        return Counter(
            (row.mobile, row.state, row.reason) for row in reports.read_report(connection, campaign, 0.0)
        )


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
        assert [row.mobile for row in reports.read_report(connection, campaign, 0.0)] == [
            C,
            A,
            "x",
            B,
            "13800000000",
        ]


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
        assert drawing.draw_pending(connection, campaign, ledger.now(connection), 9, ranges) == []
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

    def lease(seconds: float) -> None:
        with ledger.writing() as connection:
            connection.execute(sa.update(schema.load).values(lease=ledger.now(connection) + seconds))

    def late() -> Iterable[tuple[str, str | None]]:
        lease(-1)
        crash_half_way(ledger, campaign, "second", [(A, None), (B, None)])
        lease(50)
        yield from [(B, None), (C, None)]

    assert load_audience(ledger, campaign, "first", late, lease=60)
    assert states(ledger, campaign) == {(B, "pending", None): 1, (C, "pending", None): 1}


def test_who_is_not_in_the_source_any_more_is_not_sent_to(ledger: Ledger) -> None:
    """Somebody opted out between an attempt that died and the next: a query gives other people then, under the same name."""
    campaign = make(ledger)
    crash_half_way(ledger, campaign, "query", [(A, None), (B, None)])
    assert load(ledger, campaign, "query", [(B, None)])
    assert states(ledger, campaign) == {(B, "pending", None): 1}
    assert counts(ledger, campaign)[State.PENDING] == 1
    assert not load(ledger, campaign, "query", [(A, None)])
    with ledger.reading() as connection:
        assert not load_rows.is_unfinished(connection, campaign)
    assert load(ledger, campaign, "another", [(A, None)])
    assert counts(ledger, campaign)[State.PENDING] == 2


def test_a_loader_that_was_thought_dead_adds_nobody(ledger: Ledger) -> None:
    """It was suspended for longer than its lease, and another one began anew meanwhile."""
    campaign = make(ledger)

    def suspended() -> Iterable[tuple[str, str | None]]:
        with ledger.writing() as connection:
            connection.execute(sa.update(schema.load).values(lease=ledger.now(connection) - 1))
        assert load(ledger, campaign, "query", [(B, None)])
        yield A, None

    with pytest.raises(LoadLost):
        load_audience(ledger, campaign, "query", suspended, lease=60)
    assert states(ledger, campaign) == {(B, "pending", None): 1}


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
        account = account_names.find_account(ledger, connection, "account")
        other = account_names.find_account(ledger, connection, "Account")
        with pytest.raises(CampaignMismatch, match=r"template 65535, not 65536.*cancel that campaign"):
            campaign_rows.find_campaign(ledger, connection, "campaign", account, 65536, 0.0)
        with pytest.raises(CampaignMismatch, match="another account"):
            campaign_rows.find_campaign(ledger, connection, "campaign", other, 65535, 0.0)
        upper = campaign_rows.find_campaign(ledger, connection, "CAMPAIGN", other, 65535, 0.0)
        long = campaign_rows.find_campaign(ledger, connection, "活动" * 3_000, account, 65535, 0.0)
        assert (
            len(
                {
                    upper,
                    long,
                    campaign_rows.find_campaign(ledger, connection, "campaign", account, 65535, 0.0),
                }
            )
            == 3
        )


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


def test_a_load_that_broke_off_is_known_to_nobody(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preview counts its rows as new, as the next load brings them; and no run takes up whom it had skipped."""
    monkeypatch.setattr(sorting, "BATCH_ROWS", 2)
    campaign = make(ledger)
    load(ledger, campaign, "s", [(A, None)])
    batches = iter((False, False, True))
    with pytest.raises(LoadGivenUp):
        load_audience(
            ledger,
            campaign,
            "t",
            lambda: [(B, None), (C, "not_china_mobile"), ("13999999999", None)],
            lease=60,
            give_up=lambda: next(batches),
        )
    with ledger.reading() as connection:
        everybody = sa.select(sa.func.count()).where(schema.recipient.c.campaign == campaign)
        assert connection.execute(everybody).scalar_one() == 3
        assert drawing.known_keys(connection, campaign, [A, B, C]) == {(A, 1)}
        assert list(drawing.skipped_batches(connection, campaign, [SkipReason.NOT_CHINA_MOBILE])) == []


def test_an_attempt_that_came_to_nothing_leaves_no_row_behind(ledger: Ledger) -> None:
    """However often a source is not there: each row makes each look at the campaign longer."""
    campaign = make(ledger)

    def broken() -> Rows:
        raise OSError("the share went away")

    for _ in range(3):
        with pytest.raises(OSError, match="share"):
            load_audience(ledger, campaign, "s", broken, lease=60)
    assert load(ledger, campaign, "s", [(A, None)])
    with ledger.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.load)).scalar_one() == 1


def test_nobody_waits_for_a_load_of_the_time_before_the_clock_went_back(ledger: Ledger) -> None:
    """Its lease seems to end in hours; it is dead, and so is one of another source with people in common."""
    campaign = make(ledger)
    for source in ("s", "t"):
        crash_half_way(ledger, campaign, source, [(A, None), (B, None)])
    with ledger.writing() as connection:
        hours = ledger.now(connection) + 7_200
        connection.execute(sa.update(schema.load).values(owner="dead", lease=hours))
        assert not load_rows.being_loaded(connection, campaign, ledger.now(connection))
    patience = iter([False] * 20)
    assert load_audience(
        ledger, campaign, "t", lambda: [(A, None)], lease=60, give_up=lambda: next(patience, True)
    )
    assert states(ledger, campaign) == {(A, "pending", None): 1}


def test_a_retry_does_not_revive_a_load_that_others_saw_die(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They wait for nobody of its name, merge once more, and nobody is left behind under a load that is broken off."""
    monkeypatch.setattr(sorting, "BATCH_ROWS", 1)
    campaign = make(ledger)

    def stop_after(number: int) -> Callable[[], bool]:
        asked = itertools.count()
        return lambda: next(asked) >= number

    # Asked once when the source has been read and once before each batch.
    second_is_merged, third_is_merged = threading.Event(), threading.Event()

    def second_waits() -> bool:
        if merged("B"):
            second_is_merged.set()
            third_is_merged.wait(30)
        return False

    def merged(number: str) -> bool:
        table = schema.recipient
        with ledger.reading() as connection:
            return (
                connection.execute(sa.select(table.c.id).where(table.c.number == number)).first() is not None
            )

    second = threading.Thread(
        target=load_audience,
        args=(ledger, campaign, "second", lambda: [("A", None), ("B", None)]),
        kwargs={"lease": 60, "give_up": second_waits},
    )

    def first_dies() -> bool:
        if not merged("A"):
            return False
        second.start()
        assert second_is_merged.wait(30)
        return True

    with pytest.raises(LoadGivenUp):
        load_audience(ledger, campaign, "first", lambda: [("A", None)] * 2, lease=60, give_up=first_dies)
    with pytest.raises(LoadGivenUp):
        load_audience(
            ledger, campaign, "third", lambda: [("A", None), ("C", None)], lease=60, give_up=stop_after(2)
        )
    retry = (ledger, campaign, "first", lambda: [("D", None)])
    # It waits for the second one, which has to find what is left of the attempt that died.
    with suppress(LoadGivenUp):
        load_audience(*retry, lease=60, give_up=stop_after(5))
    third_is_merged.set()
    second.join(60)
    assert load_audience(*retry, lease=60)
    assert states(ledger, campaign) == {(name, "pending", None): 1 for name in "ABD"}


def test_a_loader_that_slept_while_it_merged_looks_once_more(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another load took its rows for those of a dead one, and died itself."""
    monkeypatch.setattr(sorting, "BATCH_ROWS", 1)
    campaign = make(ledger)
    slept: list[bool] = []

    def sleeps() -> bool:
        table = schema.recipient
        with ledger.reading() as connection:
            merged = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 1
        if merged and not slept:
            slept.append(True)
            with ledger.writing() as connection:
                connection.execute(sa.update(schema.load).values(lease=ledger.now(connection) - 1))
            asked = itertools.count()
            with pytest.raises(LoadGivenUp):
                load_audience(
                    ledger,
                    campaign,
                    "another",
                    lambda: [(A, None), (C, None)],
                    lease=60,
                    give_up=lambda: next(asked) >= 2,
                )
        return False

    assert load_audience(ledger, campaign, "s", lambda: [(A, None), (B, None)], lease=60, give_up=sleeps)
    assert slept
    assert states(ledger, campaign) == {(A, "pending", None): 1, (B, "pending", None): 1}


def change(ledger: Ledger, campaign: int, source: str, rows: Rows, *, wanted: bool = True) -> Change:
    """Load another version of the source ``s``, and give what is different."""
    told: list[Change] = []

    def heed(found: Change) -> bool:
        told.append(found)
        return wanted

    def is_same(name: str) -> bool:
        return name.startswith("s/")

    options: Any = {
        "lease": 60,
        "revision": Revision(is_same, lambda _, numbers: len({*numbers} - {B}), heed),
    }
    if wanted:
        assert load_audience(ledger, campaign, source, lambda: rows, **options)
    else:
        with pytest.raises(LoadUnwanted) as refused:
            load_audience(ledger, campaign, source, lambda: rows, **options)
        assert refused.value.change == told[0]
    return told[0]


def test_a_source_that_changed_is_compared_by_its_people(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by rows, order, or what is no number; people of other sources are neither new nor gone."""
    monkeypatch.setattr(sorting, "BATCH_ROWS", 2)
    for name in ("_TOGETHER", "_IN_MEMORY"):
        monkeypatch.setattr(loads, name, 1)
    campaign = make(ledger)
    other: Rows = [("13900000001", None), ("13900000002", None)]
    load(ledger, campaign, "other/1", other)
    load(
        ledger,
        campaign,
        "s/1",
        [(A, None), (B, "blocked_region"), (C, "frequency_cap"), (A, None), *other[:1]],
    )
    same: Rows = [(C, None), ("x", "invalid_number"), (B, None), (B, None), (A, None)]
    assert change(ledger, campaign, "s/2", same) == Change(3, 0, 0, 0)
    assert change(ledger, campaign, "s/3", [*same, *other]) == Change(5, 0, 0, 0)
    assert change(ledger, campaign, "s/4", [*same, ("13900000003", None)]) == Change(4, 1, 0, 0)
    # The rules let nobody reach B; C may be sent to tomorrow.
    assert change(ledger, campaign, "s/5", [("13900000003", None)]) == Change(1, 0, 3, 2)
    assert change(ledger, campaign, "s/6", [*same, ("13900000004", None)]) == Change(4, 1, 1, 1)
    pending = {row for row, state, _ in states(ledger, campaign) if state == "pending"}
    assert pending == {A, *(f"1390000000{last}" for last in range(1, 5))}


def test_a_change_that_is_not_wanted_leaves_nothing_behind(ledger: Ledger) -> None:
    """No row, no load that anybody waits for; who wants it loads it."""
    campaign = make(ledger)
    load(ledger, campaign, "s/1", [(A, None), (B, None)])
    before = states(ledger, campaign)
    for _ in range(2):
        found = change(ledger, campaign, "s/2", [(B, None), (C, None), (C, None)], wanted=False)
        assert found == Change(2, 1, 1, 1)
    assert states(ledger, campaign) == before
    with ledger.reading() as connection:
        for table, number in ((schema.load, 1), (schema.recipient, 2)):
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == number
    assert change(ledger, campaign, "s/2", [(B, None), (C, None)]) == Change(2, 1, 1, 1)
    assert counts(ledger, campaign)[State.PENDING] == 3


def test_two_versions_of_a_source_at_once(ledger: Ledger) -> None:
    """Whoever ends second is compared with the first, also when it had begun with nothing to compare with."""
    campaign = make(ledger)
    crash_half_way(ledger, campaign, "s/1", [(A, None), (B, None)])

    def meanwhile() -> Rows:
        with ledger.writing() as connection:
            first = sa.update(schema.load).where(schema.load.c.source == "s/1")
            connection.execute(first.values(done=True, owner=None))
        return [(B, None), (C, None)]

    with pytest.raises(LoadUnwanted) as refused:
        load_audience(
            ledger,
            campaign,
            "s/2",
            meanwhile,
            lease=60,
            revision=Revision(
                lambda name: name.startswith("s/"), lambda _, numbers: len(numbers), lambda _: False
            ),
        )
    assert refused.value.change == Change(2, 1, 1, 1)
    assert states(ledger, campaign) == {(A, "pending", None): 1, (B, "pending", None): 1}
    with ledger.reading() as connection:
        assert not load_rows.is_unfinished(connection, campaign)
    assert load(ledger, campaign, "another", [(C, None)])
    assert counts(ledger, campaign)[State.PENDING] == 3
