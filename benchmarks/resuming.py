"""A large campaign that is mostly settled, and the time to its first new message."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL

from airflow_provider_caixin.audience import FileAudience
from airflow_provider_caixin.campaign import Campaign, CampaignStopped
from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.vocabulary import State
from benchmarks.sender import PLAN, campaign_on

SOURCE = "benchmark"


def load_and_settle(url: URL, file: Path, count: int) -> float:
    """Load an audience as the benchmark's campaign, and write its first recipients as sent today.

    :param url: the ledger's address.
    :param file: the audience.
    :param count: how many are sent.
    :return: the seconds that the load took.
    """
    ledger = Ledger(url)
    began = time.monotonic()
    campaign_on(ledger, port=9).load(FileAudience(file), SOURCE)
    loaded = time.monotonic() - began
    ledger.close()
    # No time-out of the ledger's: nobody writes so many at once but this benchmark.
    engine = sa.create_engine(url)
    table, owner = schema.recipient, schema.campaign
    mine = sa.select(owner.c.id).where(owner.c.hash == schema.digest(str(PLAN["campaign_id"])))
    with engine.begin() as connection:
        key = connection.execute(mine).scalar_one()
        first = sa.select(sa.func.min(table.c.position)).where(table.c.campaign == key)
        settled = (table.c.campaign == key, table.c.position < connection.execute(first).scalar_one() + count)
        done = sa.update(table).where(*settled)
        connection.execute(done.values(state=State.SENT.value, sent_at=time.time(), sid="x"))
        moved = {"sent": count, "pending": owner.c.pending - count}
        connection.execute(sa.update(owner).where(owner.c.id == key).values(moved))
    engine.dispose()
    return loaded


def first_new_message(url: URL, file: Path) -> float:
    """Run the campaign again; return the seconds from ledger opening to the first arrival at the gateway.

    :param url: the ledger's address.
    :param file: its audience.
    """
    with SandboxServer(process=True) as gateway:
        began = time.time()
        ledger, stop = Ledger(url), threading.Event()
        one = campaign_on(ledger, gateway.port)
        one.load(FileAudience(file), SOURCE)
        runner = threading.Thread(target=_until_stopped, args=(one, stop))
        runner.start()
        while runner.is_alive() and not gateway.state()["first_arrival"]:
            time.sleep(0.02)
        stop.set()
        runner.join()
        ledger.close()
        return float(gateway.state()["first_arrival"]) - began


def _until_stopped(one: Campaign, stop: threading.Event) -> None:
    try:
        one.send(stop)
    except CampaignStopped as asked_for:
        print(asked_for, file=sys.stderr)
