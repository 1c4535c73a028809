"""The page after a sender died and nobody came after it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.rows import lease as lease_rows
from airflow_provider_caixin.vocabulary import State
from tests.unit.ledger.conftest import LEASE, Past

from .conftest import A, B, Browser, C


def _fields(*names: str) -> Callable[[Any], Any]:
    return lambda rows: [tuple(row[name] for name in names) for row in rows]


def _counts(campaign: Any) -> dict[str, int]:
    return {state: number for state, number in campaign["counts"].items() if number}


COUNTS = {"unknown": 1, "sent": 1, "pending": 1}

# Each route that shows who is unknown, what is looked at, and what that is: A is unknown, B sent, C pending.
SHOWN: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "/overview": (
        lambda shown: _fields("campaign_id", "unknown")(shown["unknown"]),
        [("alone", 1), ("dead", 1)],
    ),
    "/campaigns": (lambda shown: _counts(shown["campaigns"][1]), COUNTS),
    "/campaigns?status=done": (
        lambda shown: _fields("campaign_id", "total")(shown["campaigns"]),
        [("alone", 1)],
    ),
    "/campaigns/by-id?id=dead": (_counts, COUNTS),
    "/campaigns/1": (_counts, COUNTS),
    "/campaigns/1#minutes": (lambda shown: [point[1:] for point in shown["minutes"]], [[1, 0, 1]]),
    "/campaigns/1/unknown": (
        lambda shown: _fields("number", "reason", "twice")(shown["recipients"]),
        [("139****5678", lease_rows.NO_ANSWER, False)],
    ),
    **{
        f"/usage?by={by}&{{period}}": (lambda shown: shown["total"], {"billed": 1, "possibly": 2})
        for by in ("day", "template", "campaign", "dag")
    },
}


@pytest.mark.usefixtures("connect")
def test_each_route_knows_whom_the_dead_one_had_in_the_air(
    browser: Callable[..., Browser], shared_ledger: Ledger
) -> None:
    """As unknown, also when the campaign was cancelled, until a person says what became of them."""
    past = Past(shared_ledger)
    with shared_ledger.reading() as connection:
        died = shared_ledger.now(connection) - 2 * LEASE
    past.sent(past.campaign("dead", A, B, C), {A: State.IN_FLIGHT, B: State.SENT}, died)
    past.sent(past.campaign("alone", A), {A: State.IN_FLIGHT}, died)
    today = datetime.now(CHINA).date()
    period = f"from={today - timedelta(days=1)}&to={today}"
    admin = browser("admin")
    seen = {path: look(admin.get(path.format(period=period))) for path, (look, _) in SHOWN.items()}
    assert seen == {path: right for path, (_, right) in SHOWN.items()}
    assert admin.ask("GET", "/campaigns/1/report?state=unknown").text.count("\n") == 2
    assert admin.ask("GET", "/campaigns/1/report?state=in_flight").text.count("\n") == 1
    messages = admin.post("/recipient", {"number": A})["messages"]
    assert _fields("state", "reason")(messages) == [("unknown", lease_rows.NO_ANSWER)] * 2
    # Whatever the page reads: nobody has written anything yet.
    assert past.counts(1)["in_flight"] == 1
    assert _counts(admin.post("/campaigns/1/cancel", {})) == {"unknown": 1, "sent": 1, "skipped": 1}
    assert past.counts(1) == {"unknown": 1, "sent": 1, "skipped": 1}
    listed = admin.get("/campaigns/2/unknown")
    word = {"ids": [listed["recipients"][0]["id"]], "outcome": "pending", "as_of": listed["as_of"]}
    assert admin.post("/campaigns/2/unknown", word) == {"resolved": 1, "left": 0}
    word = {"all": True, "outcome": "sent", "as_of": listed["as_of"]}
    assert admin.post("/campaigns/1/unknown", word) == {"resolved": 1, "left": 0}
    assert past.counts(1) == {"sent": 2, "skipped": 1}
