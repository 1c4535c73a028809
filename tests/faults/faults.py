"""What can go wrong, one function a fault.

A fault takes a running round and chance, does what it does, and yields seconds whenever it waits, because
others are at work meanwhile. At the end it tells the round that it really happened (``this.happened``): a
fault that cannot show that has failed. What it did it undoes in ``finally``, so that a round that fails
leaves no frozen process behind.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Generator
from random import Random
from typing import TYPE_CHECKING, Final

from sqlalchemy.engine import URL

from airflow_provider_caixin.ledger.admin import controls
from tests.faults.databases import MariaDB, Replicated, Server, SmallDisk
from tests.faults.views import in_flight, unknown_by_view

if TYPE_CHECKING:
    from tests.faults.rounds import Round
    from tests.faults.workers import Worker

SOON_SECONDS: Final = 0.1
Waits = Generator[float]
Fault = Callable[["Round", Random], Waits]


# ---------------------------------------------------------------------- workers


def kill(this: Round, chance: Random) -> Waits:
    """Kill a worker with SIGKILL."""
    worker = yield from _someone(this, chance)
    worker.process.send_signal(signal.SIGKILL)
    while worker.status is None:
        yield SOON_SECONDS
    assert worker.status == -signal.SIGKILL
    this.happened("kill", worker.name, upheavals=1)


def deserted(this: Round, _: Random) -> Waits:
    """Kill all workers with SIGKILL and let nobody come after them.

    Whom they had in the air is unknown in each view, and stays so.
    """
    while len(this.sending()) < this.script.workers:
        yield SOON_SECONDS
    workers = this.desert()
    for worker in workers:
        worker.process.send_signal(signal.SIGKILL)
    while any(worker.status is None for worker in workers):
        yield SOON_SECONDS
    with this.ledger() as ledger:
        before, dead = unknown_by_view(ledger, "campaign 0"), in_flight(ledger, "campaign 0")
        yield this.script.lease
        # Nobody is sent to once more in this round, so that requests and recipients are as many.
        right = dead + before["list of unknown outcomes"]
        seen = unknown_by_view(ledger, "campaign 0")
        assert set(seen.values()) == {right}, f"{dead} were in the air, {before} were unknown, {seen} are"
        assert in_flight(ledger, "campaign 0") == dead, "somebody has written them all the same"
        controls.cancel_campaign(ledger, "campaign 0")
        seen = unknown_by_view(ledger, "campaign 0")
        assert set(seen.values()) == {right}, f"{right} were unknown, {seen} are in the cancelled campaign"
        assert "purge" in seen, "the cancelled campaign is over"
        assert in_flight(ledger, "campaign 0") == 0, "the cancel did not write them"
    this.happened(
        "deserted", f"{dead} in the air of {len(workers)} workers", if_=dead > 0, upheavals=len(workers)
    )
    this.bury()


def stop(this: Round, chance: Random) -> Waits:
    """Stop a worker with SIGTERM, as Airflow does with a task that somebody marks."""
    worker = yield from _someone(this, chance)
    worker.process.send_signal(signal.SIGTERM)
    while worker.status is None:
        yield SOON_SECONDS
    assert worker.said[-1] in this.ends or worker.status == 0, worker.said
    this.happened("stop", f"{worker.name}: {worker.said[-1]}")


def freeze(this: Round, chance: Random) -> Waits:
    """Suspend a worker for less than its lease."""
    worker = yield from _someone(this, chance)
    yield from _frozen(this, "freeze", [worker], chance.uniform(0.1, 0.7) * this.script.lease)


def long_freeze(this: Round, chance: Random) -> Waits:
    """Suspend a worker for longer than its lease."""
    worker = yield from _someone(this, chance)
    seconds = this.script.lease * chance.uniform(1.2, 2.0)
    yield from _frozen(this, "long_freeze", [worker], seconds)


def zombies(this: Round, chance: Random) -> Waits:
    """Suspend two workers of a campaign past their lease while a third goes on; then wake both at once."""
    while len(these := this.sending(campaign=0)) < 3:
        yield SOON_SECONDS
    before = this.requests
    yield from _frozen(this, "zombies", chance.sample(these, 2), this.script.lease * 1.3, this.database.url)
    assert this.requests > before, "the third worker sent nothing while two were frozen"


def _frozen(
    this: Round, name: str, workers: list[Worker], seconds: float, ledger: URL | None = None
) -> Waits:
    try:
        for worker in workers:
            worker.freeze(ledger)
        yield seconds
    finally:
        frozen_for = [
            worker.thaw() for worker in workers if worker.frozen_at is not None and worker.status is None
        ]
    if frozen_for:
        assert min(frozen_for) >= seconds
        names = ", ".join(worker.name for worker in workers)
        this.happened(name, f"{names} for {min(frozen_for):.1f} s", upheavals=len(workers))


def _someone(this: Round, chance: Random) -> Generator[float, None, Worker]:
    while not (these := this.sending()):
        yield SOON_SECONDS
    return chance.choice(these)


# ---------------------------------------------------------------------- the gateway


def other_answers(name: str, number: int, share: float, least: int = 3, **settings: object) -> Fault:
    """Make a fault of answers: some sends are answered otherwise, until so many were.

    :param name: the fault's name.
    :param number: an error code or a fault's number of ``sandbox.magic``.
    :param share: which share of the sends.
    :param least: how many at the least.
    :param settings: other settings of the sandbox.
    """

    def answer(this: Round, _: Random) -> Waits:
        yield from this.gateway_is_free()
        before = this.answered(number)
        with this.gateway_set(answer=number, answer_share=share, **settings):
            while this.answered(number) < before + least:
                yield SOON_SECONDS
        this.happened(name, f"{this.answered(number) - before} answers")

    return answer


def lost_answers(this: Round, chance: Random) -> Waits:
    """Lose the answers of billed messages, by chance, while some hundred requests leave."""
    yield from this.gateway_is_free()
    before, lost = this.requests, this.gateway.state()["lost"]
    with this.gateway_set(lose_answers=chance.uniform(0.05, 0.3)):
        while this.requests < before + 100:
            yield SOON_SECONDS
    lost = this.gateway.state()["lost"] - lost
    this.happened("lost_answers", f"{lost} answers", if_=lost > 0)


def quota(this: Round, _: Random) -> Waits:
    """Answer 10012 from some message on; the runs end, and go on when there is quota again."""
    yield from this.gateway_is_free()
    before = this.answered(10012)
    with this.gateway_set(quota=20):
        while this.answered(10012) == before:
            yield SOON_SECONDS
        while this.sending():
            yield SOON_SECONDS
    resting = [post.ended for post in this.posts if post.rests]
    assert resting
    this.wake()
    this.happened(
        "quota",
        f"{this.answered(10012) - before} answers; {', '.join(resting)}",
        if_="QuotaUsedUp" in resting,
    )


def maintenance(this: Round, chance: Random) -> Waits:
    """Answer 10020 for a while; the runs end and are run again until it is over."""
    yield from this.gateway_is_free()
    before = this.answered(10020)
    with this.gateway_set(maintenance=True):
        yield chance.uniform(1.0, 2.5)
        while this.answered(10020) == before:
            yield SOON_SECONDS
    this.happened("maintenance", f"{this.answered(10020) - before} answers")


def gateway_gone(this: Round, chance: Random) -> Waits:
    """Kill the gateway with what it was about to answer.

    Nobody listens for a while, then it is there again.
    """
    yield from this.gateway_is_free()
    with this.gateway_set():
        before = this.gateway.pid
        this.kill_gateway()
        try:
            yield chance.uniform(0.3, 1.5)
        finally:
            this.start_gateway()
    assert this.gateway.pid != before
    this.happened("gateway_gone", "killed and started", upheavals=1)


# ---------------------------------------------------------------------- the ledger


def restart(how: str) -> Fault:
    """Make a fault of a database server that is restarted.

    :param how: one of the server's ``ends``.
    """

    def again(this: Round, _: Random) -> Waits:
        assert isinstance(this.database, Server)
        # The server sees to it that it is another one.
        this.database.restart(how)
        this.happened("crash" if how == "immediate" else "restart", how)
        yield SOON_SECONDS

    return again


def cut(this: Round, _: Random) -> Waits:
    """Cut all connections to the database server."""
    assert isinstance(this.database, Server)
    while not (number := this.database.cut_connections()):
        yield SOON_SECONDS
    this.happened("cut", f"{number} connections")


def fail_over(this: Round, _: Random) -> Waits:
    """Promote the standby behind the ledger's address.

    Who has a connection still has the old primary, which only reads.
    """
    assert isinstance(this.database, Replicated)
    # A run that is yet to begin sending is ended by it, and Airflow's retry goes on.
    while not this.all_send():
        yield SOON_SECONDS
    runs = [post.starts for post in this.posts]
    this.database.fail_over()
    before = this.requests
    while this.requests < before + 50:
        yield SOON_SECONDS
    assert runs == [post.starts for post in this.posts], (
        "a run ended instead of going on with the new primary"
    )
    this.happened("fail_over", "went on with the standby", if_=this.complained("takes no writes"))


def read_only(this: Round, chance: Random) -> Waits:
    """Let a MariaDB server take no writes for a while, without ending a connection."""
    assert isinstance(this.database, MariaDB)
    this.database.ask("SET GLOBAL read_only = 1")
    try:
        yield chance.uniform(0.3, 0.7) * this.script.lease
    finally:
        this.database.ask("SET GLOBAL read_only = 0")
    this.happened("read_only", "and not any more", if_=this.complained("takes no writes"))


def lock(this: Round, chance: Random) -> Waits:
    """Hold the ledger's lock, for longer than a sender waits or for less."""
    with this.database.locked():
        began, seconds = time.monotonic(), chance.choice([0.5, 2.0, 6.0])
        yield seconds
        seconds = time.monotonic() - began
    this.happened("lock", f"{seconds:.1f} s")


def full_disk(name: str, leases: float) -> Fault:
    """Make a fault of a disk that is full to the last byte: nothing leaves until there is space again.

    :param name: the fault's name.
    :param leases: for how many leases; a run whose answers cannot be recorded for longer than one gives up.
    """

    def fill(this: Round, _: Random) -> Waits:
        assert isinstance(this.database, SmallDisk)
        this.database.fill()
        try:
            # The requests that were recorded before leave within a tick, and may take a moment to arrive.
            yield 0.5
            before = this.gateway.state()["requests"]
            yield leases * this.script.lease
            after = this.gateway.state()["requests"]
        finally:
            this.database.free()
        assert before == after, f"{after - before} requests left while nothing could be recorded"
        this.happened(name, "full and free again", if_=this.complained("disk is full"))

    return fill


# ---------------------------------------------------------------------- clocks


def clock_step(this: Round, chance: Random) -> Waits:
    """Step the clock of a host forward or back, by seconds or hours, and set it right after a while."""
    clock = chance.choice(this.clocks)
    seconds = chance.choice([-1, 1]) * chance.choice([0.7, 1.9, 3.5, 1800.0, 3600.0 * chance.uniform(1, 6)])
    before = this.requests
    clock.step(seconds)
    try:
        yield chance.uniform(0.5, 3.0)
    finally:
        clock.step(-seconds)
        this.wake()
    this.happened("clock_step", f"{seconds:+.1f} s on {clock.file.name}", if_=this.requests > before)


def closing(this: Round, _: Random) -> Waits:
    """Go back to the opening, then on to the closing, and open a night later by the clock.

    Seconds later for us.
    """
    while not this.sending():
        yield SOON_SECONDS
    this.all_go_to(9 * 3600 + 0.1)
    yield 3.0
    this.all_go_to(18 * 3600 - 10)
    while not all(post.rests for post in this.posts):
        yield SOON_SECONDS
    assert {post.ended for post in this.posts} == {"OutsideWindow"}
    before = this.requests
    this.all_go_to((24 + 9) * 3600 - 1.5)
    this.wake()
    while this.requests == before:
        yield SOON_SECONDS
    this.happened("closing", f"{before} requests before it")


def apart(this: Round, _: Random) -> Waits:
    """Set the hosts' clocks off, go to the closing and over a night.

    One host is 40 s off at the opening, until somebody sets it.
    """
    one, other = this.clocks
    one.step(1.0)
    other.step(-5.0)
    while not this.complained("are 5.0 s apart"):
        yield SOON_SECONDS
    this.all_go_to(18 * 3600 - 9)
    while not all(post.rests for post in this.posts):
        yield SOON_SECONDS
    assert {post.ended for post in this.posts} == {"OutsideWindow"}
    before = this.requests
    other.step(-35.0)
    this.all_go_to((24 + 9) * 3600 - 1.5)
    this.wake()
    while any(post.ended != "ClocksApart" for post in this.posts if post.clock is other):
        yield SOON_SECONDS
    other.step(35.0)
    while this.requests == before:
        yield SOON_SECONDS
    this.happened("apart", f"{before} requests before the closing")


_OTHER_ANSWERS: Final[dict[str, tuple[int, float]]] = {
    "stall_before": (99001, 0.1),
    "stall_after": (99002, 0.1),
    "reset_before": (99003, 0.2),
    "reset_after": (99004, 0.2),
    "half_an_answer": (99006, 0.1),
    "page_500": (99010, 0.2),
    "page_502_billed": (99011, 0.2),
    "page_503": (99012, 0.2),
    "page_429": (99014, 0.1),
    "empty": (99020, 0.1),
    "page_200": (99021, 0.1),
    "system_error": (10014, 0.1),
    "busy": (236300, 0.1),
    "rejected": (236306, 0.1),
    "channel": (236309, 0.1),
}

FAULTS: Final[dict[str, Fault]] = {
    **{name: other_answers(name, *fault) for name, fault in _OTHER_ANSWERS.items()},
    "slow": other_answers("slow", 99005, 0.3, slow_seconds=0.002),
    "too_slow": other_answers("too_slow", 99005, 0.1, slow_seconds=0.05),
    "too_fast": other_answers("too_fast", 10011, 1.0, least=1, answer_count=1),
    "lost_answers": lost_answers,
    "quota": quota,
    "maintenance": maintenance,
    "gateway_gone": gateway_gone,
    "kill": kill,
    "deserted": deserted,
    "stop": stop,
    "freeze": freeze,
    "long_freeze": long_freeze,
    "zombies": zombies,
    "restart": restart("in order"),
    "crash": restart("immediate"),
    "cut": cut,
    "fail_over": fail_over,
    "read_only": read_only,
    "lock": lock,
    "full_disk": full_disk("full_disk", 0.3),
    "long_full_disk": full_disk("long_full_disk", 1.2),
    "clock_step": clock_step,
    "closing": closing,
    "apart": apart,
}
"""Every fault by its name."""

OF_SERVERS: Final = frozenset({"restart", "crash", "cut"})
ARRANGED: Final = frozenset(
    {"zombies", "full_disk", "long_full_disk", "closing", "apart", "deserted", "fail_over", "read_only"}
)
"""These need a round made for them, so chance does not draw them."""
