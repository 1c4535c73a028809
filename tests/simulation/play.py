"""Play a scenario to its end, and say what did not hold."""

from __future__ import annotations

import re
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from airflow_provider_caixin.audience import Classifier, audience_from
from airflow_provider_caixin.campaign import (
    Campaign,
    CampaignCancelled,
    CampaignError,
    CampaignStopped,
    OutsideWindow,
    Plan,
)
from airflow_provider_caixin.ledger import Ledger, LedgerError
from airflow_provider_caixin.ledger.errors import CampaignPurged
from airflow_provider_caixin.ledger.views import checks
from airflow_provider_caixin.rules import FrequencyCap, SendWindow
from tests.faults.invariants import broken
from tests.simulation import acts
from tests.simulation.database import Database, SimulatedLedger
from tests.simulation.findings import Finding, ends_without_reason, evidence, find, slots_not_kept
from tests.simulation.gateway import Gateway, client_of
from tests.simulation.process import ConnectionLost, Fault, Lock, Process
from tests.simulation.scenario import LEASE_SECONDS, TEMPLATES, TIMEOUT_SECONDS, Act, Post, Scenario
from tests.simulation.shorter import shorter
from tests.simulation.watch import Watch
from tests.simulation.world import Host, Stuck, World

SENDERS: Final = 40
STOP_SECONDS: Final = 4.0
MOST_STARTS: Final = 80
FLAKY_STARTS: Final = 3
PATIENCE_SECONDS: Final = 20 * 86_400.0
# One for all: to make it is most of the work of a short campaign.
_CLASSIFIER: Final = Classifier()


@dataclass
class Played:
    """What came of a scenario.

    :param wrong: what did not hold.
    :param visits: how often the first post's first attempt was at each point.
    """

    scenario: Scenario
    wrong: list[str]
    digest: str
    story: list[str]
    visits: Counter[str]
    requests: int

    @property
    def kinds(self) -> set[str]:
        """What did not hold, without who and when: two scenarios may fail for the same reason."""
        # A sentence about a request begins with it.
        told = (re.sub(r"^Request\(.*\) (?=leaves|arrives)", "", sentence) for sentence in self.wrong)
        return {re.sub(r"[(\[{].*|\d", "", sentence.partition(": ")[0]) for sentence in told}


@dataclass
class Place:
    """A post as it is now."""

    post: Post
    number: int
    starts: int = 0
    process: Process | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    is_done: bool = False


class Play:
    """A scenario under way.

    :param file: where the ledger is to be.
    :param empty: a ledger without a campaign.
    :param keep: whether the story is kept.
    """

    def __init__(self, scenario: Scenario, file: Path, empty: Path, *, keep: bool = False) -> None:
        self.scenario = scenario
        self.world = World(keep=keep)
        self.world.now = scenario.begins
        self.hosts = [Host(self.world, f"host {n}", off) for n, off in enumerate(scenario.hosts)]
        seed = str(scenario.seed)
        self.database = Database(self.world, file, empty, self.hosts[-1], seed, self._wrong)
        self.watch = Watch(scenario, self.world, self.database, self._wrong)
        self.gateway = Gateway(
            self.world,
            seed,
            shares=dict(scenario.shares),
            spells=tuple(scenario.spells),
            began=scenario.begins,
            quota=scenario.quota,
            accounts={TEMPLATES[n]: account for n, account in enumerate(scenario.accounts)},
            leaves=self.watch.leaves,
            arrives=self.watch.arrives,
        )
        self.wrong: list[str] = []
        #: Whose turn it is to do something: everybody sees what others did.
        self.turns = Lock(self.world)
        self.cancelled: set[int] = set()
        #: When somebody made recipients of a campaign pending again for the last time.
        self.reopened: dict[int, float] = {}
        self._places = [Place(post, number) for number, post in enumerate(scenario.posts)]
        self.results: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
        self.processes: dict[str, Process] = {}
        self._acts_left = len(scenario.acts)
        self.found: dict[int, Finding] = {}
        self.remembered: dict[int, Finding] = {}
        self._is_over = False
        self._has_closed = False

    # ------------------------------------------------------------------ what acts use

    def template(self, campaign: int) -> int:
        """Return a campaign's template, of which each has its own."""
        return TEMPLATES[campaign]

    def campaign_id(self, campaign: int) -> str:
        """Return a campaign's id."""
        return f"campaign {campaign}"

    def account(self, campaign: int) -> str:
        """Return the name of a campaign's account."""
        return f"account {self.scenario.accounts[campaign]}"

    def chance_of(self, act: Act) -> Random:
        """Return the chance of an act: the same one whatever else happens."""
        return Random(f"{self.scenario.seed}/{act}")

    def act_done(self) -> None:
        """Note that somebody has done something."""
        self._acts_left -= 1
        self._look_for_end()

    def remember(self, ledger: Ledger) -> None:
        """Write down what campaigns are, because their recipients may be forgotten."""
        for template, found in find(ledger).items():
            if not found.is_purged:
                self.remembered[template] = found

    # ------------------------------------------------------------------ the course of a scenario

    def play(self) -> Played:
        """Play it to its end."""
        scenario, world = self.scenario, self.world
        for place in self._places:
            self._start_in(place, place.post.begins)
        for number, act in enumerate(scenario.acts):
            world.at(scenario.begins + act.moment, partial(self._act, act, number))
        try:
            world.run(lambda: self._is_over, scenario.begins + PATIENCE_SECONDS)
        except Stuck as stuck:
            self._wrong(f"{stuck}: {[(place.post.campaign, place.starts) for place in self._places]}")
        except Exception as error:  # noqa: BLE001  # whatever the package lets through
            self._wrong(f"{type(error).__name__}: {error}")
        else:
            for account in sorted(set(scenario.accounts)) if self.found else ():
                known = evidence(self, account)
                self.wrong += [*broken(known), *slots_not_kept(known), *ends_without_reason(self, known)]
        for found in self.found.values():
            for row in found.rows:
                world.tell(f"at the end {row}")
        self._close()
        visits = self.processes[self._name(self._places[0], 1)].visits
        return Played(scenario, self.wrong, world.digest, world.story, visits, len(self.gateway.requests))

    def _close(self) -> None:
        self.world.close()
        for process in self.processes.values():
            process.leave()
        self.database.close()

    def _wrong(self, sentence: str) -> None:
        if len(self.wrong) < 20:
            self.world.tell(f"WRONG: {sentence}")
            self.wrong.append(sentence)

    def _name(self, place: Place, start: int) -> str:
        return f"campaign {place.post.campaign} post {place.number} start {start}"

    def _start_in(self, place: Place, seconds: float) -> None:
        self.world.at(self.world.now + max(0.0, seconds), lambda: self._start(place))

    def _start(self, place: Place) -> None:
        place.starts += 1
        if place.starts > MOST_STARTS:
            self._wrong(f"post {place.number} was started {MOST_STARTS} times")
            self._is_over = True
            return
        post, name = place.post, self._name(place, place.starts)
        faults: tuple[Fault, ...] = tuple(fault for start, fault in post.faults if start == place.starts)
        # At some time the network is mended; the last ones find a world in order.
        flaky = self.scenario.flaky if place.starts <= FLAKY_STARTS and not self._has_closed else 0.0
        seed = str(self.scenario.seed)
        process = Process(self.world, self.hosts[post.host], name, seed, faults, flaky)
        process.tell("starts")
        process.killed = lambda: self._killed(place, process)
        self.processes[name] = place.process = process
        place.stop = threading.Event()
        self.watch.stops[name] = place.stop
        self.world.spawn(process, lambda: self._run(place, process, place.stop))

    def _killed(self, place: Place, process: Process) -> None:
        if place.process is process:
            place.process = None
            self._start_in(place, process.chance.uniform(0.2, 2.0))

    def _run(self, place: Place, process: Process, stop: threading.Event) -> None:
        """Do what a task does."""
        campaign, began = place.post.campaign, self.world.now

        def give_up() -> bool:
            try:
                process.point("batch")
            except ConnectionLost:
                return True
            return stop.is_set()

        error: Exception | None = None
        try:
            ledger = SimulatedLedger(self.database, process)
            run = Campaign(
                self._plan(campaign),
                ledger,
                client_of(self.gateway, process, TIMEOUT_SECONDS),
                lease=LEASE_SECONDS,
                senders=SENDERS,
            )
            audience = audience_from(list(self.scenario.numbers[campaign]))
            run.load(audience, place.post.source, give_up)
            run.send(stop)
            result = run.counts().as_result()
            if self.reopened.get(campaign, began - 1) >= began:
                # Whoever was made pending while a run ends is the next run's.
                result["pending"] = 0
            self.results[self.template(campaign)].append(result)
        except (CampaignError, LedgerError) as ended:
            error = ended
        process.tell(f"ends: {type(error).__name__ if error else 'well'}")
        place.process = None
        if isinstance(error, CampaignStopped | LedgerError) or "ledger" in str(error).lower():
            # A run that gives the ledger up leaves without settling what it has answers for.
            process.is_struck = True
        process.leave()
        if error is None or isinstance(error, CampaignCancelled | CampaignPurged):
            place.is_done = True
            self._look_for_end()
        elif isinstance(error, OutsideWindow):
            self._start_in(place, error.opens_at.timestamp() - process.host.clock() + process.chance.random())
        else:
            # As whoever looks after it: soon at first, and then seldom.
            patience = min(8 * 3600.0, 4.0 ** max(0, place.starts - 3))
            self._start_in(place, process.chance.uniform(2.0, 16.0) * patience)

    def _plan(self, campaign: int) -> Plan:
        plan = dict(self.scenario.plan)
        if "window" in plan:
            plan["window"] = SendWindow(plan["window"])
        if "cap" in plan:
            plan["cap"] = FrequencyCap(plan["cap"])
        return Plan(
            campaign_id=self.campaign_id(campaign),
            tpl_id=self.template(campaign),
            account=self.account(campaign),
            classifier=_CLASSIFIER,
            timeout=TIMEOUT_SECONDS,
            max_failure_ratio=None,
            **plan,
        )

    # ------------------------------------------------------------------ what happens from outside

    def _act(self, act: Act, number: int) -> None:
        if act.what == "step":
            self.hosts[act.of].step(act.amount)
        elif act.what == "suspend":
            self._suspend(self.hosts[act.of], act.amount)
        elif act.what == "stop":
            running = [one for one in self._places if one.post.campaign == act.of and one.process]
            if running:
                place = running[int(act.amount * len(running)) % len(running)]
                self._stop(place)
        else:
            acts.act(self, act, number)
            return
        self.act_done()

    def _stop(self, place: Place) -> None:
        process, asked_at = place.process, self.world.now
        assert process is not None
        process.tell("is told to stop")
        process.is_struck = True
        place.stop.set()

        def look() -> None:
            # It may be loading, or waiting for the ledger's lock before it does anything.
            if place.process is process and process.frozen_until < asked_at and process.threads:
                self._wrong(f"{process.name} was told to stop {STOP_SECONDS:g} s ago")

        self.world.at(asked_at + STOP_SECONDS + 0.1, look)

    def _suspend(self, host: Host, seconds: float) -> None:
        for process in self.processes.values():
            if process.host is host:
                process.freeze(seconds, "with its host")
        self.world.at(self.world.now + seconds, lambda: host.was_suspended(seconds))

    # ------------------------------------------------------------------ the end

    def _look_for_end(self) -> None:
        """When all is done, have somebody run each campaign a last time, and look at the ledger."""
        if self._acts_left or not all(place.is_done for place in self._places):
            return
        if not self._has_closed:
            # Behind what was done last, which may have made recipients pending again.
            self._has_closed = True
            self.world.at(self.world.now + 10.0, self._run_again)
        elif len(self._places) > len(self.scenario.posts):
            self._inspect()

    def _run_again(self) -> None:
        for campaign in range(len(self.scenario.numbers)):
            host = len(self.hosts) - 1
            place = Place(
                Post(campaign, host, 0.0, "task" if self._has_twin(campaign) else "task 0"), len(self._places)
            )
            self._places.append(place)
            self._start(place)

    def _has_twin(self, campaign: int) -> bool:
        return any(post.campaign == campaign and post.source == "task" for post in self.scenario.posts)

    def _inspect(self) -> None:
        process = Process(self.world, self.hosts[-1], "inspector", str(self.scenario.seed))
        self.processes[process.name] = process

        def work() -> None:
            ledger = SimulatedLedger(self.database, process)
            for sentence in checks.disagreements(ledger):
                self._wrong(sentence)
            self.found = find(ledger)
            for template, found in self.found.items():
                if found.is_purged:
                    # What was, and the counts that were kept; whom a cancelled one had left the purge skips.
                    before = self.remembered[template]
                    is_cancelled = TEMPLATES.index(template) in self.cancelled
                    rows = before.skipping_pending() if is_cancelled else before.rows
                    self.found[template] = replace(before, rows=rows, counts=found.counts, is_purged=True)
            self._is_over = True

        self.world.spawn(process, work)


def play(scenario: Scenario, folder: Path, empty: Path, *, keep: bool = False) -> Played:
    """Play a scenario.

    :param folder: for the ledger, in memory if there is such a place.
    :param empty: a ledger without a campaign.
    :param keep: whether the story is kept.
    """
    file = folder / "ledger.db"
    with shorter() as errors:
        played = Play(scenario, file, empty, keep=keep).play()
        played.wrong += [f"logged: {line}" for line in errors]
    for left in folder.glob("ledger.db*"):
        left.unlink()
    return played
