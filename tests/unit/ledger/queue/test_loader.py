from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.errors import LoadGivenUp, LoadLost
from airflow_provider_caixin.ledger.queue import sorting
from airflow_provider_caixin.ledger.queue.load import load_audience
from airflow_provider_caixin.ledger.rows import load as load_rows
from airflow_provider_caixin.vocabulary import State
from tests.unit.ledger.loads import Rows, counts, crash_half_way, load, make, states

A, B, C = "13912345678", "13912345679", "13912345680"


def test_another_source_adopts_the_rows_of_a_load_that_died(ledger: Ledger) -> None:
    """A corrected file under the same task has most of the same recipients: none of them may stay hidden."""
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


def test_loads_with_recipients_in_common_lose_none_when_one_dies(ledger: Ledger) -> None:
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
    """The earlier one takes the recipients they have in common."""
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
    """Its lease seems to end in hours; it is dead, as is one of another source with the same recipients."""
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
    """They wait for none of its name and merge again: none stays hidden under a load that broke off."""
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
