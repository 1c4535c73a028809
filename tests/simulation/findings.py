"""What the ledger has of campaigns, and what is known of an account when a scenario is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from airflow_provider_caixin.campaign.senders import LATE_SECONDS
from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.rows import lease as lease_rows
from airflow_provider_caixin.ledger.rows.load import visible
from airflow_provider_caixin.vocabulary import State
from tests.faults.invariants import Evidence, Row
from tests.simulation.gateway import Request
from tests.simulation.scenario import NO_NUMBER, OTHER_CARRIER, TEMPLATES, TIMEOUT_SECONDS

if TYPE_CHECKING:
    from tests.simulation.play import Play

# Within it a request may go by a clock before it was set; longer than a claim's way to the gateway.
STEP_SEEN_SECONDS: Final = 1.5
WINDOW: Final = (9 * 3600, 18 * 3600)
UNCLEAR: Final = 10014


@dataclass
class Finding:
    """A campaign as the ledger has it.

    :param claims: who claimed those whose outcome is unknown: each number's process, by the id that it drew.
    """

    rows: list[Row]
    counts: dict[str, int]
    is_purged: bool
    claims: dict[str, str] = field(default_factory=dict)

    def skipping_pending(self) -> list[Row]:
        """Return the rows as they are when whoever is pending is skipped."""
        pending = State.PENDING.value
        return [
            replace(row, state="skipped", reason="cancelled") if row.state == pending else row
            for row in self.rows
        ]


def find(ledger: Ledger) -> dict[int, Finding]:
    """Return what the ledger has of all campaigns, by template."""
    table, campaign = schema.recipient, schema.campaign
    found = {}
    with ledger.reading() as connection:
        now = ledger.now(connection)
        as_of = lease_rows.state_as_of(now), lease_rows.reason_as_of(now)
        columns = (table.c.number, table.c.occurrence, *as_of, table.c.sid, table.c.claim)
        for of in connection.execute(sa.select(campaign).order_by(campaign.c.id)).mappings().all():
            mine = sa.select(*columns).where(table.c.campaign == of["id"], visible(connection, of["id"]))
            rows = connection.execute(mine.order_by(table.c.id)).all()
            found[of["tpl_id"]] = Finding(
                [Row(*row[:-1]) for row in rows],
                {state.value: of[state.value] for state in State if of[state.value]},
                of["purged_at"] is not None,
                {row[0]: (row[-1] or "").partition("-")[0] for row in rows if row[2] == State.UNKNOWN},
            )
    return found


def evidence(play: Play, account: int) -> Evidence:
    """Return what is known of an account's campaigns."""
    scenario, plan = play.scenario, dict(play.scenario.plan)
    campaigns = [n for n, of in enumerate(scenario.accounts) if of == account]
    templates = {TEMPLATES[n] for n in campaigns}
    requests, left = (
        [one for one in of if one.template in templates] for of in (play.gateway.requests, play.gateway.left)
    )

    def clocks(key: str, moment: float) -> set[float]:
        return play.processes[key].host.readings(moment, STEP_SEEN_SECONDS)

    def ledger_clocks(_: str, moment: float) -> set[float]:
        return play.hosts[-1].readings(moment, STEP_SEEN_SECONDS)

    return Evidence(
        # Of one that was purged before its audience was loaded there is none.
        audiences={
            TEMPLATES[n]: list(scenario.numbers[n]) if found.rows or not found.is_purged else []
            for n in campaigns
            for found in [play.found[TEMPLATES[n]]]
        },
        rows={template: play.found[template].rows for template in templates},
        counts={template: play.found[template].counts for template in templates},
        results={template: play.results[template] for template in templates},
        requests=[one.as_recorded() for one in requests],
        left=[(one.process, one.left, one.number) for one in left],
        # Looked for as they arrive.
        overlapping=0,
        clocks=clocks,
        ledger_clocks=ledger_clocks,
        rate=plan["rate"],
        timeout=TIMEOUT_SECONDS,
        # What was purged a moment ago counts for no cap: the command asks for 7 days or more.
        cap=None if any(found.is_purged for found in play.found.values()) else plan.get("cap"),
        budget=plan.get("max_messages"),
        window=WINDOW if "window" in plan else None,
        volume=plan.get("max_per_day"),
        again=Counter({key: number for key, number in _again(play, requests).items() if key[0] in templates}),
        retried=play.watch.retried,
        unfinished=frozenset(
            TEMPLATES[n] for n in campaigns if n in play.cancelled or play.found[TEMPLATES[n]].is_purged
        ),
        clock_set=play.hosts[-1].stepped_within,
        struck=frozenset(_struck(play)),
        busy_share=0.0,
    )


def _again(play: Play, requests: Iterable[Request]) -> Counter[tuple[int, str]]:
    """Return how often more than once recipients may be billed."""
    if dict(play.scenario.plan).get("on_unknown") != "resend":
        return play.watch.again
    # Once more for each time that it was asked for in earnest, where the outcome of a request may be unknown.
    unclear = {
        (one.template, one.number)
        for one in requests
        if one.lost or one.reply.fault or one.reply.code == UNCLEAR or play.processes[one.process].is_struck
    }
    return Counter({key: 1 + 2 * play.watch.again[key] for key in unclear}) | play.watch.again


def _struck(play: Play) -> Iterator[tuple[int, str]]:
    """Yield the recipients that may be unknown whatever the gateway answered."""
    for one in play.gateway.left:
        if one.is_broken:
            yield one.template, one.number
    ids = {drawn for process in play.processes.values() if process.is_struck for drawn in process.ids}
    # Of a second request that came to nothing no claim is kept.
    ids |= {""} if dict(play.scenario.plan).get("on_unknown") == "resend" else set()
    for template, found in play.found.items():
        yield from ((template, number) for number, drawn in found.claims.items() if drawn in ids)


def slots_not_kept(of: Evidence) -> Iterator[str]:
    """Yield what left closer together than the account's slots are, less by how much a request may be late.

    No second can hold too many then; this world has no jitter that would hide it.
    """
    late = max(LATE_SECONDS, 0.5 / of.rate) + 1e-6
    moments = sorted(moment for _, moment, _ in of.left)
    latest = before = float("-inf")
    for number, moment in enumerate(moments):
        if of.clock_set(before - STEP_SEEN_SECONDS, moment):
            latest = float("-inf")
        # How far it lies behind its place in an unbroken row of slots.
        behind = moment - number / of.rate
        if behind < latest - late:
            yield f"a request left {latest - behind:.3f} s before its slot at {moment:.3f}"
            return
        latest, before = max(latest, behind), moment


def ends_without_reason(play: Play, of: Evidence) -> Iterator[str]:
    """Yield whom nothing in the scenario allows to be skipped or rejected as they are."""
    plan = dict(play.scenario.plan)
    allowed = {
        "over_budget": "max_messages" in plan,
        "expired": "expires_at" in plan,
        "frequency_cap": "cap" in plan,
        "suppressed": any(act.what == "suppress" for act in play.scenario.acts),
    }
    answered = {(int(one["tpl_id"]), one["mobile"]) for one in of.requests if one["code"]}
    for template, rows in of.rows.items():
        is_cancelled = TEMPLATES.index(template) in play.cancelled
        for row in rows:
            of_row = {
                "invalid_number": row.mobile == NO_NUMBER,
                "not_china_mobile": row.mobile == OTHER_CARRIER,
                "duplicate": row.occurrence > 1,
                "cancelled": is_cancelled,
            }
            if row.state == "skipped" and not (allowed | of_row).get(row.reason or "", False):
                yield f"{template}: nothing allows {row}"
            if row.state == "rejected" and (template, row.mobile) not in answered:
                yield f"{template}: no answer rejects {row}"
