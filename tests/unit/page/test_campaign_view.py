"""How campaigns are shown: their links, their rate, and what is unknown after a sender died."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.rows import lease as lease_rows
from airflow_provider_caixin.page.campaign_view import recent_rate
from airflow_provider_caixin.vocabulary import State
from tests.unit.ledger.conftest import LEASE, Past

from .conftest import HOSTILE, A, B, Browser, C, Told


def test_links_lead_through_what_people_named(
    browser: Callable[..., Browser], told: Told, home_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind Airflow's path, and with names that would lead elsewhere; a Dag that is gone has no link."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.test/team/airflow/")
    with home_ledger.writing() as connection:
        table = schema.campaign
        change = sa.update(table).where(table.c.id == told.keys[HOSTILE])
        connection.execute(change.values(run_id="manual__2026-11-25T00:00+08:00/../../x?y#z", map_index=3))
    links = browser("admin").get(f"/campaigns/{told.keys[HOSTILE]}")["links"]
    run = "/team/airflow/dags/dag/runs/manual__2026-11-25T00%3A00%2B08%3A00%2F..%2F..%2Fx%3Fy%23z"
    assert links == {"dag": "/team/airflow/dags/dag", "run": run, "task": f"{run}/tasks/send/mapped/3"}
    gone = browser("admin").get(f"/campaigns/{told.keys['of old']}")["links"]
    assert gone == {"dag": None, "run": None, "task": None}


@pytest.mark.parametrize(
    ("minutes", "into", "loaded", "rate"),
    [
        # At it for long: the whole last minute and what there is of this one.
        ({8: 3000, 9: 3000, 10: 1500}, 30, 0, 50),
        # Began in this minute, ten seconds ago.
        ({10: 500}, 30, 20, 50),
        # Began in the last one, and this one is too young to tell.
        ({9: 1500, 10: 50}, 1, -30, 50),
        # Never above what it is set to.
        ({10: 6000}, 10, 0, 100),
        ({}, 30, 0, 0),
    ],
)
def test_the_recent_rate(
    minutes: dict[int, int], into: float, loaded: float, rate: float, told: Told, home_ledger: Ledger
) -> None:
    """At each point of a campaign's life; moments are seconds from the tenth minute on."""
    from dataclasses import replace

    from airflow_provider_caixin.ledger.views import campaigns as campaign_views

    with home_ledger.reading() as connection:
        one = campaign_views.campaign(connection, told.keys[HOSTILE], told.now)
    assert one is not None
    one = replace(one, loaded_at=600.0 + loaded)
    assert recent_rate(minutes, 600.0 + into, one) == pytest.approx(rate)


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
def test_each_route_knows_what_the_dead_one_had_in_the_air(
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
