"""What an answer makes of a recipient.

Each code against a gateway is in tests/integration/test_answers.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_caixin.campaign.answers import (
    Answer,
    NotAwaited,
    PostResult,
    is_channel_failure,
    settlement,
)
from airflow_provider_caixin.juhe import (
    ChannelBusy,
    NotPosted,
    NotReached,
    OutcomeUnknown,
    RateLimited,
    RecipientRejected,
)
from airflow_provider_caixin.vocabulary import State
from tests.unit.campaign.conftest import NOW, job


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("sid", {"state": State.SENT, "sid": "sid", "code": 0}),
        ("x" * 300, {"state": State.SENT, "sid": "x" * 255}),
        (RecipientRejected(236306, "no"), {"state": State.REJECTED, "code": 236306, "reason": "no"}),
        (OutcomeUnknown("no answer"), {"state": State.UNKNOWN, "code": None, "reason": "no answer"}),
        (NotPosted("late"), {"state": State.PENDING, "due": 0.0}),
        (NotReached("refused"), {"state": State.PENDING, "due": 0.0}),
        (RateLimited(10011, "too fast"), {"state": State.PENDING, "due": NOW + 1.0}),
        (ChannelBusy(236300, "busy"), {"state": State.PENDING, "due": NOW + 10.0, "busy": 1}),
    ],
)
def test_the_state_that_a_recipient_takes(result: PostResult, expected: dict[str, Any]) -> None:
    """Of whom nothing was billed waits, now or for a while."""
    settled = settlement(Answer(job(), result), NOW, None)
    assert {name: getattr(settled, name) for name in expected} == expected
    assert settled.claim == "claim"


def test_a_channel_that_stays_busy() -> None:
    """It is tried after 10, 30 and 90 s.

    Then it has rejected the recipient if others got through meanwhile.
    """
    busy = ChannelBusy(236305, "busy")
    for before, seconds in enumerate((10.0, 30.0, 90.0)):
        settled = settlement(Answer(job(busy=before), busy), NOW, NOW)
        assert (settled.state, settled.due, settled.busy) == (State.PENDING, NOW + seconds, before + 1)
    last = Answer(job(busy=3), busy)
    assert settlement(last, NOW, NOW - 130.0).state is State.REJECTED
    assert settlement(last, NOW, NOW - 131.0).state is State.PENDING
    assert settlement(last, NOW, None).due == NOW + 90.0


def test_what_speaks_of_the_channel() -> None:
    """A wrong number does not, nor an answer that nobody awaited."""
    failures = [
        RecipientRejected(236309, "x"),
        ChannelBusy(236300, "x"),
        OutcomeUnknown("x"),
        NotReached("x"),
    ]
    assert all(map(is_channel_failure, failures))
    others: list[PostResult] = ["sid", RecipientRejected(236306, "x"), NotAwaited("x"), NotPosted("x")]
    assert not any(map(is_channel_failure, others))
