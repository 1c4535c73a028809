"""One transaction of the loop: what it takes, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from sqlalchemy.engine import Connection

from airflow_provider_caixin.campaign import Campaign
from airflow_provider_caixin.campaign.answers import Answer, Job
from airflow_provider_caixin.campaign.claiming import Known
from airflow_provider_caixin.campaign.clocks import Clocks
from airflow_provider_caixin.campaign.plan import Hours
from airflow_provider_caixin.campaign.tick import Due, Tick, TickFailed, may_claim, outcomes_of
from airflow_provider_caixin.juhe import NotPosted, OutcomeUnknown, RecipientRejected
from airflow_provider_caixin.ledger import Ledger, LedgerUnavailable
from airflow_provider_caixin.ledger.queue.settle import Settlement
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.rules import SendWindow
from airflow_provider_caixin.vocabulary import State
from tests.unit.campaign.conftest import NOW, NUMBERS, Make, VirtualTime, account, plan


def tick_of(campaign: Campaign, ledger: Ledger) -> Tick:
    """Make the ticks of a campaign, by a clock that stands still."""
    ledger.now = lambda connection: NOW + 100.0  # type: ignore[method-assign]  # noqa: ARG005
    return Tick(ledger, campaign._key, campaign.plan, Clocks(VirtualTime().machine), 60.0)


def due(
    tick: Tick, *answers: Answer, mark: str = "mark", free: int = 5, is_held: bool = False, **known: Any
) -> Due:
    """Make what there is for a tick to do."""
    return Due(mark, answers, free, Hours(tick.plan), lambda: is_held, Known(**known))


def test_a_tick_claims_and_settles(make: Make, sqlite_ledger: Ledger) -> None:
    """It returns all that came of it, and nobody can change that."""
    campaign = make([*NUMBERS[:3], "x"], rate=100.0)
    tick = tick_of(campaign, sqlite_ledger)
    first = tick.run(due(tick))
    assert [one.number for one in first.claim.jobs] == NUMBERS[:3]
    assert [one.slot for one in first.claim.jobs] == pytest.approx([100.0, 100.01, 100.02])
    assert {one.lease for one in first.claim.jobs} == {160.0}
    assert {one.claim for one in first.claim.jobs} == {"mark"}
    assert (first.counts[State.IN_FLIGHT], first.counts[State.PENDING]) == (3, 0)
    assert not first.outcomes
    results = ["sid", RecipientRejected(236306, "no"), NotPosted("late")]
    answers = [Answer(one, result) for one, result in zip(first.claim.jobs, results, strict=True)]  # type: ignore[arg-type]
    second = tick.run(due(tick, *answers, mark="another", is_held=True))
    assert [one.state for one in second.settlements] == [State.SENT, State.REJECTED, State.PENDING]
    assert second.outcomes == {(State.SENT, ""): 1, (State.REJECTED, "236306"): 1}
    assert (second.claim.jobs, second.counts[State.PENDING]) == ((), 1)
    with pytest.raises(FrozenInstanceError):
        second.paused = True  # type: ignore[misc]  # it is frozen


def test_nobody_is_claimed_but_for_a_free_sender(make: Make, sqlite_ledger: Ledger) -> None:
    """Nor beyond the volume of the day or the budget."""
    tick = tick_of(make(NUMBERS, rate=300.0, max_per_day=4, max_messages=3), sqlite_ledger)
    assert len(tick.run(due(tick, free=2)).claim.jobs) == 2
    third = tick.run(due(tick, free=9, mark="another"))
    assert len(third.claim.jobs) == 1
    assert not third.over_budget
    assert (third.volume, third.volume_used) == (4, False)
    answers = [Answer(one, OutcomeUnknown("x")) for one in third.claim.jobs]
    assert not tick.run(due(tick, *answers, free=0)).claim.jobs
    free = replace(tick, plan=replace(tick.plan, max_messages=None))
    last = free.run(due(free, free=9, mark="last"))
    assert (len(last.claim.jobs), last.volume_used) == (1, True)


class LostCommit:
    """A ledger's writing transaction whose end is not known.

    :param writing: the ledger's own.
    :param committed: whether it was committed.
    """

    def __init__(self, writing: Callable[[], Any], *, committed: bool) -> None:
        self._writing, self._committed = writing, committed

    @contextmanager
    def __call__(self) -> Iterator[Connection]:
        """Run it, and fail."""
        with self._writing() as connection:
            yield connection
            if not self._committed:
                raise LedgerUnavailable("The ledger did not answer: gone")
        raise LedgerUnavailable("The ledger did not answer: gone")


@pytest.mark.parametrize("committed", [True, False])
def test_claims_of_which_it_is_not_known_whether_they_were_made(
    make: Make, sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    """The failure names them, so that they can be given back, which is right in either case."""
    tick = tick_of(make(NUMBERS[:3]), sqlite_ledger)
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_ledger, "writing", LostCommit(sqlite_ledger.writing, committed=committed))
        with pytest.raises(TickFailed, match="did not answer: gone") as failed:
            tick.run(due(tick))
    lost: tuple[Job, ...] = failed.value.jobs
    assert [one.number for one in lost] == NUMBERS[:3]
    back = tick.run(due(tick, *(Answer(one, NotPosted("x")) for one in lost), is_held=True))
    assert back.counts[State.PENDING] == 3


def test_a_tick_that_never_began_has_claimed_nobody(
    make: Make, sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nobody to give back."""
    tick = tick_of(make(NUMBERS[:3]), sqlite_ledger)

    def gone() -> Any:
        raise LedgerUnavailable("The ledger did not answer: gone")

    monkeypatch.setattr(sqlite_ledger, "writing", gone)
    with pytest.raises(TickFailed) as failed:
        tick.run(due(tick))
    assert failed.value.jobs == ()


def row(**fields: Any) -> CampaignRow:
    """Make the row of a campaign."""
    given: Any = dict.fromkeys(
        ("loaded_at", "quota_since", "classified_by", "active_at", "purged_at", "tallied")
    )
    flags = {"paused": False, "cancelled": False, **fields}
    return CampaignRow(id=1, account=1, created_at=NOW, counts={}, **given, **flags)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"paused": True}, False),
        ({"cancelled": True}, False),
        ({"account_paused": True}, False),
        ({"is_held": True}, False),
        ({"apart": 29.0}, True),
        ({"apart": 31.0}, False),
        ({"window": SendWindow("00:00-00:01")}, False),
        ({"expires": NOW + 100.0}, False),
        ({"expires": NOW + 101.0}, True),
    ],
)
def test_what_forbids_to_claim(fields: dict[str, Any], expected: bool) -> None:
    """A person, the run itself, its clocks, window and expiry: each alone."""
    clocks = Clocks(VirtualTime().machine)
    apart = fields.pop("apart", 0.0)
    clocks.read(lambda: NOW + 100.0 + apart)
    hours = Hours(plan(window=fields.pop("window", None)), fields.pop("expires", None))
    of_account = account(paused=fields.pop("account_paused", False))
    is_held = fields.pop("is_held", False)
    assert may_claim(row(**fields), of_account, clocks, hours, is_held=is_held) is expected


def test_outcomes_are_counted_by_state_and_code() -> None:
    """Who waits once more has none yet."""
    settlements = [
        Settlement(1, "claim", State.SENT, code=0),
        Settlement(2, "claim", State.REJECTED, code=236309),
        Settlement(3, "claim", State.REJECTED, code=236309),
        Settlement(4, "claim", State.UNKNOWN, code=10014),
        Settlement(5, "claim", State.PENDING, code=236300),
    ]
    assert outcomes_of(settlements) == {
        (State.SENT, ""): 1,
        (State.REJECTED, "236309"): 2,
        (State.UNKNOWN, ""): 1,
    }
