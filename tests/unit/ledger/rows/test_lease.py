"""A sender that died and no run after it: what it had in flight is unknown in every view, written or not."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

import airflow_provider_caixin
from airflow_provider_caixin.campaign.counts import Counts
from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.admin import controls, retention, unknowns
from airflow_provider_caixin.ledger.queue import claim as claims
from airflow_provider_caixin.ledger.queue import draw as drawing
from airflow_provider_caixin.ledger.queue import history
from airflow_provider_caixin.ledger.queue import settle as settlements
from airflow_provider_caixin.ledger.queue.settle import Settlement
from airflow_provider_caixin.ledger.rows import lease as lease_rows
from airflow_provider_caixin.ledger.rows import recipient as recipient_rows
from airflow_provider_caixin.ledger.rows import tally as tallies
from airflow_provider_caixin.ledger.rows.account import AccountRow
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.schema import FAR_AHEAD_SECONDS
from airflow_provider_caixin.ledger.views import campaigns as campaign_views
from airflow_provider_caixin.ledger.views import checks, reports
from airflow_provider_caixin.ledger.views import recipients as recipient_views
from airflow_provider_caixin.ledger.views import unknowns as unknown_views
from airflow_provider_caixin.ledger.views import usage as usage_views
from airflow_provider_caixin.machine import MACHINE
from airflow_provider_caixin.vocabulary import SkipReason, State, Status
from tests.databases import EMBEDDED
from tests.unit.ledger.conftest import LEASE, Past

NUMBERS = [str(13_900_000_000 + index) for index in range(9)]

DEAD, AGAIN, OF_A_WRONG_CLOCK, LIVE, ASKED, SENT, REJECTED, LEFT, ALONE = NUMBERS

NOW = float(int(time.time()))

DIED = NOW - 2 * LEASE

#: When nobody knew yet that the sender was dead.
EARLIER = DIED + LEASE / 2

FAR = NOW + 1.5 * FAR_AHEAD_SECONDS


# What the other tests hold on all three databases, by other words.


@pytest.fixture
def key(past: Past, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> int:
    """Leave behind two campaigns whose sender died, one of them with nobody else left; give the other one."""
    # This module may have been read long ago: by the real clock the live one's lease would have run out.
    monkeypatch.setattr(ledger, "now", lambda _: NOW)
    found = past.campaign("campaign", *NUMBERS[:8], skipped={"x": "invalid_number"})
    past.sent(found, {AGAIN: State.UNKNOWN, ASKED: State.UNKNOWN}, DIED - 3_600)
    answered = {SENT: State.SENT, REJECTED: State.REJECTED}
    past.sent(found, {DEAD: State.IN_FLIGHT, **answered}, DIED)
    past.sent(found, {OF_A_WRONG_CLOCK: State.IN_FLIGHT}, FAR)
    past.sent(found, {LIVE: State.IN_FLIGHT}, NOW)
    with ledger.writing() as connection:
        row = CampaignRow.lock(connection, found)
        (again, *_) = drawing.draw_unknown(connection, found, DIED, DIED, 9)
        assert again.number == AGAIN
        claims.write_claims(connection, [(again, DIED)], "again", DIED + LEASE)
        row.move(State.UNKNOWN, State.IN_FLIGHT)
        row.save(connection)
    past.sent(past.campaign("alone", ALONE, dag=None), {ALONE: State.IN_FLIGHT}, DIED)
    past.campaign("next", *NUMBERS)
    return found


UNKNOWN = [DEAD, AGAIN, OF_A_WRONG_CLOCK, ASKED]

View = Callable[[Connection, int, float], Any]

SPAN = (0.0, 2 * NOW)


def _statuses(connection: Connection, _: int, now: float) -> dict[Status, list[str]]:
    found = {status: campaign_views.campaigns(connection, now, status=status) for status in Status}
    for status, some in found.items():
        assert {one.status(now) for one in some} <= {status}
    return {status: [one.campaign_id for one in some] for status, some in found.items()}


def _result(connection: Connection, key: int, now: float) -> dict[str, Any]:
    counts = Counts("campaign", 65535)
    counts.add(tallies.tally(connection, key, now))
    return counts.as_result()


def _of(state: State) -> View:
    return lambda connection, key, now: list(reports.read_report(connection, key, now, state=state))


def _used(by: Any) -> View:
    return lambda connection, _, now: usage_views.usage(connection, by, *SPAN, now)


# Whoever looks at recipients, counts or requests has a line here; moments are the ledger's clock.
VIEWS: dict[str, View] = {
    "unknown outcomes": unknown_views.unknowns,
    "the oldest unknown outcome": lambda connection, _, now: unknown_views.oldest(connection, 2, now),
    "unknown outcomes by number": lambda connection, key, now: sorted(
        unknown_views.find(connection, key, NUMBERS, now)
    ),
    "a campaign": campaign_views.campaign,
    "a campaign by its name": lambda connection, _, now: campaign_views.find(connection, "campaign", now),
    "campaigns": lambda connection, _, now: campaign_views.campaigns(connection, now),
    "campaigns with unknown outcomes": lambda connection, _, now: campaign_views.campaigns(
        connection, now, with_unknown=True
    ),
    "campaigns by status": _statuses,
    "the report": lambda connection, key, now: list(reports.read_report(connection, key, now)),
    "the report of who is unknown": _of(State.UNKNOWN),
    "the report of who is in flight": _of(State.IN_FLIGHT),
    "the report by reason": lambda connection, key, now: list(
        reports.read_report(connection, key, now, reason=lease_rows.NO_ANSWER)
    ),
    "the tally": lambda connection, key, now: sorted(tallies.tally(connection, key, now), key=str),
    "the result": _result,
    "a number": lambda connection, _, now: recipient_views.history(connection, DEAD, now),
    "minutes": usage_views.minutes,
    "the chart": lambda connection, key, now: usage_views.chart(connection, key, now, 40),
    "the latest requests": lambda connection, key, now: usage_views.recent(
        connection, [key], EARLIER - 600, now
    ),
    "unknown since": lambda connection, key, now: usage_views.unknown_since(connection, [key, 2], now),
    "usage by day": _used("day"),
    "usage by template": _used("template"),
    "usage by campaign": _used("campaign"),
    "usage by Dag": _used("dag"),
}


@pytest.fixture
def written(ledger: Ledger) -> Callable[[], None]:
    """Return what a run's tick does about leases, in all campaigns."""

    def write() -> None:
        with ledger.writing() as connection:
            for key in connection.execute(sa.select(schema.campaign.c.id)).scalars().all():
                row = CampaignRow.lock(connection, key)
                recipient_rows.expire_leases(connection, row, NOW)
                row.save(connection)

    return write


def _resolve(ledger: Ledger, key: int) -> None:
    with ledger.reading() as connection:
        found = [one.id for one in unknown_views.unknowns(connection, key, NOW) if one.number == ASKED]
    assert unknowns.resolve(ledger, key, found, "sent") == 1


WRITERS: dict[str, Callable[[Ledger, int], Any]] = {
    "cancel": lambda ledger, _: controls.cancel_campaign(ledger, "campaign"),
    "retry": lambda ledger, _: controls.retry_rejected(ledger, "campaign", 236306),
    "skip": lambda ledger, key: recipient_rows.skip_pending(ledger, key, SkipReason.WINDOW_CLOSED),
    "resolve": _resolve,
}

#: Who may ask for a stored state: the definition, code that has just written whose lease ran out or treats
#: both states alike, and code that reads states as of now.
MAY_ASK = {
    ("campaign/counts.py", "Counts"),
    ("campaign/dry_run.py", "_existing"),
    ("campaign/judge.py", "_moments"),
    ("ledger/admin/unknowns.py", "_held"),
    ("ledger/rows/lease.py", "is_in"),
    ("ledger/rows/lease.py", "ran_out"),
    ("ledger/queue/draw.py", "_DRAW_UNKNOWN"),
    ("ledger/queue/settle.py", "write_settlements"),
    ("ledger/admin/restore.py", "_make_unknown"),
    ("ledger/admin/restore.py", "restored"),
}


def _asking(module: ast.Module) -> Iterator[str]:
    for part in module.body:
        compared = (node for node in ast.walk(part) if isinstance(node, ast.Compare) or _is_among(node))
        if any(_names_a_state(inner) for node in compared for inner in ast.walk(node)):
            target = part.target if isinstance(part, ast.AnnAssign) else part
            yield str(getattr(target, "name", None) or getattr(target, "id", None))


def _is_among(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "in_"


def _names_a_state(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr in ("IN_FLIGHT", "UNKNOWN")
        and isinstance(node.value, ast.Name)
        and node.value.id == "State"
    )


def test_every_view_says_what_a_run_would_write(
    key: int, ledger: Ledger, written: Callable[[], None]
) -> None:
    """Before anybody has written it, and not before the lease ran out."""
    with ledger.reading() as connection:
        earlier, before = (
            {name: view(connection, key, moment) for name, view in VIEWS.items()} for moment in (EARLIER, NOW)
        )
    same = [name for name in VIEWS if earlier[name] == before[name]]
    assert same == [], "these do not look at leases"
    written()
    with ledger.reading() as connection:
        after = {name: view(connection, key, NOW) for name, view in VIEWS.items()}
    assert {name: view for name, view in before.items() if after[name] != view} == {}
    listed = before["unknown outcomes"]
    assert [one.number for one in sorted(listed, key=lambda one: UNKNOWN.index(one.number))] == UNKNOWN
    assert [one.number for one in listed if one.twice] == [AGAIN]
    assert (before["a campaign"].unknown, before["a campaign"].in_flight) == (4, 1)
    assert before["campaigns by status"][Status.DONE] == ["alone"]
    assert before["the oldest unknown outcome"] == DIED
    assert [row.mobile for row in before["the report of who is in flight"]] == [LIVE]
    assert (before["the result"]["unknown"], before["the result"]["pending"]) == (4, 2)
    # AGAIN counts for both of its requests.
    assert before["usage by template"] == [usage_views.Usage("65535", 1, 6)]


@EMBEDDED
def test_no_view_reads_all_recipients_for_it(ledger: Ledger, key: int) -> None:
    """SQLite knows no sizes and takes its plan from the words alone."""
    steps: list[str] = []

    def explain(connection: Connection, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if not statement.startswith("EXPLAIN"):
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            steps.extend(row[-1] for row in plan)

    sa.event.listen(ledger._readers, "before_cursor_execute", explain)
    with ledger.reading() as connection:
        for view in VIEWS.values():
            view(connection, key, NOW)
    assert [step for step in steps if step.startswith("SCAN caixin_recipient")] == []
    assert any("caixin_recipient_claim (campaign=? AND state=?)" in step for step in steps)


def test_a_check_finds_nothing_to_mend(key: int, ledger: Ledger, written: Callable[[], None]) -> None:
    """Neither before it is written nor after it; a wrong count is compared with the states as of now."""
    assert list(checks.disagreements(ledger)) == []
    with ledger.writing() as connection:
        table = schema.campaign
        more = sa.update(table).where(table.c.id == key).values(in_flight=table.c.in_flight + 1)
        connection.execute(more)
    assert list(checks.disagreements(ledger)) == [
        "campaign 'campaign': its row says 2 in_flight, and 1 recipients are."
    ]
    with ledger.writing() as connection:
        connection.execute(sa.update(table).where(table.c.id == key).values(in_flight=table.c.in_flight - 1))
    written()
    assert list(checks.disagreements(ledger)) == []


def test_a_purge_counts_unknown_outcomes(past: Past, ledger: Ledger, key: int) -> None:
    """And what is forgotten is counted as unknown for good."""
    found = {one.campaign_id: one.unknown for one in retention.purgeable(ledger, 2 * NOW)}
    assert found == {"alone": 1}
    controls.cancel_campaign(ledger, "campaign")
    found = {one.campaign_id: one.unknown for one in retention.purgeable(ledger, 2 * NOW)}
    assert found == {"alone": 1, "campaign": 4}
    assert [one.campaign_id for one in retention.purge(ledger, 2 * NOW)] == ["alone"], (
        "LIVE may yet be answered"
    )
    with ledger.reading() as connection:
        assert tallies.tally(connection, 2, NOW) == [("unknown", None, None, 1)]
    assert past.counts(key) == {"unknown": 4, "in_flight": 1, "sent": 1, "rejected": 1, "skipped": 2}


def test_a_message_that_may_have_arrived_is_told_before_the_next(ledger: Ledger, key: int) -> None:
    """The forecast of a campaign with the same template counts whom the dead one had in the air."""
    with ledger.reading() as connection:
        account = CampaignRow.read(connection, key).account
        assert history.campaigns_with_template(connection, key + 2, account, 65535) == [key, key + 1]
        assert history.count_had_template(MACHINE, connection, key + 2, account, 65535) == (7, 9)
        assert history.who_got_it(connection, [key + 1], NUMBERS) == {ALONE}


@EMBEDDED
def test_a_count_is_not_kept_that_turns_by_itself(ledger: Ledger, key: int) -> None:
    """Whoever is in flight when a run ends is unknown a minute later, and nobody writes it then."""
    tallies.keep(ledger, key)
    with ledger.reading() as connection:
        assert CampaignRow.read(connection, key).tallied is None
        now = ledger.now(connection) + LEASE + 1
        assert (State.UNKNOWN.value, None, None, 5) in tallies.tally(connection, key, now)


@EMBEDDED
def test_a_count_that_was_kept_all_the_same_hides_nobody(ledger: Ledger, key: int) -> None:
    """An older version kept one while somebody was in flight."""
    with ledger.writing() as connection:
        row, now = CampaignRow.lock(connection, key), ledger.now(connection)
        tallies.store(connection, row, tallies.count(connection, key, now - 2 * LEASE), now)
    with ledger.reading() as connection:
        lines = tallies.tally(connection, key, ledger.now(connection) + LEASE + 1)
    assert (State.UNKNOWN.value, None, None, 5) in lines


@EMBEDDED
@pytest.mark.parametrize("name", WRITERS)
def test_who_changes_recipients_writes_it_first(name: str, past: Past, ledger: Ledger, key: int) -> None:
    """So that no command leaves somebody in the air whose sender is dead, and the counts agree."""
    WRITERS[name](ledger, key)
    counts = past.counts(key)
    assert (counts["in_flight"], counts["unknown"]) == (1, 3 if name == "resolve" else 4)
    assert list(checks.disagreements(ledger)) == []
    with ledger.reading() as connection:
        rows = {row.mobile: row for row in reports.read_report(connection, key, EARLIER)}
    assert (rows[DEAD].state, rows[DEAD].reason) == ("unknown", lease_rows.NO_ANSWER)


@pytest.mark.parametrize("outcome", ["sent", "pending"])
def test_a_person_resolves_what_nobody_wrote(outcome: Any, past: Past, ledger: Ledger, key: int) -> None:
    """Day's count and minutes follow, a live sender's is left alone, a dead one's answer is too late."""
    with ledger.reading() as connection:
        rows = connection.execute(sa.select(schema.recipient.c.number, schema.recipient.c.id)).all()
        ids = {row.number: row.id for row in rows if row.number in NUMBERS[:8]}
        chosen = [one.id for one in unknown_views.unknowns(connection, key, NOW)]
    day_count = past.day_count()
    assert unknowns.resolve(ledger, key, [*chosen, ids[LIVE]], outcome, before=FAR) == 4
    counts = past.counts(key)
    assert (counts["in_flight"], counts.get("unknown", 0)) == (1, 0)
    assert (counts["sent"], counts["pending"]) == ((5, 1) if outcome == "sent" else (1, 5))
    # Of AGAIN's two requests one was billed, or none; FAR is in a day that is not counted.
    assert past.day_count() <= day_count
    with ledger.writing() as connection:
        account = AccountRow.open(connection, CampaignRow.read(connection, key).account)
        row = CampaignRow.lock(connection, key)
        late = [Settlement(ids[DEAD], "claim", State.REJECTED), Settlement(ids[AGAIN], "again", State.SENT)]
        settlements.write_settlements(connection, account, row, late)
        row.save(connection)
    assert past.counts(key) == counts
    assert list(checks.disagreements(ledger)) == []


@EMBEDDED
def test_an_answer_that_comes_after_all_counts(ledger: Ledger, key: int) -> None:
    """Also where the lease ran out and nobody had written it: the views are as if it had come in time."""
    with ledger.writing() as connection:
        account = AccountRow.open(connection, CampaignRow.read(connection, key).account)
        row = CampaignRow.lock(connection, key)
        (dead,) = unknown_views.find(connection, key, [DEAD], NOW)
        settlements.write_settlements(connection, account, row, [Settlement(dead, "claim", State.SENT)])
        row.save(connection)
    with ledger.reading() as connection:
        assert DEAD not in [one.number for one in unknown_views.unknowns(connection, key, NOW)]
        assert usage_views.usage(connection, "template", *SPAN, NOW) == [usage_views.Usage("65535", 2, 5)]
    assert list(checks.disagreements(ledger)) == []


def test_nobody_else_asks_for_a_stored_state() -> None:
    """A comparison with one of them anywhere else forgets leases: take ``ledger/rows/lease.py``."""
    package = Path(airflow_provider_caixin.__file__).parent
    found = {
        (file.relative_to(package).as_posix(), name)
        for file in package.rglob("*.py")
        for name in _asking(ast.parse(file.read_text(encoding="utf-8")))
    }
    assert found == MAY_ASK
