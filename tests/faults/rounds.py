"""A round: campaigns, sender processes, a gateway, a ledger, and what goes wrong meanwhile."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import sqlalchemy as sa

from airflow_provider_caixin.campaign import CampaignCancelled, CampaignError, CampaignFatal
from airflow_provider_caixin.china_time import DAY_SECONDS
from airflow_provider_caixin.ledger import Ledger, LedgerUnavailable, schema
from airflow_provider_caixin.ledger.views import checks
from airflow_provider_caixin.machine import Machine
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.sandbox.record import key_hash
from airflow_provider_caixin.vocabulary import State
from tests.faults.clocks import Clock
from tests.faults.databases import Database, Forgetful, MariaDB, Postgres, Replicated, SmallDisk, Sqlite
from tests.faults.faults import ARRANGED, FAULTS, OF_SERVERS, Waits
from tests.faults.invariants import Evidence, Row, broken
from tests.faults.workers import Worker

TEMPLATES: Final = (65535, 65536)
CHINA: Final = 8 * 3600
# Longer than a tick and a claim's way to the gateway: within it a request may go by the clock before a step.
STEP_SEEN_SECONDS: Final = 1.0
AGAIN_SECONDS: Final = 0.2
REST_SECONDS: Final = 3.0
TICK_SECONDS: Final = 0.02
LOOK_SECONDS: Final = 0.1
# Without progress a fault does not wait for it.
IMPATIENCE_SECONDS: Final = 4.0


def _names(*kinds: type[Exception]) -> frozenset[str]:
    below = (name for kind in kinds for name in _names(*kind.__subclasses__()))
    return frozenset({*(kind.__name__ for kind in kinds), *below})


class RoundFailed(AssertionError):
    """Something that must hold did not, or a fault that was to happen did not."""


@dataclass(frozen=True)
class Script:
    """What a round consists of.

    :param seed: what chance is drawn from.
    :param database: sqlite, disk (a small one of its own), postgresql, forgetful or replicated (PostgreSQL
        set or set up that way), or mysql.
    :param faults: names of ``FAULTS`` in ``faults.py``, in the order in which they begin.
    :param recipients: how many rows the audience of each campaign has.
    :param campaigns: one, or two that have half of their recipients in common.
    :param workers: processes for each campaign.
    :param rate: messages a second; leaves room on a machine that is busy.
    :param cap: messages a day to one recipient.
    :param budget: messages of each campaign.
    :param window: whether the usual send window holds; it is midday when the round begins.
    :param lease: seconds.
    :param timeout: seconds.
    :param arranged: whether the round exists for its faults: it fails when one of them could not happen.
    :param patience: seconds after which the round has failed.
    """

    seed: int
    database: str
    faults: tuple[str, ...]
    recipients: int = 500
    campaigns: int = 1
    workers: int = 2
    rate: float = 120.0
    cap: int | None = None
    budget: int | None = None
    window: bool = False
    lease: float = 3.0
    timeout: float = 0.6
    arranged: bool = True
    patience: float = 100.0


@dataclass
class Post:
    """A worker's place in a campaign.

    There is always one at it until it has ended well, or the place is deserted.
    """

    campaign: int
    number: int
    clock: Clock
    worker: Worker | None = None
    starts: int = 0
    due: float = 0.0
    rests: bool = False
    ended: str = ""
    done: bool = False
    deserted: bool = False


@dataclass
class Story:
    """What happened in a round, and when."""

    began: float = field(default_factory=time.monotonic)
    lines: list[str] = field(default_factory=list)

    def tell(self, line: str) -> None:
        """Write something down."""
        self.lines.append(f"{time.monotonic() - self.began:6.2f} s  {line}")


class Round:
    """One round, played by :meth:`play`.

    :param script: what it consists of.
    :param database: its ledger, ready for use.
    :param folder: for its files.
    """

    #: How a run may end that is to be run again.
    ends: Final = _names(CampaignError, LedgerUnavailable) - _names(CampaignFatal, CampaignCancelled)

    def __init__(self, script: Script, database: Database, folder: Path) -> None:
        self.script = script
        self.database = database
        self.folder = folder
        self.story = Story()
        self.hits: Counter[str] = Counter()
        self._upheavals = 0
        self._chance = Random(script.seed)
        self.midnight = (time.time() + CHINA) // DAY_SECONDS * DAY_SECONDS - CHINA
        # Processes on one file are on one host; a database server has hosts around it.
        hosts = 1 if isinstance(database, Sqlite) else 2
        self.clocks = [Clock(folder / f"clock-{number}") for number in range(hosts)]
        self.ledger_clock = self.clocks[0] if hosts == 1 else Clock(folder / "clock-ledger")
        self.all_go_to(13 * 3600)
        self.gateway = SandboxServer(
            process=True,
            record=folder / "record.jsonl",
            latency_ms=(50, 200),
            stall_seconds=5,
            rate_limit=None,
        )
        self._gateway_taken = self._gateway_down = False
        self._overlapping = 0
        self._state: dict[str, Any] = {}
        self._files = [self._audience(number) for number in range(script.campaigns)]
        self.posts = [
            Post(campaign, number, self.clocks[number % hosts])
            for number in range(script.workers)
            for campaign in range(script.campaigns)
        ]
        self._workers: list[Worker] = []
        self._results: dict[int, list[Mapping[str, Any]]] = {
            template: [] for template in TEMPLATES[: script.campaigns]
        }

    def play(self) -> None:
        """Play the round to its end and check what must hold.

        :raises RoundFailed: when it does not; says how to play it again.
        """
        try:
            with self.gateway:
                self._play()
                wrong = [*broken(self._evidence()), *self._disagreements(), *self._defects(), *self._missed()]
        except AssertionError as error:
            raise RoundFailed(self._told([str(error)])) from error
        finally:
            for worker in self._workers:
                worker.end()
        if wrong:
            raise RoundFailed(self._told(wrong))

    # ------------------------------------------------------------------ what faults use

    @property
    def requests(self) -> int:
        """How many requests the gateway has got."""
        return int(self._state.get("requests", 0))

    def answered(self, number: int) -> int:
        """Return how often the gateway gave an answer.

        :param number: an error code or a fault's number.
        """
        counts = {**self._state.get("by_code", {}), **self._state.get("by_fault", {})}
        return int(counts.get(str(number), 0))

    def sending(self, campaign: int | None = None) -> list[Worker]:
        """Return the workers that send.

        :param campaign: of this one only.
        """
        posts = [post for post in self.posts if campaign in (None, post.campaign)]
        return [post.worker for post in posts if post.worker is not None and post.worker.is_sending]

    def all_send(self) -> bool:
        """Return whether there is a worker at every place that has sent something."""
        names = {key for key, _, _ in self._left()}
        return all(post.worker is not None and post.worker.name in names for post in self.posts)

    def all_go_to(self, seconds: float) -> None:
        """Set the ledger's clock, and the hosts' as far from it as they are.

        :param seconds: since the midnight in China before the round.
        """
        step = self.midnight + seconds - time.time() - self.ledger_clock.offset
        for clock in {*self.clocks, self.ledger_clock}:
            clock.step(step)

    def desert(self) -> list[Worker]:
        """Start nobody again, so that no run ends well, and give the workers that still run."""
        self._results.clear()
        for post in self.posts:
            post.deserted = True
        return [post.worker for post in self.posts if post.worker is not None]

    def bury(self) -> None:
        """Let the round end without those whose places are deserted."""
        for post in self.posts:
            post.done |= post.deserted

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Open the ledger, with the clock that the senders of its host have."""
        opened = Ledger(self.database.url, Machine(lambda: time.time() + self.ledger_clock.offset))
        try:
            yield opened
        finally:
            opened.close()

    def wake(self) -> None:
        """Let whoever waits for the quota or the window look again."""
        for post in self.posts:
            post.due = 0.0

    def complained(self, words: str) -> bool:
        """Return whether a worker logged something.

        :param words: part of it.
        """
        return any(words in worker.complaints for worker in self._workers)

    def gateway_is_free(self) -> Generator[float]:
        """Wait until no other fault has the gateway's settings."""
        while self._gateway_taken:
            yield LOOK_SECONDS

    @contextmanager
    def gateway_set(self, **settings: Any) -> Iterator[None]:
        """Have the gateway's settings for a while.

        :param settings: what to change; it is as before afterwards.
        """
        self._gateway_taken = True
        before = self.gateway.configure()
        self.gateway.configure(**settings)
        try:
            yield
        finally:
            self.gateway.configure(**{**before, "answer_count": None})
            self._gateway_taken = False
            self._look()

    def kill_gateway(self) -> None:
        """Kill the gateway's process; its record outlives it, and so do the counts of this round."""
        self._look()
        self._overlapping += self._state["overlapping"]
        self.gateway.kill()
        self._gateway_down = True

    def start_gateway(self) -> None:
        """Start the gateway again."""
        self.gateway.start()
        self._gateway_down = False

    def happened(self, name: str, what: str, *, if_: bool = True, upheavals: int = 0) -> None:
        """Note that a fault happened.

        :param name: its name.
        :param what: what it did.
        :param if_: whether it can be told that it did anything.
        :param upheavals: how often it took requests in the air away from their sender, gateway or ledger.
        """
        self.hits[name] += if_
        self._upheavals += upheavals
        self.story.tell(f"{name}: {what}{'' if if_ else ', without effect'}")

    # ------------------------------------------------------------------ the course of a round

    def _play(self) -> None:
        waiting = list(enumerate(self.script.faults))
        under_way: list[tuple[float, str, Waits]] = []
        struck = looked = time.monotonic()
        # The last quarter is for whoever is started again.
        stride = 0.75 * self.script.recipients / max(1, len(waiting))
        try:
            while not all(post.done for post in self.posts):
                now = time.monotonic()
                assert now - self.story.began < self.script.patience, f"not settled: {self.posts}"
                self._tend(now)
                if now - looked >= LOOK_SECONDS and not self._gateway_down:
                    looked = now
                    self._look()
                due = waiting and (
                    self.requests > waiting[0][0] * stride + 5 or now - struck > IMPATIENCE_SECONDS
                )
                if due and self.requests:
                    number, name = waiting.pop(0)
                    struck = now
                    self.story.tell(f"{name} begins")
                    chance = Random(f"{self.script.seed}/{number}/{name}")
                    under_way.append((now, name, FAULTS[name](self, chance)))
                for one in [one for one in under_way if one[0] <= now]:
                    under_way.remove(one)
                    pause = next(one[2], None)
                    if pause is not None:
                        under_way.append((time.monotonic() + pause, *one[1:]))
                time.sleep(TICK_SECONDS)
            self._look()
        finally:
            for _, name, fault in under_way:
                self.story.tell(f"{name} is broken off")
                fault.close()

    def _look(self) -> None:
        self._state = self.gateway.state()

    def _tend(self, now: float) -> None:
        """Start who is due, and see how those ended who did."""
        for post in self.posts:
            worker = post.worker
            if post.done or post.deserted or (worker is not None and worker.status is None):
                continue
            if worker is None:
                if now >= post.due:
                    self._start(post)
                continue
            post.worker = None
            post.ended = worker.said[-1] if worker.said else ""
            post.rests = post.ended in ("OutsideWindow", "QuotaUsedUp") or (
                post.ended == "CampaignFatal" and "10012" in worker.complaints
            )
            post.due = now + (REST_SECONDS if post.rests else AGAIN_SECONDS)
            if worker.status == 0:
                post.done = True
                self._results[TEMPLATES[post.campaign]].append(json.loads(post.ended))
                post.ended = "done"
            elif worker.status and worker.status < 0:
                post.ended = f"signal {-worker.status}"
            elif not post.rests and post.ended not in self.ends:
                raise RoundFailed(f"{worker.name} failed with {post.ended!r}: {worker.complaints}")
            # A run that gives the ledger up leaves without settling what it has answers for.
            self._upheavals += worker.status == 1 and "The ledger" in worker.complaints
            self.story.tell(f"{worker.name}: {post.ended}")

    def _start(self, post: Post) -> None:
        post.starts += 1
        post.rests = False
        script = self.script
        plan = {
            "campaign_id": f"campaign {post.campaign}",
            "tpl_id": TEMPLATES[post.campaign],
            "account": "account",
            "rate": script.rate,
            "timeout": script.timeout,
            "cap": script.cap,
            "max_messages": script.budget,
            "window": "09:00-18:00" if script.window else None,
            "max_failure_ratio": None,
        }
        order = {
            "plan": plan,
            "ledger": self.database.url.render_as_string(hide_password=False),
            "port": self.gateway.port,
            "file": str(self._files[post.campaign]),
            "source": f"post {post.number}",
            "lease": script.lease,
            "clock": str(post.clock.file),
            "ledger_clock": str(self.ledger_clock.file) if len(self.clocks) > 1 else None,
            "posts": str(self.folder / "posts"),
            "busy_delays": [0.3, 0.6, 0.9],
        }
        name = f"campaign-{post.campaign}-post-{post.number}-start-{post.starts}"
        post.worker = Worker(name, order, self.folder)
        self._workers.append(post.worker)

    def _audience(self, campaign: int) -> Path:
        first = 13_912_340_000 + campaign * self.script.recipients // 2
        rows = [str(first + number) for number in range(self.script.recipients - 4)]
        # Rows that no rule lets pass, and one that is there three times.
        rows += ["x", "13012345678", rows[5], rows[5]]
        self._chance.shuffle(rows)
        file = self.folder / f"audience-{campaign}.txt"
        file.write_text("\n".join(rows) + "\n", encoding="utf-8")
        return file

    # ------------------------------------------------------------------ the end of a round

    def _evidence(self) -> Evidence:
        names = {key_hash(worker.name): worker for worker in self._workers}
        posts = {
            worker.name: self.posts[index]
            for worker in self._workers
            for index, post in enumerate(self.posts)
            if worker.name.startswith(f"campaign-{post.campaign}-post-{post.number}-")
        }
        epoch = time.time() - time.monotonic()

        def clocks(key: str, moment: float) -> set[float]:
            return {epoch + moment + offset for offset in posts[key].clock.offsets(moment, STEP_SEEN_SECONDS)}

        def ledger_clocks(_: str, moment: float) -> set[float]:
            return {
                epoch + moment + offset for offset in self.ledger_clock.offsets(moment, STEP_SEEN_SECONDS)
            }

        templates = TEMPLATES[: self.script.campaigns]
        rows, counts = {}, {}
        table, campaign = schema.recipient, schema.campaign
        ledger = Ledger(self.database.url)
        with ledger.reading() as connection:
            for template in templates:
                of = (
                    connection.execute(sa.select(campaign).where(campaign.c.tpl_id == template))
                    .one()
                    ._mapping
                )
                columns = (table.c.number, table.c.occurrence, table.c.state, table.c.reason, table.c.sid)
                found = connection.execute(sa.select(*columns).where(table.c.campaign == of["id"]))
                rows[template] = [Row(*row) for row in found]
                counts[template] = {state.value: of[state.value] for state in State if of[state.value]}
        ledger.close()
        requests = [{**one, "key": names[one["key"]].name} for one in self.gateway.requests()]
        return Evidence(
            audiences={
                template: file.read_text(encoding="utf-8").split()
                for template, file in zip(templates, self._files, strict=True)
            },
            rows=rows,
            counts=counts,
            results=self._results,
            requests=requests,
            left=self._left(),
            # Two campaigns may reach a recipient at once, unless a cap forbids it.
            overlapping=self._overlapping + self._state["overlapping"]
            if self.script.campaigns == 1 or self.script.cap
            else 0,
            clocks=clocks,
            ledger_clocks=ledger_clocks,
            rate=self.script.rate,
            timeout=self.script.timeout,
            cap=self.script.cap,
            budget=self.script.budget,
            window=(9 * 3600, 18 * 3600) if self.script.window else None,
            upheavals=self._upheavals,
        )

    def _left(self) -> list[tuple[str, float, str]]:
        """Read the senders' own record of what left: process, monotonic moment, number."""
        file = self.folder / "posts"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(key, float(moment), mobile) for key, moment, mobile in map(str.split, lines)]

    def _disagreements(self) -> list[str]:
        ledger = Ledger(self.database.url)
        try:
            return list(checks.disagreements(ledger))
        finally:
            ledger.close()

    def _defects(self) -> list[str]:
        # SQLAlchemy's pool tells of a connection that is lost with a trace, too; the sender goes on.
        signs = ("A sender failed", "Exception in thread", "Exception ignored")
        return [
            f"{worker.name} logged: {worker.complaints}"
            for worker in self._workers
            if any(sign in worker.complaints for sign in signs)
        ]

    def _missed(self) -> list[str]:
        missed = Counter(self.script.faults) - self.hits
        if not missed:
            return []
        self.story.tell(f"did not happen: {', '.join(missed)}")
        return ["faults that did not happen: " + ", ".join(missed)] if self.script.arranged else []

    def _told(self, wrong: list[str]) -> str:
        return "\n".join([*wrong, "", str(self.script), again(self.script), *self.story.lines])


# ---------------------------------------------------------------------- rounds to play


def _scenario(database: str, *faults: str, **options: Any) -> Callable[[int], Script]:
    return lambda seed: Script(seed, database, faults, **options)


SCENARIOS: Final[dict[str, Callable[[int], Script]]] = {
    "workers": _scenario("sqlite", "kill", "zombies", "stop", workers=3, recipients=650, budget=600),
    "answers": _scenario(
        "sqlite", "lost_answers", "reset_before", "reset_after", "stall_before", "stall_after", "page_500",
        "page_502_billed", "page_200", "slow", "too_slow", "half_an_answer", "gateway_gone", recipients=700,
    ),
    "quota": _scenario("mysql", "quota", "crash", "maintenance", "kill"),
    "restarts": _scenario("postgresql", "restart", "kill", "crash"),
    "clocks": _scenario("sqlite", "clock_step", "kill", "clock_step", campaigns=2, workers=1, cap=1, recipients=400, window=True),
    "closing": _scenario("postgresql", "closing", campaigns=2, workers=1, recipients=500, cap=1, window=True),
    "forgetful": _scenario("forgetful", "crash", "crash", workers=1, recipients=500, rate=200.0),
    "failover": _scenario("replicated", "fail_over"),
    "apart": _scenario("mysql", "apart", recipients=600, window=True),
    "deserted": _scenario("sqlite", "lost_answers", "deserted"),
    "full-disk": _scenario("disk", "full_disk", "full_disk"),
    # By hand; CI has each of their faults on one of the databases.
    "long-full-disk": _scenario("disk", "long_full_disk", "kill"),
    "frozen": _scenario("postgresql", "freeze", "zombies", "long_freeze", workers=3, recipients=1_000),
    # MariaDB waits with its read_only for open transactions, and these for it: seconds.
    "read-only": _scenario("mysql", "read_only", lease=8.0),
    "deserted-mysql": _scenario("mysql", "lost_answers", "deserted"),
    "deserted-postgresql": _scenario("postgresql", "lost_answers", "deserted"),
    "restarts-mysql": _scenario("mysql", "restart", "crash", "kill", "cut", "zombies", workers=3, recipients=1_000),
}  # fmt: skip
"""Rounds for one kind of fault each, by name; they take a seed."""


def draw(seed: int, database: str | None = None) -> Script:
    """Draw a round by chance.

    :param seed: the same seed is the same round.
    :param database: the ledger's; None: drawn, too.
    """
    chance = Random(seed)
    drawn = chance.choice(["sqlite", "sqlite", "postgresql", "mysql"])
    database = database or drawn
    campaigns = chance.choice([1, 1, 2])
    possible = sorted(FAULTS.keys() - ARRANGED)
    if database == "sqlite":
        possible = [name for name in possible if name not in OF_SERVERS]
    # Whatever else happens, something happens to the workers.
    faults = [*chance.sample(possible, 5), *chance.choices(["kill", "freeze", "long_freeze", "stop"], k=2)]
    chance.shuffle(faults)
    recipients = chance.choice([400, 550, 700])
    return Script(
        seed,
        database,
        tuple(faults),
        recipients=recipients,
        campaigns=campaigns,
        workers=chance.choice([1, 2]) if campaigns == 2 else chance.choice([2, 3]),
        rate=chance.choice([100.0, 140.0]),
        cap=chance.choice([None, 1]),
        window=chance.choice([False, True]),
        # Used up when the last fault has begun.
        budget=chance.choice([None, recipients * 9 // 10]),
        arranged=False,
    )


def play(script: Script, folder: Path) -> Round:
    """Play a round on a database of its own.

    :param script: the round.
    :param folder: an empty folder for its files.
    :return: the round after its end.
    :raises Missing: when this machine lacks what its database needs.
    :raises RoundFailed: when something did not hold.
    """
    with _database(script.database, folder) as database:
        played = Round(script, database, folder)
        played.play()
        return played


def _database(name: str, folder: Path) -> Database:
    if name == "disk":
        place = folder / "disk"
        place.mkdir()
        return SmallDisk(place)
    if name == "sqlite":
        return Sqlite(folder / "ledger.db")
    kinds: dict[str, Callable[[], Database]] = {
        "postgresql": Postgres,
        "forgetful": Forgetful,
        "replicated": Replicated,
        "mysql": MariaDB,
    }
    return kinds[name]()


def again(script: Script) -> str:
    """Return how to play a round again.

    :param script: the round.
    """
    for name, scenario in SCENARIOS.items():
        if scenario(script.seed) == script:
            return f"Again: make faults SCENARIO={name} SEED={script.seed}"
    return f"Again: make faults SEED={script.seed} DATABASE={script.database}"
