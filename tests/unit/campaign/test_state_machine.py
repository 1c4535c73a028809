"""The ledger as a state machine: any order of what can happen keeps its promises.

No module has this name: the transactions are those of tick.py and of the ledger, and two processes a campaign
take turns. Requests are held by the machine, which answers them in time, late, twice or never.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from airflow_provider_caixin.audience import Classifier, audience_from
from airflow_provider_caixin.campaign import Campaign, Plan
from airflow_provider_caixin.campaign.answers import Answer, Job, PostResult
from airflow_provider_caixin.campaign.claiming import Known
from airflow_provider_caixin.campaign.clocks import Clocks
from airflow_provider_caixin.campaign.plan import Hours
from airflow_provider_caixin.campaign.tick import Due, Tick, TickResult
from airflow_provider_caixin.china_time import china_midnight
from airflow_provider_caixin.juhe import ChannelBusy, NotPosted, OutcomeUnknown, RecipientRejected
from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.admin import accounts, controls, suppressions, unknowns
from airflow_provider_caixin.ledger.rows import lease as lease_rows
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.rows.load import count_states
from airflow_provider_caixin.ledger.views import campaigns as campaign_views
from airflow_provider_caixin.ledger.views import checks
from airflow_provider_caixin.ledger.views import unknowns as unknown_views
from airflow_provider_caixin.machine import Machine
from airflow_provider_caixin.rules import FrequencyCap
from airflow_provider_caixin.vocabulary import SkipReason, State

NUMBERS = [str(13_912_340_000 + index) for index in range(8)]
SELDOM = st.sampled_from([*[False] * 7, True])
NAMES = st.sampled_from(["first", "second"])
BUDGET = 3
VOLUME = 12
LEASE = 60.0
# One for all examples: it takes a moment to make.
CLASSIFIER = Classifier()
REJECTED = 236309

RESULTS: st.SearchStrategy[PostResult] = st.sampled_from(
    [
        "sid",
        "sid",
        RecipientRejected(REJECTED, "no"),
        OutcomeUnknown("no answer"),
        NotPosted("late"),
        ChannelBusy(236300, "busy"),
    ]
)


class Request(NamedTuple):
    """A claimed recipient whose sender has not answered yet."""

    run: Process
    job: Job
    lease: float


class Process:
    """A process of a campaign.

    :param number: no other process has it.
    """

    def __init__(self, campaign: Campaign, tick: Tick, number: int) -> None:
        self.campaign, self.tick, self.number, self.ticks = campaign, tick, number, 0

    def transact(self, answers: list[Answer], *, is_held: bool = False) -> TickResult:
        """Run one transaction as the loop does.

        Each time as if nothing was learned before, so that an example is twice the same.
        """
        self.ticks += 1
        result = self.tick.run(
            Due(
                mark=f"{self.number}-{self.ticks}",
                answers=tuple(answers),
                free=5,
                hours=Hours(self.campaign.plan),
                is_held=lambda: is_held,
                known=Known(may_resend=True),
            )
        )
        self.campaign.outcomes.update(result.outcomes)
        return result


class Recipient(NamedTuple):
    """A recipient's row."""

    campaign: str
    number: str
    state: str
    reason: str | None
    claim: str | None
    due: float
    sent_at: float | None
    doubt_at: float | None


class LedgerMachine(RuleBasedStateMachine):
    """Two campaigns of one account with one message a day.

    On an embedded ledger with a clock that the machine moves.
    """

    @initialize()
    def open(self) -> None:
        """Make an empty ledger, and processes of two campaigns."""
        self.folder = tempfile.TemporaryDirectory()
        self.now = 1_795_400_000.0
        self.ledger = Ledger.sqlite(Path(self.folder.name) / "ledger.db", Machine(lambda: self.now))
        self.campaigns = {name: self.campaign(name) for name in ("first", "second")}
        self.processes = 0
        self.runs = {(name, twin): self.run(name) for name in self.campaigns for twin in (0, 1)}
        self.requests: list[Request] = []
        self.settled: set[int] = set()
        self.load("first", "a", NUMBERS[:5])
        self.load("second", "a", NUMBERS[3:])

    def campaign(self, name: str) -> Campaign:
        """Open a campaign; the second one may ask again, and has no budget."""
        rules: dict[str, Any] = {"on_unknown": "resend"} if name == "second" else {"max_messages": BUDGET}
        plan = Plan(
            campaign_id=name,
            tpl_id=65535,
            account="account",
            cap=FrequencyCap(1),
            classifier=CLASSIFIER,
            max_per_day=VOLUME,
            timeout=1.0,
            **rules,
        )
        return Campaign(plan, self.ledger, None, lease=LEASE)  # type: ignore[arg-type]  # the machine posts

    def run(self, name: str) -> Process:
        """Make a process of a campaign."""
        campaign = self.campaigns[name]
        clocks = Clocks(self.ledger.machine)
        self.processes += 1
        return Process(
            campaign, Tick(self.ledger, campaign._key, campaign.plan, clocks, LEASE), self.processes
        )

    def teardown(self) -> None:
        """Forget the ledger."""
        if hasattr(self, "ledger"):
            self.ledger.close()
            self.folder.cleanup()

    @rule(name=NAMES, source=st.sampled_from("abc"), rows=st.lists(st.sampled_from(NUMBERS), max_size=6))
    def load(self, name: str, source: str, rows: list[str]) -> None:
        """Load an audience; the same source again changes nothing."""
        self.campaigns[name].load(audience_from(rows), source, audience_change="add")

    @rule(which=st.lists(st.tuples(NAMES, st.integers(0, 1)), min_size=1, max_size=4))
    def ticks(self, which: list[tuple[str, int]]) -> None:
        """Let processes run a transaction without an answer, one after the other."""
        for name, twin in which:
            self.tick(name, twin)

    @rule(twin=st.integers(0, 1))
    def ask_again(self, twin: int) -> None:
        """Let so much time pass that unknown outcomes are sent once more.

        While their first requests may still be answered.
        """
        self.now += 700
        self.tick("second", twin)

    def tick(self, name: str, twin: int) -> None:
        """Let a process claim, and check each claim."""
        before = self.recipients()
        stopped = self.is_stopped(name)
        run = self.runs[name, twin]
        jobs = run.transact([]).claim.jobs
        assert not (stopped and jobs), "a paused campaign sent"
        for job in jobs:
            alive = [one for one in self.requests if one.job.id == job.id and one.lease >= self.now]
            assert not alive, "two requests for one recipient in the air"
            assert self.may_leave(before[job.id]), "it was not to be sent"
            assert before[job.id].doubt_at is None, "an unknown outcome was sent a third time"
            assert job.number not in self.suppressed(), "a number that is suppressed"
            self.requests.append(Request(run, job, self.now + LEASE))

    def may_leave(self, recipient: Recipient) -> bool:
        """Return whether a message may be posted for a row as it stood before a tick."""
        return recipient.state == State.PENDING or (
            (self.is_lost(recipient) or recipient.state == State.UNKNOWN) and recipient.campaign == "second"
        )

    def is_lost(self, recipient: Recipient) -> bool:
        """Return whether the next transaction of the campaign writes that its lease ran out."""
        return recipient.state == State.IN_FLIGHT and not self.now <= recipient.due <= self.now + 2 * LEASE

    @precondition(lambda self: self.requests)
    @rule(data=st.data(), answers=st.lists(st.lists(RESULTS, min_size=1, max_size=2), min_size=1, max_size=4))
    def answer(self, data: st.DataObject, answers: list[list[PostResult]]) -> None:
        """Settle requests, however late, and once more.

        After a commit of which nothing is known, or told to stop meanwhile.
        """
        for results in answers[: len(self.requests)]:
            request = data.draw(st.sampled_from(self.requests))
            self.requests.remove(request)
            self.settle(request, results)

    def settle(self, request: Request, results: list[PostResult]) -> None:
        """Settle a request with its answers, and check what becomes of the recipient."""
        for result in results:
            before = self.recipients()[request.job.id]
            # Only the answer: what is claimed is the business of a tick.
            request.run.transact([Answer(request.job, result)], is_held=True)
            after = self.recipients()[request.job.id]
            counts = before.claim == request.job.claim and before.state in (State.IN_FLIGHT, State.UNKNOWN)
            if not counts:
                stays = State.UNKNOWN if self.is_lost(before) else before.state
                assert after.state == stays, "an answer counted whose claim is not the row's any more"
            elif isinstance(result, str):
                assert after.state == State.SENT, "an accepted message is not sent"
            elif isinstance(result, OutcomeUnknown) or before.doubt_at is not None:
                assert after.state == State.UNKNOWN, "an unknown outcome was forgotten"
            else:
                assert after.state in (State.PENDING, State.REJECTED)

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """Let a process die with all of its requests; another one takes its place."""
        dead = data.draw(st.sampled_from(self.requests)).run
        self.requests = [one for one in self.requests if one.run is not dead]
        for name, twin in [key for key, run in self.runs.items() if run is dead]:
            self.runs[name, twin] = self.run(name)

    @rule(seconds=st.sampled_from([0.01, 30.0, 61.0, 700.0, -30.0, 86_400.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass, a night too, or the host's clock step back."""
        self.now += seconds

    @rule(name=NAMES, paused=SELDOM)
    def pause(self, name: str, paused: bool) -> None:
        """Pause or resume a campaign."""
        controls.pause_campaign(self.ledger, name, paused=paused)

    @rule(paused=SELDOM)
    def pause_account(self, paused: bool) -> None:
        """Pause or resume them all."""
        accounts.pause_account(self.ledger, "account", paused=paused)

    @rule(name=NAMES)
    def retry(self, name: str) -> None:
        """Try rejected recipients again."""
        controls.retry_rejected(self.ledger, name, REJECTED)

    @rule(name=NAMES, data=st.data(), outcome=st.sampled_from(["sent", "pending"]))
    def resolve(self, name: str, data: st.DataObject, outcome: Any) -> None:
        """Take a person's word for an unknown outcome whose request nobody holds any more."""
        campaign = self.campaigns[name]
        held = {one.job.id for one in self.requests}
        with self.ledger.reading() as connection:
            now = self.ledger.now(connection)
            found = [
                one.id for one in unknown_views.unknowns(connection, campaign._key, now) if one.id not in held
            ]
        if found:
            chosen = data.draw(st.sampled_from(found))
            assert unknowns.resolve(self.ledger, campaign._key, [chosen, chosen], outcome) == 1
            assert self.recipients()[chosen].state == outcome
            assert unknowns.resolve(self.ledger, campaign._key, [chosen], outcome) == 0

    @rule(name=NAMES, reason=st.sampled_from([SkipReason.OVER_BUDGET, SkipReason.WINDOW_CLOSED]))
    def skip(self, name: str, reason: SkipReason) -> None:
        """Skip what is left, as a used-up budget or a closing window does."""
        self.campaigns[name].skip_rest(reason)

    @rule(name=NAMES)
    def start_again(self, name: str) -> None:
        """Look again at who was skipped, as each run does at its start."""
        from airflow_provider_caixin.campaign.reopen import reopen_skipped

        campaign = self.campaigns[name]
        reopen_skipped(self.ledger, campaign.plan, campaign._key)

    @rule(number=st.sampled_from(NUMBERS), on=SELDOM)
    def suppress(self, number: str, on: bool) -> None:
        """Put a number on the suppression list, or take it off."""
        (suppressions.suppress if on else suppressions.release)(self.ledger, [number])

    def suppressed(self) -> set[str]:
        """Read the suppression list."""
        return {one.number for one in suppressions.suppressed(self.ledger)}

    def is_stopped(self, name: str) -> bool:
        """Return whether a campaign or its account is paused."""
        with self.ledger.reading() as connection:
            row = CampaignRow.read(connection, self.campaigns[name]._key)
            account = sa.select(schema.account.c.paused).where(schema.account.c.id == row.account)
            return bool(row.paused or connection.execute(account).scalar_one())

    def recipients(self) -> dict[int, Recipient]:
        """Read every recipient."""
        table = schema.recipient
        owner = schema.campaign.c.campaign_id
        names = [name for name in Recipient._fields if name != "campaign"]
        columns = [table.c.id, owner, *(table.c[name] for name in names)]
        joined = sa.select(*columns).join(schema.campaign, schema.campaign.c.id == table.c.campaign)
        with self.ledger.reading() as connection:
            return {row[0]: Recipient(*row[1:]) for row in connection.execute(joined)}

    @invariant()
    def promises_hold(self) -> None:
        """Check every row and every count."""
        if not hasattr(self, "runs"):
            return
        recipients = self.recipients()
        assert list(checks.disagreements(self.ledger)) == []
        with self.ledger.reading() as connection:
            for campaign in self.campaigns.values():
                row = CampaignRow.read(connection, campaign._key)
                assert row.counts == count_states(connection, campaign._key)
                self.unknown_is_visible(connection, campaign, list(recipients.values()))
                if campaign.plan.max_messages is not None:
                    possibly_billed = (State.SENT, State.UNKNOWN, State.IN_FLIGHT)
                    assert sum(row.counts[state] for state in possibly_billed) <= BUDGET
        assert all(recipients[key].state == State.SENT for key in self.settled), "back from sent"
        self.settled |= {key for key, one in recipients.items() if one.state == State.SENT}
        assert all(
            (one.state == State.SKIPPED) == (one.reason in set(SkipReason)) for one in recipients.values()
        )
        # What was or may have been billed, and what is in the air: an unknown outcome and its second request
        # are one recipient's.
        days = Counter(
            (one.number, china_midnight(one.sent_at))
            for one in recipients.values()
            if one.state in (State.SENT, State.UNKNOWN, State.IN_FLIGHT) and one.sent_at is not None
        )
        assert not days or max(days.values()) == 1, "more than one message a day"
        assert max(Counter(day for _, day in days).values(), default=0) <= VOLUME

    def unknown_is_visible(
        self, connection: sa.Connection, campaign: Campaign, recipients: list[Recipient]
    ) -> None:
        """Check that whoever is unknown is listed and counted.

        Whether or not a transaction has written so.
        """
        now = self.ledger.now(connection)
        ours = [one for one in recipients if one.campaign == campaign.plan.campaign_id]
        late = sum(one.state == State.IN_FLIGHT and lease_rows.has_ended(one.due, now) for one in ours)
        if not late:
            # Then it is what the row counts.
            return
        unknown = late + sum(one.state == State.UNKNOWN for one in ours)
        shown = campaign_views.campaign(connection, campaign._key, now)
        assert shown is not None
        assert shown.unknown == len(unknown_views.unknowns(connection, campaign._key, now)) == unknown


# Without the phase that explains a failure: it traces every line, and the classifier has a million.
PHASES = (Phase.explicit, Phase.generate, Phase.shrink)
LedgerMachine.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, phases=PHASES, database=None
)
TestLedger = pytest.mark.timeout(600)(LedgerMachine.TestCase)
