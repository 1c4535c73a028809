from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.queue import load as loads
from airflow_provider_caixin.ledger.queue import revision as revisions
from airflow_provider_caixin.ledger.queue import sorting
from airflow_provider_caixin.ledger.queue.load import load_audience
from airflow_provider_caixin.ledger.queue.revision import Change, LoadUnwanted, Revision
from airflow_provider_caixin.ledger.rows import load as load_rows
from airflow_provider_caixin.vocabulary import State
from tests.unit.ledger.loads import Rows, counts, crash_half_way, load, make, states

A, B, C = "13912345678", "13912345679", "13912345680"


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


def test_a_source_that_changed_is_compared_by_its_recipients(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by rows, order, or what is no number; numbers of other sources are neither new nor gone."""
    monkeypatch.setattr(sorting, "BATCH_ROWS", 2)
    monkeypatch.setattr(revisions, "_LOOKUP_ROWS", 1)
    monkeypatch.setattr(loads, "_IN_MEMORY_BYTES", 1)
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
