"""Campaigns on CeleryExecutor, two workers: a shared rate; a worker's death bills none twice, loses none."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # Airflow brings it, without types
import pytest
import redis
import sqlalchemy as sa
from celery import Celery  # type: ignore[import-untyped]
from kombu.connection import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.vocabulary import State
from scripts import cluster as script
from scripts.throwaway import EXAMPLE_DAGS, WORKER, Command, session_of, worker_command
from tests.system.leaks import Leak, Search
from tests.system.live import KEY, Live, Run, audience, tried, wait_until

pytestmark = [
    pytest.mark.live,
    pytest.mark.service,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("cluster"),
]

RECIPIENTS = int(os.environ.get("CAIXIN_CLUSTER_RECIPIENTS", "2000"))
# As many as two workers of two run at once, so that none is done before the others are half-way.
CHUNKS = 4
LATENCY = (0.05, 0.15)


@dataclass(frozen=True)
class Cluster:
    """A running cluster.

    :param live: its Airflow.
    :param words: what it said of itself.
    """

    live: Live
    words: dict[str, str]

    @property
    def workers(self) -> dict[str, int]:
        """The workers that it started, and the session of each."""
        return {
            name: int(session)
            for name, session in re.findall(r"(worker-\d) \((\d+)\)", self.words["Workers"])
        }

    @property
    def prefix(self) -> str:
        """What its keys in Redis begin with."""
        return self.words["Executor"].rpartition("keys ")[2].removesuffix("*")

    def database(self, which: str) -> sa.Engine:
        """Open one of its databases: ``Metadata`` or ``Ledger``."""
        url = sa.make_url(self.words[which].partition(",")[0]).set(password=script.server().password)
        return sa.create_engine(url, poolclass=sa.NullPool)

    def environment(self) -> dict[str, str]:
        """Give the environment of a worker that runs."""
        running = next(session for session in self.workers.values() if session_of(session))
        found: dict[str, str] = psutil.Process(running).environ()
        return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run a cluster with the example Dags and this module's; at the end nothing of it is left anywhere."""
    try:
        with script.services(f"caixin_cluster_{uuid.uuid4().hex}"):
            pass
    except SystemExit as missing:
        pytest.skip(str(missing))
    home, dags = tmp_path_factory.mktemp("cluster"), Path(__file__).parent / "cluster_dags"
    with tried("cluster", home, EXAMPLE_DAGS, dags) as (live, words):
        found = Cluster(live, words)
        wait_until(
            "the Dags are there",
            lambda: "cluster_campaign" in {dag["dag_id"] for dag in live.api.ask("GET", "dags")["dags"]},
        )
        yield found
    for name in ("Metadata", "Ledger"):
        with pytest.raises(sa.exc.OperationalError, match="does not exist"):
            found.database(name).connect()
    with redis.Redis.from_url(script.broker()) as keys:
        assert keys.keys(f"{found.prefix}*") == []


@pytest.fixture
def gateway() -> Iterator[SandboxServer]:
    """Run a sandbox in a process of its own, so that its clock is not held up by a test."""
    with SandboxServer(process=True, latency_ms=(LATENCY[0] * 1e3, LATENCY[1] * 1e3)) as server:
        yield server


def people(count: int) -> list[str]:
    """Make up different numbers of China Mobile, from segments that are neither blocked nor magic."""
    return [str(13_912_340_000 + index) for index in range(count)]


def chunks_of(folder: Path, numbers: list[str], count: int) -> list[str]:
    """Write an audience into so many files."""
    return [audience(folder / f"{part}.txt", numbers[part::count]) for part in range(count)]


def sending(run: Run, host: str) -> list[int]:
    """Give the map indexes of the tasks that run on a worker."""
    tasks = run.ask("GET", "taskInstances")["task_instances"]
    return [one["map_index"] for one in tasks if (one["state"], one["hostname"]) == ("running", host)]


def tries(run: Run, index: int) -> list[tuple[str, str]]:
    """Give state and worker of each attempt of a mapped task."""
    found = run.ask("GET", "taskInstances", "send", str(index), "tries")["task_instances"]
    return [(one["state"], one["hostname"]) for one in sorted(found, key=lambda one: int(one["try_number"]))]


def kill(session: int) -> None:
    """End everything of a session at once, as the end of a host does."""
    while left := session_of(session):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def billed(gateway: SandboxServer) -> set[str]:
    """Give the numbers that were billed."""
    return {row["mobile"] for row in gateway.billed()}


def recipients(cluster: Cluster, campaign_ids: list[str]) -> dict[str, State]:
    """Read from the ledger what became of each number of some campaigns."""
    query = (
        sa.select(schema.recipient.c.number, schema.recipient.c.state)
        .join(schema.campaign, schema.campaign.c.id == schema.recipient.c.campaign)
        .where(schema.campaign.c.campaign_id.in_(campaign_ids))
    )
    with cluster.database("Ledger").connect() as connection:
        rows = connection.execute(query).all()
    assert len({number for number, _ in rows}) == len(rows)
    return {number: State(state) for number, state in rows}


def check(gateway: SandboxServer, numbers: list[str], states: dict[str, State], rate: float) -> set[str]:
    """Check the invariants by the sandbox's record and the ledger; return the numbers that are in doubt."""
    state = gateway.state()
    everyone = billed(gateway)
    sent = {number for number, found in states.items() if found is State.SENT}
    unknown = {number for number, found in states.items() if found is State.UNKNOWN}
    assert set(states) == set(numbers)
    assert sent | unknown == set(numbers)
    assert state["duplicates"] == state["overlapping"] == 0
    assert state["billed"] == len(everyone)
    assert sent <= everyone <= sent | unknown
    assert state["over_rate"] == 0
    # What is late by a tenth of a second on a busy machine falls into the next one's second.
    assert state["worst_second"] <= min(300, rate * 1.1)
    return unknown


def test_a_message_of_the_broker_comes_twice(
    cluster: Cluster, gateway: SandboxServer, tmp_path: Path
) -> None:
    """A running task that Redis gives out again (visibility time-out) is left to the first worker."""
    rate, numbers = 50, people(500)
    conn_id = cluster.live.connect(gateway, messages_per_second=rate)
    paths = chunks_of(tmp_path, numbers, 1)
    run = cluster.live.trigger("cluster_campaign", audience=paths, conn_id=conn_id)
    wait_until("it sends", lambda: gateway.state()["billed"] >= 50)
    options = {"global_keyprefix": cluster.prefix, "visibility_timeout": 0}
    with Connection(script.broker(), transport_options=options) as connection:  # type: ignore[no-untyped-call]
        connection.default_channel.qos.restore_visible()
    logs = cluster.live.home / "logs"
    wait_until(
        "another worker refuses it",
        lambda: any("already running elsewhere" in log.read_text() for log in logs.glob("worker-*.log")),
    )
    assert gateway.state()["billed"] < 500
    assert run.finish() == "success"
    assert len(tries(run, 0)) == 1
    assert check(gateway, numbers, recipients(cluster, [run.run_id]), rate) == set()


def test_a_worker_is_killed_half_way(cluster: Cluster, gateway: SandboxServer, tmp_path: Path) -> None:
    """The other takes its chunks over: one rate, nobody billed twice, unknown only what was on the way."""
    # Two cores do that beside the rest of a cluster, and it lasts long enough for all four chunks to be sent
    # at once.
    rate = min(100, RECIPIENTS // 30)
    numbers = people(RECIPIENTS)
    chunk = {number: part for part in range(CHUNKS) for number in numbers[part::CHUNKS]}
    paths = chunks_of(tmp_path, numbers, CHUNKS)
    conn_id = cluster.live.connect(gateway, messages_per_second=rate)
    run = cluster.live.trigger("cluster_campaigns", audience=paths, conn_id=conn_id)
    seconds = 180 + RECIPIENTS / rate

    def half_way() -> bool:
        sent = Counter(chunk[number] for number in billed(gateway))
        return (
            sent.total() >= RECIPIENTS / 2 and len(sent) == CHUNKS and min(sent.values()) >= RECIPIENTS / 20
        )

    wait_until("half of it is sent, and something of each chunk", half_way, seconds)
    died, stayed = sending(run, "worker-1"), sending(run, "worker-2")
    assert len(died) == len(stayed) == 2
    kill(cluster.workers["worker-1"])
    before = gateway.requests()

    assert run.finish(seconds + 120) == "success"
    results = [run.result(index) for index in range(CHUNKS)]
    ids = [f"cluster_campaigns/{run.run_id}/send/{index}" for index in range(CHUNKS)]
    assert [result["campaign_id"] for result in results] == ids
    unknown = check(gateway, numbers, recipients(cluster, ids), rate)
    assert sum(result["sent"] for result in results) == RECIPIENTS - len(unknown)
    assert sum(result["unknown"] for result in results) == len(unknown)
    assert {index for index, result in enumerate(results) if result["unknown"]} <= set(died)
    # A tick's claims, and what the rate has out at the longest answer and the tick that settles it.
    assert len(unknown) <= rate * (LATENCY[1] + 0.3)

    attempts = {index: tries(run, index) for index in range(CHUNKS)}
    for index in died:
        assert attempts[index] == [("failed", "worker-1"), ("success", "worker-2")]
    for index in stayed:
        assert attempts[index] == [("success", "worker-2")]
    assert {attempt[-1][0] for attempt in attempts.values()} == {"success"}

    # Each of the four had its share of the rate at the same time, and all of them together had the whole.
    first = {
        index: next(row["at"] for row in before if chunk[row["mobile"]] == index) for index in died + stayed
    }
    together = [row for row in before if row["at"] >= max(first.values())]
    span = together[-1]["at"] - together[0]["at"]
    shares = Counter(chunk[row["mobile"]] for row in together)
    assert rate * span * 0.75 <= len(together) <= rate * (span + 0.1)
    assert set(shares) == {*died, *stayed}
    assert min(shares.values()) > len(together) / 10

    state = gateway.state()
    lasted = state["last_arrival"] - state["first_arrival"]
    print(  # noqa: T201
        f"{RECIPIENTS} recipients in {CHUNKS} chunks, {rate}/s set: {lasted:.0f} s from the first message to the last, "
        f"{len(together) / span:.1f}/s while both workers sent, worst second {state['worst_second']}, "
        f"{len(unknown)} unknown, {state['billed']} billed, {state['duplicates']} twice"
    )
    cluster_keeps_no_secrets(cluster, numbers)


def cluster_keeps_no_secrets(cluster: Cluster, numbers: list[str]) -> None:
    """Look for the AppKey and full numbers in Airflow's logs and database; only the ledger has numbers."""
    search = Search([KEY], numbers)
    files, in_logs = search.logs(cluster.live.home / "logs")
    assert files > 5
    assert in_logs == set()
    rows, in_metadata = in_database(search, cluster.database("Metadata"))
    assert rows > 50
    assert in_metadata == set()
    _, in_ledger = in_database(search, cluster.database("Ledger"))
    assert {leak.place for leak in in_ledger} == {"caixin_recipient.number"}


def in_database(search: Search, engine: sa.Engine) -> tuple[int, set[Leak]]:
    """Search every column of every table; return how many rows there are, and what was found."""
    count, leaks = 0, set()
    with engine.connect() as connection:
        for table in sa.inspect(engine).get_table_names():
            for row in connection.exec_driver_sql(f'SELECT * FROM "{table}"').mappings():
                count += 1
                for column, value in row.items():
                    leaks |= {Leak(f"{table}.{column}", what) for what in search.found(value)}
    return count, leaks


def slots(cluster: Cluster) -> int:
    """Say how many tasks worker-3 and the workers that are left run at once: with so many, all are busy."""
    return 2 * (1 + sum(bool(session_of(session)) for session in cluster.workers.values()))


@pytest.fixture
def third(cluster: Cluster) -> Iterator[Command]:
    """Run one more worker, which a test may kill."""
    log = cluster.live.home / "logs" / "worker-3.log"
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "airflow", *worker_command("worker-3")]
    worker = Command(command, {**cluster.environment(), WORKER: "worker-3"}, log)
    try:
        wait_until("worker-3 is ready", lambda: b" ready." in log.read_bytes())
        yield worker
    finally:
        worker.stop()


@contextmanager
def others_idle(cluster: Cluster) -> Iterator[None]:
    """Let worker-3 have the next tasks: for a while the others take none out of the broker."""
    app = Celery(broker=script.broker())
    app.conf.broker_transport_options = {"global_keyprefix": cluster.prefix}
    others = [f"celery@{name}" for name, session in cluster.workers.items() if session_of(session)]
    options = {"destination": others, "reply": True, "timeout": 20, "limit": len(others)}
    try:
        assert len(app.control.cancel_consumer("default", **options)) == len(others)
        yield
        assert len(app.control.add_consumer("default", **options)) == len(others)
    finally:
        app.close()


def test_a_worker_freezes(cluster: Cluster, third: Command, gateway: SandboxServer, tmp_path: Path) -> None:
    """Airflow gives up tasks that go on sending beside their retries: each recipient is taken only once."""
    # Enough for longer than Airflow needs to give up a task.
    rate, numbers = 40, people(2_000)
    paths = chunks_of(tmp_path, numbers, 2)
    conn_id = cluster.live.connect(gateway, messages_per_second=rate)
    with others_idle(cluster):
        run = cluster.live.trigger("cluster_campaigns", audience=paths, conn_id=conn_id)
        wait_until(
            "both are sent", lambda: sending(run, "worker-3") == [0, 1] and gateway.state()["billed"] >= 100
        )
    tasks = {run.task(index)["pid"] for index in range(2)}
    # Celery and the supervisors, which send the heartbeats; not the tasks.
    for pid in set(session_of(third.process.pid)) - tasks:
        os.kill(pid, signal.SIGSTOP)
    frozen = len(billed(gateway))
    wait_until(
        "their retries run",
        lambda: all(
            (task["try_number"], task["state"]) == (2, "running") for task in (run.task(0), run.task(1))
        ),
    )
    assert frozen + rate < len(billed(gateway)) < len(numbers)
    assert tasks <= set(session_of(third.process.pid))
    assert run.finish(180) == "success"
    for pid in session_of(third.process.pid):
        os.kill(pid, signal.SIGCONT)
    wait_until("the first attempts end, too", lambda: not tasks & set(session_of(third.process.pid)))

    assert run.ask("GET")["state"] == "success"
    for index in range(2):
        assert [state for state, _ in tries(run, index)] == ["failed", "success"]
    ids = [f"cluster_campaigns/{run.run_id}/send/{index}" for index in range(2)]
    check(gateway, numbers, recipients(cluster, ids), rate)
    assert sum(run.result(index)["total"] for index in range(2)) == len(numbers)


def test_a_worker_is_killed_and_its_tasks_are_not(
    cluster: Cluster, third: Command, gateway: SandboxServer, tmp_path: Path
) -> None:
    """Chunks of one campaign: tasks that lost their worker end by themselves; the others send the rest."""
    rate, count, numbers = 60, slots(cluster), people(1_200)
    paths = chunks_of(tmp_path, numbers, count)
    conn_id = cluster.live.connect(gateway, messages_per_second=rate)
    run = cluster.live.trigger("cluster_campaign", audience=paths, conn_id=conn_id)
    wait_until("worker-3 sends", lambda: gateway.state()["billed"] >= 100 and sending(run, "worker-3"))
    alone = sending(run, "worker-3")
    tasks = {run.task(index)["pid"] for index in alone}
    third.process.kill()
    wait_until("they end", lambda: not tasks & set(session_of(third.process.pid)))
    assert len(billed(gateway)) < len(numbers)

    assert run.finish(180) == "success"
    for index in alone:
        assert [state for state, _ in tries(run, index)] == ["failed", "success"]
    unknown = check(gateway, numbers, recipients(cluster, [run.run_id]), rate)
    results = [run.result(index) for index in range(count)]
    assert {result["campaign_id"] for result in results} == {run.run_id}
    assert max(result["total"] for result in results) == len(numbers)
    assert max(result["sent"] for result in results) == len(numbers) - len(unknown)


def test_the_embedded_ledger_is_refused(cluster: Cluster) -> None:
    """Without a ledger connection a worker sends nothing, and says what to set."""
    environment = cluster.environment()
    del environment["AIRFLOW__CAIXIN__LEDGER_CONN_ID"]
    code = "from airflow_provider_caixin.settings.ledgers import open_ledger; open_ledger(None)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "CeleryExecutor. Set [caixin] ledger_conn_id" in done.stderr.splitlines()[-1]


def test_only_this_machine_can_reach_it(cluster: Cluster) -> None:
    """No process of the cluster listens on another address than 127.0.0.1."""
    home = str(cluster.live.home)
    listening = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("AIRFLOW_HOME") == home:
                connections = process.net_connections("tcp")
                listening += [one.laddr.ip for one in connections if one.status == psutil.CONN_LISTEN]
        except psutil.Error:
            continue
    assert listening
    assert set(listening) == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("variable", "address"),
    [
        (script.REDIS, "redis://:password@127.0.0.1:1/0"),
        (script.POSTGRES, "postgresql://user:password@127.0.0.1:1/postgres"),
    ],
)
def test_a_service_that_is_missing(monkeypatch: pytest.MonkeyPatch, variable: str, address: str) -> None:
    """A sentence names what is missing, without its password, and the variable that names another."""
    if variable == script.POSTGRES:
        try:
            redis.Redis.from_url(script.broker()).ping()
        except redis.RedisError as missing:
            pytest.skip(f"no Redis, which is asked for first: {missing}")
    monkeypatch.setenv(variable, address)
    where = "127.0.0.1:1/"
    with pytest.raises(
        SystemExit, match=f"^No .*{where}.*Start it, or name another with {variable}="
    ) as told:
        script.services("caixin_cluster_that_never_is").__enter__()
    assert "password@127" not in str(told.value)
