"""How long the Caixin page waits for its data, with a million messages and 200 campaigns in the ledger.

Usage: python -m benchmarks.page [MESSAGES]

The requests pass through Airflow's own api-server app, its sign-in and its rights, as an admin who may see
everything. One campaign has 400,000 of the recipients, a quarter of them skipped for five reasons. Its "first
look" is that of an api-server that has just started; "while it runs" counts its reasons anew, which a page
does for one that runs, now and then.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import URL

from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows import tally as tallies
from airflow_provider_caixin.vocabulary import SkipReason, State
from benchmarks.ledgers import DATABASES, empty_ledger, running

MESSAGES, CAMPAIGNS, RECIPIENTS = 1_000_000, 200, 100_000
#: Of the first campaign.
SHARE: Final = 0.4
MINUTES: Final = 300
DAYS: Final = 60
RUNS: Final = 7
BATCH: Final = 10_000
FIRST: Final = 13_900_000_000
LIMIT_MS: Final = 100
REASONS: Final = (
    SkipReason.DUPLICATE,
    SkipReason.BLOCKED_REGION,
    SkipReason.SUPPRESSED,
    SkipReason.FREQUENCY_CAP,
    SkipReason.INVALID_NUMBER,
)


def fill(url: URL, messages: int) -> None:
    """Write a past of 60 days into an empty ledger.

    :param url: the ledger's address.
    :param messages: how many recipients.
    """
    ledger = Ledger(url)
    now = int(time.time())
    sizes = [round(messages * SHARE)] + [round(messages * (1 - SHARE) / (CAMPAIGNS - 1))] * (CAMPAIGNS - 1)
    with ledger.writing() as connection:
        account = account_names.find_account(ledger, connection, "benchmark")
    for number, size in enumerate(sizes):
        began = now - 86_400 * DAYS * (CAMPAIGNS - number) // CAMPAIGNS
        name = f"campaign-{number}"
        with ledger.writing() as connection:
            row = {
                "hash": schema.digest(name), "campaign_id": name, "account": account, "tpl_id": 65_535 + number % 7,
                "created_at": began, "loaded_at": began, "active_at": now if number % 10 == 0 else began,
                "dag_id": f"dag_{number % 20}", "run_id": "run", "task_id": "send", "map_index": -1, "rate": 294.0,
            }  # fmt: skip
            key = _insert(connection, schema.campaign, row)
            load = {"campaign": key, "hash": "0", "source": "benchmark", "done": True, "lease": 0.0}
            place = _insert(connection, schema.load, load)
        counts = dict.fromkeys(State, 0)
        for rows in _batches(key, place << 32, number * 7919, size, began):
            for one in rows:
                counts[State(one["state"])] += 1
            with ledger.writing() as connection:
                connection.execute(sa.insert(schema.recipient), rows)
        per_minute = {
            state.value: counts[state] // MINUTES + 1 for state in (State.SENT, State.REJECTED, State.UNKNOWN)
        }
        minutes = [
            {"campaign": key, "minute": began // 60 + minute, **per_minute} for minute in range(MINUTES)
        ]
        with ledger.writing() as connection:
            connection.execute(sa.insert(schema.traffic), minutes)
            change = sa.update(schema.campaign).where(schema.campaign.c.id == key)
            connection.execute(change.values({state.value: count for state, count in counts.items()}))
        # As a run does at its end.
        tallies.keep(ledger, key)
    if ledger.dialect != "sqlite":
        # As autovacuum and the like do in 60 days.
        words = (
            "VACUUM (ANALYZE)"
            if ledger.dialect == "postgresql"
            else "ANALYZE TABLE caixin_recipient, caixin_traffic"
        )
        with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(words)
    ledger.close()


def _insert(connection: sa.Connection, table: sa.Table, row: dict[str, Any]) -> int:
    key = connection.execute(sa.insert(table).values(row)).inserted_primary_key
    return int(key[0]) if key else 0


def _batches(key: int, base: int, offset: int, size: int, began: int) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, size, BATCH):
        yield [
            {
                "number": str(FIRST + (offset + place * 7919) % RECIPIENTS),
                "campaign": key,
                "occurrence": 1 + place // RECIPIENTS,
                "position": base + place,
                **_outcome(place, size, began + MINUTES * 60 * place // size),
            }
            for place in range(start, min(size, start + BATCH))
        ]


def _outcome(place: int, size: int, at: int) -> dict[str, Any]:
    plain = {"due": 0.0, "reason": None, "code": None, "sid": None, "sent_at": None, "claim": None, "busy": 0}
    if place % 4 == 0:
        return {**plain, "state": "skipped", "reason": REASONS[place // 4 % len(REASONS)].value}
    if place % 100 == 1:
        code = 236306 if place % 200 == 1 else 236308
        return {**plain, "state": "rejected", "code": code, "reason": "no", "sent_at": at, "claim": "c" * 40}
    if place % 400 == 2:
        return {**plain, "state": "unknown", "reason": "no answer", "sent_at": at, "claim": "c" * 40}
    if place > size * 0.98:
        return {**plain, "state": "pending"}
    return {**plain, "state": "sent", "code": 0, "sid": f"sid-{at}-{place}", "sent_at": at, "claim": "c" * 40}


def measure(address: str) -> None:
    """Print a row of the table for each page.

    :param address: the ledger's, which the environment names, too.
    """
    from airflow.api_fastapi.app import create_app, get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.utils.db import initdb
    from fastapi.testclient import TestClient

    from airflow_provider_caixin.page.tallies import forget

    initdb()
    client = TestClient(create_app("all"))
    token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="benchmark", role="admin"))
    client.headers["Authorization"] = f"Bearer {token}"
    api, number = "/caixin/api", str(FIRST + 4242)
    today, quarter_ago = (
        time.strftime("%Y-%m-%d", time.localtime(time.time() - 86_400 * days)) for days in (0, 89)
    )
    period = f"from={quarter_ago}&to={today}"
    [first] = client.get(f"{api}/campaigns?search=campaign-0").json()["campaigns"]
    one = f"{api}/campaigns/{first['key']}"

    def first_look() -> Any:
        forget()
        return client.get(one)

    pages: dict[str, Callable[[], Any]] = {
        "session": lambda: client.get(f"{api}/session"),
        "overview": lambda: client.get(f"{api}/overview"),
        "campaigns": lambda: client.get(f"{api}/campaigns"),
        "campaigns, searched": lambda: client.get(f"{api}/campaigns?search=paign-1&status=waiting"),
        "the large campaign, first look": first_look,
        "the large campaign": lambda: client.get(one),
        "its unknown outcomes": lambda: client.get(f"{one}/doubts"),
        "a recipient": lambda: client.post(f"{api}/recipient", json={"number": number}),
        "90 days by day": lambda: client.get(f"{api}/usage?by=day&{period}"),
        "90 days by campaign": lambda: client.get(f"{api}/usage?by=campaign&{period}"),
    }
    for name, ask in (*pages.items(), ("the large campaign, while it runs", first_look)):
        if name not in pages:
            ledger = Ledger(address)
            with ledger.writing() as connection:
                connection.execute(sa.update(schema.campaign).values(tallied=None))
            ledger.close()
        ask()
        taken = []
        for _ in range(RUNS):
            began = time.perf_counter()
            answer = ask()
            taken.append(1000 * (time.perf_counter() - began))
            if answer.status_code != 200:
                raise RuntimeError(f"{name}: {answer.status_code} {answer.text}")
        print(f"MEASURED | {name} | {statistics.median(taken):.1f} | {max(taken):.1f} |", flush=True)


def main(messages: int = MESSAGES) -> None:
    """Print how long each page waits on each database.

    :param messages: how many the ledger holds.
    """
    print("| ledger | page | median, ms | worst, ms |\n| --- | --- | --- | --- |")
    for database in filter(running, DATABASES):
        with empty_ledger(database) as url, tempfile.TemporaryDirectory() as home:
            fill(url, messages)
            for line in _in_airflow(url, Path(home)):
                print(f"| {database} {line}")
    print(f"\nasked for: below {LIMIT_MS} ms each")


def _in_airflow(url: URL, home: Path) -> Iterator[str]:
    """Measure in a process of its own, because Airflow finds its home when it is imported."""
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of the benchmark alone " * 3,
    }
    if url.get_backend_name() == "sqlite":
        (home / "caixin_ledger.db").symlink_to(str(url.database))
    else:
        kind = {"postgresql": "postgres"}.get(url.get_backend_name(), "mysql")
        settings["AIRFLOW_CONN_BOOK"] = f"{kind}://{url.username}@{url.host}:{url.port}/{url.database}"
        settings["AIRFLOW__CAIXIN__LEDGER_CONN_ID"] = "book"
    command = [sys.executable, "-m", "benchmarks.page", "measure", url.render_as_string()]
    done = subprocess.run(
        command, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-4000:])
    for line in done.stdout.splitlines():
        if line.startswith("MEASURED "):
            yield line.removeprefix("MEASURED ")


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        measure(sys.argv[2])
    else:
        main(*map(int, sys.argv[1:]))
