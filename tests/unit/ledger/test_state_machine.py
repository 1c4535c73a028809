"""Any order of loads, claims, answers, late answers, crashes and lease expiries keeps the ledger's promises."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from airflow_provider_caixin.ledger import Ledger, State, campaigns, controls, messages, schema
from airflow_provider_caixin.ledger.campaigns import CampaignRow
from airflow_provider_caixin.ledger.gate import Gate
from airflow_provider_caixin.ledger.loads import count_states, load_audience, visible_ranges
from airflow_provider_caixin.ledger.messages import Settlement

PEOPLE = [str(13_900_000_000 + index) for index in range(12)]
LEASE = 60.0
RESEND_AFTER = 600.0

OUTCOMES = st.sampled_from([State.SENT, State.SENT, State.REJECTED, State.UNKNOWN, State.PENDING])


class Request(NamedTuple):
    """A claimed recipient whose sender has not answered yet."""

    id: int
    claim: str
    lease: float
    again: bool


class LedgerMachine(RuleBasedStateMachine):
    """Processes of one campaign on an embedded ledger, with a clock that the machine moves."""

    @initialize()
    def open(self) -> None:
        """Make an empty ledger and a campaign."""
        self.folder = tempfile.TemporaryDirectory()
        self.now = 1_795_400_000.0
        self.ledger = Ledger.sqlite(Path(self.folder.name) / "ledger.db", clock=lambda: self.now)
        with self.ledger.writing() as connection:
            self.account = campaigns.find_account(self.ledger, connection, "account")
            self.campaign = campaigns.find_campaign(
                self.ledger, connection, "campaign", self.account, 65535, self.now
            )
        self.requests: list[Request] = []
        self.sent: dict[int, str | None] = {}
        self.ticks = 0
        self.load("first", PEOPLE[:5])

    def teardown(self) -> None:
        """Forget the ledger."""
        if hasattr(self, "ledger"):
            self.ledger.close()
            self.folder.cleanup()

    @rule(source=st.sampled_from("abc"), rows=st.lists(st.sampled_from(PEOPLE), max_size=8))
    def load(self, source: str, rows: list[str]) -> None:
        """Load an audience; the same source again changes nothing."""
        load_audience(self.ledger, self.campaign, source, lambda: [(one, None) for one in rows], lease=LEASE)

    @rule(most=st.integers(1, 5), again=st.booleans())
    def claim(self, most: int, again: bool) -> None:
        """Claim as a tick does; with ``again`` what has been in doubt for long, too."""
        self.ticks += 1
        with self.ledger.writing() as connection:
            gate = Gate.open(connection, self.account)
            row = CampaignRow.lock(connection, self.campaign)
            messages.expire_leases(connection, row, self.now)
            slots = gate.slots(self.now, 294.0, 0.05, most)
            doubts = []
            if again:
                before = self.now - RESEND_AFTER
                doubts = messages.draw_doubts(connection, row.id, self.now, before, len(slots))
            ranges = visible_ranges(connection, row.id)
            fresh = messages.draw(connection, row.id, self.now, len(slots) - len(doubts), ranges)
            drawn = doubts + fresh
            messages.claim(
                connection, list(zip(drawn, slots, strict=False)), str(self.ticks), self.now + LEASE
            )
            row.move(State.UNKNOWN, State.IN_FLIGHT, len(doubts))
            row.move(State.PENDING, State.IN_FLIGHT, len(fresh))
            gate.take(slots[: len(drawn)], 294.0)
            row.save(connection)
            gate.save(connection)
        for one in drawn:
            alive = [other for other in self.requests if other.id == one.id and other.lease >= self.now]
            assert not alive, "two requests for one recipient in the air"
            assert one.id not in self.sent, "a sent recipient was claimed"
            self.requests.append(Request(one.id, str(self.ticks), self.now + LEASE, one.doubt_at is not None))
        assert len({one.id for one in doubts}) == len(doubts)

    @precondition(lambda self: self.requests)
    @rule(data=st.data(), outcomes=st.lists(OUTCOMES, min_size=1, max_size=2))
    def answer(self, data: st.DataObject, outcomes: list[State]) -> None:
        """Settle a request, however late, and once more: after a commit in doubt, or told to stop meanwhile."""
        request = data.draw(st.sampled_from(self.requests))
        self.requests.remove(request)
        for outcome in outcomes:
            before, claim = self.states()[request.id]
            self.settle(Settlement(request.id, request.claim, outcome))
            after, _ = self.states()[request.id]
            counts = claim == request.claim and before in (State.IN_FLIGHT, State.UNKNOWN)
            if not counts:
                assert after == before, "an answer counted whose claim is not the row's any more"
            elif request.again and outcome in (State.PENDING, State.REJECTED):
                assert after == State.UNKNOWN, "a doubt was forgotten"
            else:
                assert after == outcome, "an answer got lost"

    def settle(self, settled: Settlement) -> None:
        """Write one settlement as a tick does."""
        with self.ledger.writing() as connection:
            gate = Gate.open(connection, self.account)
            row = CampaignRow.lock(connection, self.campaign)
            messages.settle(connection, gate, row, [settled])
            row.save(connection)
            gate.save(connection)

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """Lose a request: its process died and will never settle it."""
        self.requests.remove(data.draw(st.sampled_from(self.requests)))

    @rule(seconds=st.sampled_from([0.01, 30.0, 61.0, 700.0, 700.0, -30.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass, or the host's clock step back."""
        self.now += seconds

    @rule()
    def retry(self) -> None:
        """Try rejected recipients again."""
        with self.ledger.writing() as connection:
            rejected = sa.update(schema.recipient).where(schema.recipient.c.state == State.REJECTED.value)
            connection.execute(rejected.values(code=236309))
        controls.retry_rejected(self.ledger, "campaign", 236309)

    @rule()
    def expire(self) -> None:
        """Notice leases that ran out."""
        with self.ledger.writing() as connection:
            row = CampaignRow.lock(connection, self.campaign)
            messages.expire_leases(connection, row, self.now)
            row.save(connection)

    def states(self) -> dict[int, tuple[str, str | None]]:
        """Read each recipient's state and claim."""
        table = schema.recipient
        with self.ledger.reading() as connection:
            rows = connection.execute(sa.select(table.c.id, table.c.state, table.c.claim))
            return {row.id: (row.state, row.claim) for row in rows}

    @invariant()
    def promises_hold(self) -> None:
        """Check that counts are those of the rows, and that nothing ever leaves ``sent``."""
        if not hasattr(self, "ledger"):
            return
        states = self.states()
        with self.ledger.reading() as connection:
            assert CampaignRow.read(connection, self.campaign).counts == count_states(
                connection, self.campaign
            )
        for key in self.sent:
            assert states[key][0] == State.SENT, "back from sent"
        self.sent |= {key: claim for key, (state, claim) in states.items() if state == State.SENT}
        assert {state for state, _ in states.values()} <= set(State)


LedgerMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
TestLedger = LedgerMachine.TestCase
