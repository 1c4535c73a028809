"""A gateway of this world: what it answers, when, and whom it bills; the package's own client reads it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from greenlet import GreenletExit

from airflow_provider_caixin.china_time import DAY_SECONDS
from airflow_provider_caixin.juhe import JuheClient, NotPosted, NotReached, OutcomeUnknown
from airflow_provider_caixin.juhe.transport import Answer
from tests.simulation.process import ConnectionLost, Process
from tests.simulation.world import Sleeper, World


@dataclass(frozen=True)
class Reply:
    """What comes of a request.

    :param code: the ``error_code``; None: no envelope.
    :param fault: of an answer without envelope, as the sandbox numbers it.
    :param billed: whether the message is billed.
    :param status: the HTTP status; None: the connection ends, perhaps within the answer; 0: silence.
    """

    code: int | None
    fault: int = 0
    billed: bool = False
    status: int | None = 200


def _code(code: int, *, billed: bool = False) -> Reply:
    return Reply(code, billed=billed)


ACCEPTED: Final = _code(0, billed=True)
REPLIES: Final[Mapping[str, Reply]] = {
    "silence": Reply(None, 99001, status=0),
    "silence, billed": Reply(None, 99002, billed=True, status=0),
    "reset": Reply(None, 99003, status=None),
    "reset, billed": Reply(None, 99004, billed=True, status=None),
    "half an answer": Reply(None, 99006, billed=True, status=None),
    "page 500": Reply(None, 99010, status=500),
    "page 502, billed": Reply(None, 99011, billed=True, status=502),
    "page 503": Reply(None, 99012, status=503),
    "page 408": Reply(None, 99013, status=408),
    "page 429": Reply(None, 99014, status=429),
    "empty, billed": Reply(None, 99020, billed=True),
    "page 200": Reply(None, 99021),
    "system error": _code(10014),
    "system error, billed": _code(10014, billed=True),
    "busy": _code(236300),
    "channel down": _code(236305),
    "wrong number": _code(236306),
    "data problem": _code(236308),
    "channel error": _code(236309),
    "unlisted": _code(236399),
}
"""What may come of single requests, by name."""

SPELLS: Final[Mapping[str, Reply | None]] = {
    "too many requests": _code(10011),
    "maintenance": _code(10020),
    "busy channel": _code(236305),
    "failing": Reply(None, 99010, status=500),
    "key refused": _code(10001),
    "template refused": _code(236303),
    "redirect": Reply(None, 99015, status=302),
    "forbidden": Reply(None, 99017, status=403),
    # Nobody listens.
    "gone": None,
}
"""What may be so for all requests for a while, by name."""


@dataclass(frozen=True)
class Spell:
    """What is so for all requests for a while.

    :param name: one of :data:`SPELLS`.
    :param begins: in seconds of the scenario.
    """

    name: str
    begins: float
    seconds: float


@dataclass
class Request:
    """A request that left a process.

    :param left: when its sender looked for the last time.
    :param is_broken: whether its connection broke.
    :param moment: when it arrives; not counting for how long its sender was suspended behind its last look.
    """

    template: int
    number: str
    process: str
    left: float
    moment: float = 0.0
    reply: Reply = ACCEPTED
    lost: bool = True
    is_broken: bool = False
    sid: str = ""
    open_until: float = float("inf")

    def as_recorded(self) -> dict[str, Any]:
        """Return it as the invariants know it."""
        return {
            "tpl_id": str(self.template),
            "mobile": self.number,
            "key": self.process,
            "moment": self.moment,
            "code": self.reply.code,
            "fault": self.reply.fault,
            "billed": self.reply.billed,
            "lost": self.lost,
            "sid": self.sid,
        }


class Gateway:
    """The gateway: one for all accounts.

    :param seed: what answers and their times are drawn from.
    :param shares: how many of the requests have which reply, by its name.
    :param spells: what is so for all requests for a while.
    :param began: the moment from which the spells count.
    :param quota: how many messages a China day an account may send; None: any number.
    :param accounts: each template's account.
    """

    def __init__(
        self,
        world: World,
        seed: str,
        *,
        shares: Mapping[str, float],
        spells: tuple[Spell, ...],
        began: float,
        quota: int | None,
        accounts: Mapping[int, int],
        leaves: Callable[[Request], None],
        arrives: Callable[[Request, list[Request]], None],
    ) -> None:
        self.world = world
        self.requests: list[Request] = []
        self.left: list[Request] = []
        self._seed = seed
        self._shares = shares
        self._spells = spells
        self._began = began
        self._quota = quota
        self._accounts = accounts
        self._leaves = leaves
        self._arrives = arrives
        self._asked: Counter[tuple[int, str]] = Counter()
        self._billed: Counter[tuple[int, float]] = Counter()
        self._open: dict[str, list[Request]] = defaultdict(list)

    @property
    def is_gone(self) -> bool:
        """Whether nobody listens."""
        return any(spell.name == "gone" for spell in self._now())

    def _now(self) -> list[Spell]:
        now = self.world.now - self._began
        return [spell for spell in self._spells if spell.begins <= now < spell.begins + spell.seconds]

    def was_billed(self, template: int, number: str) -> bool:
        """Return what customer service would say of a recipient."""
        requests = (one for one in self.requests if (one.template, one.number) == (template, number))
        return any(one.reply.billed for one in requests)

    def leave(self, request: Request) -> None:
        """Note that a request leaves."""
        self.world.tell(f"{request.process}: asks for {request.number}")
        self.left.append(request)
        self._leaves(request)

    def post(self, request: Request, held: float, sleeper: Sleeper) -> None:
        """Take a request on its way, whatever becomes of its sender.

        :param held: for how long its sender was suspended behind its last look.
        :param sleeper: who waits for the answer.
        """
        key = request.template, request.number
        self._asked[key] += 1
        chance = Random(f"{self._seed}/{key}/{self._asked[key]}")
        there, back = chance.uniform(0.002, 0.04), chance.uniform(0.02, 0.3)
        # Some answers come about when the sender stops waiting for them, or the lease ends.
        back = chance.choice((0.95, 2.0, 3.9, 4.05)) if chance.random() < 0.02 else back
        share, reply = chance.random(), ACCEPTED
        for name, of in self._shares.items():
            share -= of
            if share < 0:
                reply = REPLIES[name]
                break
        self.world.at(self.world.now + there, lambda: self._arrive(request, reply, held, back, sleeper))

    def _arrive(self, request: Request, reply: Reply, held: float, back: float, sleeper: Sleeper) -> None:
        now, account = self.world.now, self._accounts[request.template]
        for spell in self._now():
            reply = SPELLS[spell.name] or REPLIES["reset"]
        day = (account, now // DAY_SECONDS)
        if reply.billed and self._quota is not None and self._billed[day] >= self._quota:
            reply = _code(10012)
        request.moment, request.reply = now - held, reply
        others = [one for one in self._open[request.number] if one.open_until > now]
        self._open[request.number].append(request)
        self.requests.append(request)
        if reply.billed:
            self._billed[day] += 1
        if reply.code == 0:
            request.sid = f"sid-{len(self.requests)}"
        told = reply.code if reply.code is not None else reply.fault
        self.world.tell(
            f"the gateway answers {told} for {request.number} of {request.template}"
            f"{', billed' * reply.billed}"
        )
        self._arrives(request, others)
        # Whoever waits in silence is not known to the gateway any more.
        request.open_until = now + back if reply.status != 0 else now
        if reply.status != 0:
            self.world.at(request.open_until, lambda: self._answer(request, sleeper))

    def _answer(self, request: Request, sleeper: Sleeper) -> None:
        reply, body = request.reply, b"<html></html>"
        if reply.status is None:
            sleeper.wake()
            return
        if reply.code is not None:
            result = {"sid": request.sid} if reply.code == 0 else None
            body = json.dumps({"error_code": reply.code, "reason": "reason", "result": result}).encode()
        sleeper.wake(Answer(reply.status, "", body))


class SimulatedTransport:
    """The way of one process to the gateway, in place of the client's own."""

    def __init__(self, gateway: Gateway, process: Process, timeout: float) -> None:
        self._gateway, self._process, self._timeout = gateway, process, timeout

    def reserve(self) -> None:
        """Connect."""
        world = self._process.world
        if world.is_over:
            raise GreenletExit
        share = self._process.chance.random()
        if share > 0.7:
            world.pause(0.1 * (share - 0.7))
        if self._gateway.is_gone:
            raise NotReached("connection refused")

    def release(self) -> None:
        """Return a connection that was not used."""

    def post(self, _: str, body: bytes, *, limit: int, last_look: Callable[[], bool]) -> Answer:
        """Look for the last time, write, and wait for the answer."""
        del limit
        world, process, gateway = self._process.world, self._process, self._gateway
        if not last_look():
            raise NotPosted("the last look said no")
        _, template, number = (part.partition("=")[2] for part in body.decode().split("&"))
        request = Request(int(template), number, process.name, world.now)
        gateway.leave(request)
        try:
            process.point("write")
            sleeper = Sleeper(world)
            gateway.post(request, world.now - request.left, sleeper)
            answer: Answer | None = sleeper.wait(self._timeout)
            process.point("answer")
        except ConnectionLost:
            request.is_broken = True
            raise OutcomeUnknown("the connection broke") from None
        if answer is None:
            raise OutcomeUnknown("no answer came")
        request.lost = False
        return answer


def client_of(gateway: Gateway, process: Process, timeout: float) -> JuheClient:
    """Return the package's client, whose bytes go through this world."""
    client = JuheClient(
        f"key of {process.name}".replace(" ", "-"), host="gateway.test", schema="http", timeout=timeout
    )
    client._transport = SimulatedTransport(gateway, process, timeout)  # type: ignore[assignment]  # in its place
    return client
