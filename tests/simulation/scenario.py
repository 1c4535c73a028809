"""A scenario: campaigns, hosts, processes and everything that goes wrong, drawn from a seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Any, Final, Literal

from tests.simulation.gateway import REPLIES, SPELLS, Spell
from tests.simulation.process import POINTS, Fault, Kind

RECIPIENTS: Final = 50
NO_NUMBER: Final = "x"
OTHER_CARRIER: Final = "13012345678"
TEMPLATES: Final = (65535, 65536)
LEASE_SECONDS: Final = 4.0
TIMEOUT_SECONDS: Final = 1.0
_HOUR: Final = 3600.0


@dataclass(frozen=True)
class Post:
    """A task of a campaign: attempt after attempt, until one ends well.

    :param campaign: its place among the campaigns.
    :param host: its place among the hosts.
    :param begins: when its first attempt does, in seconds of the scenario.
    :param source: who loads the audience; two posts of one source are a task that was started twice.
    :param faults: what strikes which attempt.
    """

    campaign: int
    host: int
    begins: float
    source: str
    faults: tuple[tuple[int, Fault], ...] = ()


@dataclass(frozen=True)
class Act:
    """What somebody does, or what happens to a host.

    :param what: a name of ``ACTS`` in acts.py, or ``step`` or ``suspend``.
    :param moment: in seconds of the scenario.
    :param of: the campaign's or the host's place.
    :param amount: seconds, or a share of those whom it is about.
    """

    what: str
    moment: float
    of: int = 0
    amount: float = 0.0


@dataclass(frozen=True)
class Scenario:
    """What is played.

    :param begins: the first moment, in seconds since midnight in China.
    :param numbers: each campaign's audience.
    :param accounts: each campaign's account.
    :param plan: arguments of the plan, the same for all campaigns.
    :param hosts: by how many seconds each host's clock is off; the ledger goes by the last one's.
    :param shares: how many of the requests have which reply.
    :param flaky: at which share of all points a connection breaks.
    :param quota: how many messages a day the gateway takes of an account.
    """

    seed: int
    begins: float
    numbers: tuple[tuple[str, ...], ...]
    accounts: tuple[int, ...]
    posts: tuple[Post, ...]
    plan: tuple[tuple[str, Any], ...] = ()
    hosts: tuple[float, ...] = (0.0,)
    shares: tuple[tuple[str, float], ...] = ()
    spells: tuple[Spell, ...] = ()
    acts: tuple[Act, ...] = ()
    quota: int | None = None
    flaky: float = 0.0

    def account_of(self, template: int) -> int:
        """Return the account of a template's campaign."""
        return self.accounts[TEMPLATES.index(template)]

    @property
    def size(self) -> tuple[int, int]:
        """How much there is to read: what happens, and to how many."""
        faults = sum(len(post.faults) for post in self.posts)
        things = (self.posts, self.plan, self.hosts, self.shares, self.spells, self.acts)
        return sum(map(len, things)) + faults + (self.quota is not None) + (self.flaky > 0), sum(
            map(len, self.numbers)
        )

    def smaller(self) -> Iterator[Scenario]:
        """Yield scenarios with one thing less, the large ones first."""
        for place in range(len(self.numbers)) if len(self.numbers) > 1 else ():
            yield self._without_campaign(place)
        for name in ("shares", "spells", "acts", "plan"):
            things = getattr(self, name)
            for start, end in _halves(len(things)):
                kept = things[:start] + things[end:]
                if name != "plan" or dict(kept).get("rate"):
                    yield replace(self, **{name: kept})
        for place, post in enumerate(self.posts):
            if sum(other.campaign == post.campaign for other in self.posts) > 1:
                yield replace(self, posts=self.posts[:place] + self.posts[place + 1 :])
            for number in range(len(post.faults)):
                fewer = replace(post, faults=post.faults[:number] + post.faults[number + 1 :])
                yield replace(self, posts=(*self.posts[:place], fewer, *self.posts[place + 1 :]))
        if self.quota is not None:
            yield replace(self, quota=None)
        if self.flaky:
            yield replace(self, flaky=0.0)
        if any(self.hosts):
            yield replace(self, hosts=(0.0,) * len(self.hosts))
        for place, numbers in enumerate(self.numbers):
            for start, end in _halves(len(numbers)):
                if kept := numbers[:start] + numbers[end:]:
                    yield replace(self, numbers=(*self.numbers[:place], kept, *self.numbers[place + 1 :]))

    def _without_campaign(self, gone: int) -> Scenario:
        def kept(things: tuple[Any, ...]) -> tuple[Any, ...]:
            return things[:gone] + things[gone + 1 :]

        posts = (replace(one, campaign=0) for one in self.posts if one.campaign != gone)
        acts = (
            act if act.what in HOSTS else replace(act, of=0)
            for act in self.acts
            if act.what in HOSTS or act.of != gone
        )
        return replace(
            self,
            numbers=kept(self.numbers),
            accounts=kept(self.accounts),
            posts=tuple(posts),
            acts=tuple(acts),
        )


def _halves(length: int) -> Iterator[tuple[int, int]]:
    """Yield parts to leave out: halves, quarters and so on, at the end one at a time."""
    part = length
    while part:
        yield from ((start, min(length, start + part)) for start in range(0, length, part))
        part //= 2


HOSTS: Final = ("step", "suspend")
LOADING: Final = ("batch", "begin", "body", "commit", "done")


def draw(seed: int) -> Scenario:
    """Draw a scenario; the same seed is the same scenario."""
    chance = Random(seed)
    campaigns = chance.choice((1, 1, 2))
    accounts = (0, chance.choice((0, 0, 1)))[:campaigns]
    first = 13_912_340_000
    numbers = tuple(_audience(chance, first + place * RECIPIENTS // 2) for place in range(campaigns))
    hosts = _hosts(chance)
    plan = _plan(chance)
    posts: list[Post] = []
    for campaign in range(campaigns):
        twin = chance.random() < 0.5
        for number in range(chance.choice((1, 1, 2)) if campaigns == 2 else chance.choice((1, 2, 2, 3))):
            source = "task" if twin else f"task {number}"
            begins = chance.choice((0.0, 0.0, chance.uniform(0.0, 0.05), chance.uniform(0.0, 2.0)))
            host = chance.randrange(len(hosts))
            faults = _faults(chance)
            if number and chance.random() < 0.2:
                # Two loads at once, one of which is suspended.
                begins, faults = posts[-1].begins, ((1, _fault(chance, "freeze", LOADING, 9)),)
            posts.append(Post(campaign, host, begins, source, faults))
    return Scenario(
        seed,
        _begins(chance, windowed="window" in dict(plan)),
        numbers,
        accounts,
        tuple(posts),
        plan,
        hosts,
        _shares(chance),
        _spells(chance),
        _acts(chance, campaigns, len(hosts)) + _acts_meanwhile(chance, posts) + _set_right(chance, hosts),
        chance.choice((None, None, None, None, chance.randint(10, 45))),
        chance.choice((0.0, 0.0, 0.0, 0.0, 0.01, 0.05)),
    )


def _audience(chance: Random, first: int) -> tuple[str, ...]:
    rows = [str(first + number) for number in range(RECIPIENTS - 3)]
    # Rows that no rule lets pass, and one that is there twice.
    rows += [NO_NUMBER, OTHER_CARRIER, rows[5]]
    chance.shuffle(rows)
    return tuple(rows)


def _hosts(chance: Random) -> tuple[float, ...]:
    if chance.random() < 0.5:
        return (0.0,)
    off = (0.0, chance.uniform(-1.5, 1.5), chance.uniform(-20.0, 20.0))
    if chance.random() < 0.1:
        # Too far off to send by.
        return chance.choice((-1, 1)) * chance.uniform(31.0, 4000.0), chance.choice(off), 0.0
    return chance.choice(off), chance.choice(off), 0.0


def _plan(chance: Random) -> tuple[tuple[str, Any], ...]:
    plan: dict[str, Any] = {"rate": chance.choice((15.0, 40.0, 90.0, 90.0, 200.0, 200.0))}
    if chance.random() < 0.5:
        plan["window"] = "09:00-18:00"
    if chance.random() < 0.4:
        plan["cap"] = 1
    if chance.random() < 0.3:
        plan["max_messages"] = chance.randint(5, 48)
    if chance.random() < 0.25:
        plan["max_per_day"] = chance.randint(15, 60)
    if chance.random() < 0.3:
        plan["on_unknown"] = "resend"
    if chance.random() < 0.2:
        ends = [timedelta(seconds=chance.uniform(0.3, 8.0))]
        plan["expires_at"] = chance.choice(ends + ["close"] * ("window" in plan))
    if chance.random() < 0.2:
        plan["max_consecutive_failures"] = chance.randint(2, 20)
    return tuple(plan.items())


def _begins(chance: Random, *, windowed: bool) -> float:
    """Draw the hour: midday, or one at which something begins or ends in a moment."""
    soon = [9 * _HOUR - chance.uniform(0.0, 3.0), 18 * _HOUR - chance.uniform(6.0, 9.0)]
    if not windowed:
        soon = [24 * _HOUR - chance.uniform(6.0, 9.0)]
    return chance.choice((12 * _HOUR, 12 * _HOUR, chance.choice(soon)))


def _faults(chance: Random) -> tuple[tuple[int, Fault], ...]:
    faults = []
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        kind: Kind = chance.choice(("die", "die", "freeze", "lose"))
        start = chance.choice((1, 1, 2))
        # Half of those of transactions strike within a load.
        faults.append((start, _fault(chance, kind, POINTS, chance.choice((9, 30)))))
    return tuple(faults)


def _fault(chance: Random, kind: Kind, points: Sequence[str], most: int) -> Fault:
    point = chance.choice(points)
    most = {"batch": 4, "read": 8, "write": 30, "answer": 30}.get(point, most)
    seconds = chance.choice((chance.uniform(0.05, 1.0), chance.uniform(1.0, 4.5), chance.uniform(4.5, 9.0)))
    return Fault(point, chance.randint(1, most), kind, seconds if kind == "freeze" else 0.0)


def _shares(chance: Random) -> tuple[tuple[str, float], ...]:
    if chance.random() < 0.3:
        return ()
    names = chance.sample(sorted(REPLIES), chance.randint(1, 4))
    return tuple((name, chance.choice((0.02, 0.05, 0.15))) for name in names)


def _spells(chance: Random) -> tuple[Spell, ...]:
    number = chance.choice((0, 0, 0, 1, 1, 2))
    return tuple(
        Spell(chance.choice(sorted(SPELLS)), chance.uniform(0.0, 2.0), chance.choice((0.1, 0.5, 1.0, 4.0)))
        for _ in range(number)
    )


_ACTS: Final = (
    *("pause", "pause", "pause account", "cancel", "resolve", "resolve", "resolve wrongly", "retry"),
    *("suppress", "suppress", "purge", "stop", "stop", "step", "step", "step", "suspend", "suspend"),
)


def _acts(chance: Random, campaigns: int, hosts: int) -> tuple[Act, ...]:
    acts = []
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3, 4))):
        what = chance.choice(_ACTS)
        late = what in ("resolve", "resolve wrongly", "retry", "purge")
        moment = chance.uniform(0.5, 15.0) if late else chance.uniform(0.0, 2.5)
        if what in HOSTS:
            acts += _of_host(chance, what, moment, chance.randrange(hosts))
            continue
        of, amount = chance.randrange(campaigns), chance.uniform(0.05, 1.0)
        acts.append(Act(what, moment, of, amount))
        end: dict[str, Literal["resume", "resume account", "release"]] = {
            "pause": "resume",
            "pause account": "resume account",
            "suppress": "release",
        }
        if what in end and (what != "suppress" or chance.random() < 0.3):
            acts.append(Act(end[what], moment + chance.uniform(0.2, 6.0), of, amount))
    return tuple(acts)


def _acts_meanwhile(chance: Random, posts: list[Post]) -> tuple[Act, ...]:
    """Draw what somebody says of whom a suspended process has in the air, before it goes on."""
    return tuple(
        Act("resolve wrongly", post.begins + chance.uniform(LEASE_SECONDS, fault.seconds), post.campaign, 1.0)
        for post in posts
        for start, fault in post.faults
        if start == 1 and fault.seconds > LEASE_SECONDS and chance.random() < 0.5
    )


def _set_right(chance: Random, hosts: tuple[float, ...]) -> tuple[Act, ...]:
    """Draw when somebody sets a clock that is too far off: without that its host would never send."""
    return tuple(
        Act("step", chance.uniform(0.5, 20.0), host, -off)
        for host, off in enumerate(hosts)
        if abs(off) > 30.0
    )


def _of_host(chance: Random, what: str, moment: float, of: int) -> list[Act]:
    if what == "suspend":
        return [Act(what, moment, of, chance.uniform(1.1, 9.0))]
    far = chance.choice((31.0, 1800.0, _HOUR * chance.uniform(1, 30)))
    seconds = chance.choice((-1, 1)) * chance.choice((0.3, 0.9, 1.9, 3.5, far, far))
    # Somebody sets it right after a while.
    return [Act(what, moment, of, seconds), Act(what, moment + chance.uniform(0.3, 4.0), of, -seconds)]
