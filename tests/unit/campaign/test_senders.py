"""Senders: what they look at last, and how they answer for what they were given."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

import pytest

from airflow_provider_caixin.campaign.answers import Answer, Job, NotAwaited
from airflow_provider_caixin.campaign.senders import CLOCK_STEP_SECONDS, LATE_SECONDS, Senders, is_in_time
from airflow_provider_caixin.juhe import NotPosted, OutcomeUnknown
from tests.unit.campaign.conftest import NOW, NUMBERS, Gateway, VirtualTime, job


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"slot": 100.0 - LATE_SECONDS}, True),
        ({"slot": 99.97}, False),
        ({"slot": 101.0}, True),
        ({"lease": 120.0}, True),
        ({"lease": 119.9}, False),
        ({"drift": NOW - CLOCK_STEP_SECONDS + 0.1}, True),
        ({"drift": NOW - CLOCK_STEP_SECONDS}, False),
        ({"drift": NOW + 3600.0}, True),
    ],
)
def test_the_last_look_at_a_job(fields: dict[str, float], expected: bool) -> None:
    """Late, too little left of its lease, or a machine that was suspended.

    Of which a clock that goes back is no sign.
    """
    assert is_in_time(job(**fields), 100.0, NOW + 100.0, late=LATE_SECONDS, timeout=10.0) is expected


def senders(gateway: Gateway, may_post: Callable[[], bool] = lambda: True, *, rate: float = 300.0) -> Senders:
    """Make one sender of a gateway, for which no time passes but what it waits for."""
    return Senders(gateway, 65535, may_post, VirtualTime().machine, rate=rate, timeout=1.0, most=1)


def answers_of(some: Senders, count: int) -> list[Answer]:
    """Wait for answers, and let the sender end."""
    some.close()
    until = time.monotonic() + 30
    while len(some.answers) < count and time.monotonic() < until:
        time.sleep(0.005)
    return list(some.answers)


def jobs(*slots: float) -> list[Job]:
    """Make jobs of different recipients."""
    return [job(id=index, number=NUMBERS[index], slot=slot) for index, slot in enumerate(slots)]


def test_jobs_are_posted_and_answered_for(gateway: Gateway) -> None:
    """Until an answer is settled its job is out and takes a place."""
    some = senders(gateway)
    some.submit(jobs(100.0))
    assert some.free == 0
    answers = answers_of(some, 1)
    assert [one.result for one in answers] == [f"sid {NUMBERS[0]}"]
    assert len(some.out) == 1
    some.settled(answers)
    assert (some.out, some.free, list(some.answers)) == ([], 1, [])
    assert gateway.reserved == 0


def test_what_may_not_leave_is_given_back(gateway: Gateway) -> None:
    """The slot has passed, or the run is told to end meanwhile.

    Nothing is posted, and no connection stays reserved.
    """
    allowed = itertools.chain([True], itertools.repeat(False))
    some = senders(gateway, lambda: next(allowed))
    some.submit(jobs(95.0, 100.0, 101.0))
    assert all(isinstance(one.result, NotPosted) for one in answers_of(some, 3))
    assert (gateway.sent, gateway.reserved) == ([], 0)


def test_a_defect_is_an_unknown_outcome(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    """The request may have gone out; the log has no number."""
    gateway.results[NUMBERS[0]] = ValueError(NUMBERS[0])  # type: ignore[assignment]  # a defect
    some = senders(gateway)
    some.submit(jobs(100.0))
    [answer] = answers_of(some, 1)
    assert isinstance(answer.result, OutcomeUnknown)
    assert "ValueError" in caplog.text
    assert NUMBERS[0] not in caplog.text


def test_who_ends_answers_for_what_is_out(gateway: Gateway) -> None:
    """Once for each job that has no answer yet; a late answer still counts, because it is there, too."""
    answered = threading.Event()
    some = senders(gateway, answered.wait)
    some.submit(jobs(100.0))
    some.give_up()
    some.give_up()
    [answer] = some.answers
    assert isinstance(answer.result, NotAwaited)
    answered.set()
    assert [one.result for one in answers_of(some, 2)][1] == f"sid {NUMBERS[0]}"


def test_after_a_stall_what_is_late_does_not_leave_at_once(gateway: Gateway) -> None:
    """Jobs that share a slot leave a gap apart, and those for which that is too late not at all."""
    some = senders(gateway, rate=100.0)
    some.submit(jobs(*[100.0] * 8))
    results = [one.result for one in answers_of(some, 8)]
    assert gateway.sent == NUMBERS[:3]
    assert all(isinstance(result, NotPosted) for result in results[3:])
