"""What must hold when a request leaves and when it arrives, and what somebody allowed or forbade."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from airflow_provider_caixin.campaign.senders import CATCH_UP, LATE_SECONDS, STALL_SECONDS
from tests.simulation.database import Database
from tests.simulation.findings import STEP_SEEN_SECONDS
from tests.simulation.gateway import Request
from tests.simulation.scenario import NO_NUMBER, OTHER_CARRIER, Scenario
from tests.simulation.world import World

# A claim that was committed before leaves within its reach, which is 1.04 s at the most, and a little late.
REACH_SECONDS: Final = 1.2
ROUNDING: Final = 1e-6


class Watch:
    """Looks at each request.

    :param wrong: receives a sentence about what does not hold.
    """

    def __init__(
        self, scenario: Scenario, world: World, database: Database, wrong: Callable[[str], None]
    ) -> None:
        #: How often somebody said of a recipient that it was not billed: it may be billed once more.
        self.again: Counter[tuple[int, str]] = Counter()
        #: How often somebody had a recipient retried that the gateway had rejected.
        self.retried: Counter[tuple[int, str]] = Counter()
        #: By the name of its process, what tells each run to stop.
        self.stops: dict[str, threading.Event] = {}
        self._scenario = scenario
        self._plan = dict(scenario.plan)
        self._world = world
        self._database = database
        self._wrong = wrong
        self._forbidden: dict[tuple[object, ...], float] = {}
        self._last_left: dict[str, float] = {}

    def forbid(self, *what: object) -> None:
        """Note that from now on, but for what was claimed already, something must not be sent to."""
        self._forbidden[what] = self._world.now

    def allow(self, *what: object) -> None:
        """Note that it may be sent to again."""
        self._forbidden.pop(what, None)

    def leaves(self, request: Request) -> None:
        """Check a request as it leaves."""
        if self.stops[request.process].is_set():
            self._wrong(f"{request} leaves although its process was told to stop")
        if request.number in (NO_NUMBER, OTHER_CARRIER):
            self._wrong(f"{request} leaves although no rule lets it pass")
        account = self._scenario.account_of(request.template)
        for what in (
            ("template", request.template),
            ("template", request.template, "for good"),
            ("account", account),
            ("number", request.number),
        ):
            since = self._forbidden.get(what)
            if since is not None and self._world.now - since > REACH_SECONDS:
                self._wrong(f"{request} leaves although {what} was forbidden at {since:.3f}")
        self._check_slot(request)
        self._check_gap(request)

    def _check_slot(self, request: Request) -> None:
        """Check that a request is recorded, and that it leaves at its slot."""
        now, host = self._world.now, self._database.host
        slot = self._database.slot_of(request.template, request.number)
        if slot is None:
            if not self.again[request.template, request.number]:
                self._wrong(f"{request} leaves, and no row knows of it")
        elif not host.stepped_within(now - STEP_SEEN_SECONDS, now):
            late = host.clock() - slot
            if not -ROUNDING <= late <= max(LATE_SECONDS, 0.5 / self._plan["rate"]) + ROUNDING:
                self._wrong(f"{request} leaves {late:.3f} s behind its slot")

    def _check_gap(self, request: Request) -> None:
        """Check that a process keeps its rate also after a stall."""
        since = self._world.now - self._last_left.get(request.process, float("-inf"))
        self._last_left[request.process] = self._world.now
        if since < 1 / (CATCH_UP * self._plan["rate"]) - STALL_SECONDS - ROUNDING:
            self._wrong(f"{request} leaves {since:.4f} s after another one of its process")

    def arrives(self, request: Request, others: Iterable[Request]) -> None:
        """Check a request, as it arrives, against those for the same number that are still open."""
        for other in others:
            if self.again[request.template, request.number] or self.again[other.template, other.number]:
                continue
            if request.template == other.template:
                must_wait = self._plan.get("on_unknown") != "resend"
            else:
                accounts = {self._scenario.account_of(one.template) for one in (request, other)}
                must_wait = "cap" in self._plan and len(accounts) == 1
            if must_wait:
                self._wrong(f"{request} arrives while {other} is open")
