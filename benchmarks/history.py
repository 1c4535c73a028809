"""What a long history costs: claims, sending, resuming on a PostgreSQL ledger with 10 million messages.

Usage: python -m benchmarks.history [MESSAGES]

The history is 40 finished campaigns over 60 days with one template and one account, in a database that is
dropped in the end: each of its recipients got ten messages, and is in the campaigns that are measured. It is
vacuumed and analysed, as autovacuum does in 60 days. Beside it, taking turns, the same is measured on a
ledger without a history.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL

from airflow_provider_caixin.audience import ListAudience
from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.sandbox import SandboxServer
from benchmarks.ledgers import empty_ledger, running
from benchmarks.resuming import first_new_message, load_and_settle
from benchmarks.sender import PLAN, RATE, campaign_on, send_together
from benchmarks.sending import LATENCY_MS, Figures, figures

RUNS = 3
SECONDS = 10
MESSAGES, EACH, CAMPAIGNS, DAYS = 10_000_000, 10, 40, 60
RESUMED, SETTLED = 1_000_000, 900_000
DAY = 86_400
FIRST = 13_900_000_000
# Both rules look at the whole week that lies behind.
CAP = "games_health"

# As rows are when they were sent: the order of the audience is not that of the numbers.
SENT = sa.text(
    """
    INSERT INTO caixin_recipient (number, campaign, occurrence, position, state, code, sid, sent_at, claim)
    SELECT CAST(:first + (:base + place) * 7919 % :recipients AS text), :campaign, 1, :position + place, 'sent', 0,
           CAST(:sent_at * 1000000 + place AS text), :sent_at + place / 294.0, repeat('c', 32) || '-' || place / 12
    FROM generate_series(0, CAST(:count - 1 AS bigint)) AS place
    """
).bindparams(
    *(
        sa.bindparam(name, type_=sa.BigInteger)
        for name in ("first", "base", "recipients", "campaign", "position", "sent_at", "count")
    )
)


def fill(url: URL, messages: int) -> None:
    """Write the history.

    :param url: an empty ledger's address.
    :param messages: how many.
    """
    ledger = Ledger(url)
    table, count = schema.recipient, messages // CAMPAIGNS
    key = next(one for one in table.constraints if isinstance(one, sa.UniqueConstraint))
    values = {"first": FIRST, "recipients": messages // EACH, "count": count}
    today = int(time.time())
    engine = sa.create_engine(url)
    with ledger.writing() as connection:
        account = account_names.find_account(ledger, connection, str(PLAN["account"]))
        keys = [
            campaign_rows.find_campaign(
                ledger, connection, f"history-{number}", account, int(PLAN["tpl_id"]), today
            )
            for number in range(CAMPAIGNS)
        ]
        connection.execute(sa.update(schema.campaign).values(sent=count, loaded_at=today))
        loads = [
            {
                "campaign": one,
                "hash": schema.digest("history"),
                "source": "history",
                "done": True,
                "lease": 0.0,
            }
            for one in keys
        ]
        connection.execute(sa.insert(schema.load), loads)
    ledger.close()
    with engine.begin() as connection:
        # As a dump is restored: rows first, then the indexes, and no look at the campaign for each row.
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.execute(sa.schema.DropConstraint(key))
        for index in table.indexes:
            index.drop(connection)
        for number, campaign in enumerate(keys):
            sent_at = today - DAY * DAYS * (CAMPAIGNS - number) // CAMPAIGNS
            one = {
                "campaign": campaign,
                "position": campaign << 32,
                "base": number * count,
                "sent_at": sent_at,
            }
            connection.execute(SENT, {**values, **one})
        connection.execute(sa.schema.AddConstraint(key))
        for index in table.indexes:
            index.create(connection)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM (ANALYZE)")
    engine.dispose()


def send(url: URL, turn: int) -> Figures:
    """Send a new campaign to recipients of the history.

    :param url: the ledger's address.
    :param turn: which run this is; each has other recipients, because of the cap.
    """
    count = round(RATE * SECONDS)
    name = f"run-{turn}"
    with SandboxServer(process=True, latency_ms=LATENCY_MS) as gateway:
        ledger = Ledger(url)
        numbers = [str(FIRST + turn * count + index) for index in range(count)]
        campaign_on(ledger, gateway.port, campaign_id=name).load(ListAudience(numbers), "benchmark")
        ledger.close()
        efforts = send_together(1, url, gateway, campaign_id=name, cap=CAP)
        return figures(gateway.state(), efforts, count)


def main(messages: int = MESSAGES) -> None:
    """Print the figures of each run.

    :param messages: how many the history holds.
    """
    if not running("PostgreSQL"):
        return
    with (
        empty_ledger("PostgreSQL") as full,
        empty_ledger("PostgreSQL") as empty,
        tempfile.TemporaryDirectory() as folder,
    ):
        began = time.monotonic()
        fill(full, messages)
        print(f"{messages:,} messages written in {time.monotonic() - began:.0f} s", flush=True)
        ledgers = {f"{messages:,} messages": full, "no history": empty}
        taken: dict[str, list[Figures]] = {name: [] for name in ledgers}
        for turn in range(RUNS):
            for name, url in ledgers.items():
                taken[name].append(send(url, turn))
        file = Path(folder) / "audience.txt"
        file.write_text("".join(f"{FIRST + index * 7919 % RESUMED}\n" for index in range(RESUMED)))
        loaded = load_and_settle(full, file, SETTLED)
        first = [first_new_message(full, file) for _ in range(RUNS)]
    print(
        "\n| ledger | messages/s | worst sliding second | a tick: median, ms | a tick: 95 %, ms | CPU ms a message |\n"
        "| --- | --- | --- | --- | --- | --- |"
    )
    for name, runs in taken.items():
        cells = (
            [f"{one.rate:.1f}" for one in runs],
            [str(one.worst_second) for one in runs],
            [f"{one.middle:.1f}" for one in runs],
            [f"{one.slow:.1f}" for one in runs],
            [f"{one.cpu_ms:.2f}" for one in runs],
        )
        print(f"| {name} |", " | ".join(", ".join(cell) for cell in cells), "|")
    full_tick, empty_tick = (statistics.median(one.middle for one in runs) for runs in taken.values())
    print(
        f"\na tick takes {full_tick / empty_tick:.2f} times as long with {messages:,} messages behind it\n"
        f"{RESUMED:,} recipients more loaded in {loaded:.0f} s; first new message when {SETTLED:,} of them are settled: "
        f"{', '.join(f'{seconds:.2f}' for seconds in first)} s"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
