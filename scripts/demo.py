"""``make demo``: a campaign from a throw-away Airflow to the sandbox, and what ledger and sandbox say of it.

Everything is in ``.demo``, which a fresh demo empties: recipients who had today's one message, by an older
ledger, would all be skipped. ``make demo RESUME=1`` keeps it and runs the last campaign again.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from airflow_provider_caixin.audience import mask
from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.vocabulary import State
from scripts.throwaway import EXAMPLE_DAGS, ROOT, Home, duration, shown, tail, unwind_when_told

DAG_ID = "caixin_campaign"
AUDIENCE = EXAMPLE_DAGS / "data" / "audience.csv"
# 09:04:26 of a log line, its text, and who wrote it.
LINE = re.compile(r"\S+T(\d\d:\d\d:\d\d)\S* \[\w+ *\] (.*?) *\[([\w.]+)\] ")
TASK = re.compile(r"\[DAG TEST\] starting task_id=(\w+)")
OURS = "airflow_provider_caixin"


class Recipient(NamedTuple):
    """One row of a campaign in the ledger."""

    number: str
    state: str
    reason: str | None
    sid: str | None


def main(folder: Path = ROOT / ".demo", *, resume: bool = False) -> int:
    """Run the demo.

    :param folder: where all of it is kept until the next one.
    :param resume: run the last campaign again instead of a fresh one.
    :return: exit status: 0 when ledger and sandbox agree, 130 when it was interrupted.
    """
    unwind_when_told()
    with Home(folder) as home:
        try:
            return _demo(home, resume=resume)
        except KeyboardInterrupt:
            print("\nStopped, with all that was started. `make demo RESUME=1` goes on with this campaign.")
            return 130


def _demo(home: Home, *, resume: bool) -> int:
    began = time.monotonic()
    database, report, log = (home.folder / name for name in ("caixin_ledger.db", "report.csv", "airflow.log"))
    if resume:
        before = _campaign(database)
        if before is None:
            print("There is no campaign to run again: run `make demo` first.")
            return 1
        print(
            f"The last campaign again, in {shown(home.folder)}: everyone who was billed must not be again.\n"
        )
    else:
        home.clear()
        before = f"demo {datetime.now(CHINA):%Y-%m-%d %H:%M:%S}", []
        print(
            "A campaign from Airflow to the sandbox: no message leaves this machine, and its bills are not real.\n"
        )
    campaign_id, known = before

    record = home.folder / "sandbox.jsonl"
    with SandboxServer(process=True, record=record, latency_ms=(50, 150)) as sandbox:
        billed_before = len(sandbox.billed())
        home.connect(sandbox, send_window="00:00-24:00")
        print(f"1. The sandbox, a gateway of our own: {sandbox.url}, its record: {shown(record)}")
        home.migrate()
        print(f"2. Airflow in a throw-away home: {shown(home.folder)}")
        print(f"3. airflow dags test {DAG_ID}, with all of its log in {shown(log)} (times in UTC)")
        print(
            '   This run has an all-day send window (the connection\'s extra: send_window "00:00-24:00").\n'
            f"   Without it messages leave from 09:00 to 18:00 China time, where it is {datetime.now(CHINA):%H:%M} now."
        )
        if not resume:
            print(
                "   Two numbers are answered with an error at first (236300, 236305: busy); they are tried again after 10 s."
            )
        print()
        conf = {"campaign_id": campaign_id, "audience_file": str(AUDIENCE), "report_file": str(report)}
        if status := _run(home, conf, log):
            print(f"\nThe Dag run failed (exit status {status}). The end of {shown(log)}:\n{tail(log)}")
            return 1
        requests = list(sandbox.requests())

    found = _campaign(database)
    recipients = found[1] if found else []
    print(f"\n4. What became of {shown(AUDIENCE)}, by the ledger ({shown(database)}) and by the sandbox:\n")
    wrong = _compare(recipients, requests)
    new = sum(row["billed"] for row in requests) - billed_before
    may_bill = (
        sum(one.state in (State.PENDING, State.IN_FLIGHT) for one in known) if resume else len(recipients)
    )
    if new > may_bill:
        wrong.append(f"{new} new bills, and {may_bill} recipients were still to be sent to")
    if wrong:
        print("\nLedger and sandbox do not agree:\n  " + "\n  ".join(wrong))
        return 1
    print("\n   They agree, recipient by recipient, and nobody was billed twice.")
    print(f"   New bills in this run: {new}.")
    print(f"\nWho got what: {shown(report)} (made-up numbers, in full). This took {duration(began)}.")
    print(
        "`make demo RESUME=1` runs the same campaign again: no new bills. `make up` shows all of it in Airflow's UI."
    )
    return 0


def _run(home: Home, conf: dict[str, str], log: Path) -> int:
    """Run the Dag, show what the provider's own lines say, and return the exit status."""
    log.unlink(missing_ok=True)
    command = home.airflow("dags", "test", DAG_ID, "--conf", json.dumps(conf))
    try:
        with log.open("wb") as file:
            for line in command.process.stdout or ():
                file.write(line)
                file.flush()
                _show(line.decode("utf-8", "replace"))
        return command.process.wait()
    finally:
        command.stop(signal.SIGINT)


def _show(line: str) -> None:
    found = LINE.match(line)
    if found is None:
        return
    moment, text, logger = found.groups()
    if task := TASK.match(text):
        print(f"   {moment}  task {task[1]}", flush=True)
    elif OURS in logger:
        print(f"   {moment}    {text}", flush=True)


def _campaign(database: Path) -> tuple[str, list[Recipient]] | None:
    """Return the last campaign's id and recipients from the ledger; None: there is none."""
    if not database.exists():
        return None
    ledger = Ledger.sqlite(database)
    table = schema.recipient.c
    try:
        with ledger.reading() as connection:
            last = connection.execute(
                sa.select(schema.campaign).order_by(schema.campaign.c.id.desc())
            ).first()
            if last is None:
                return None
            rows = connection.execute(
                sa.select(table.number, table.state, table.reason, table.sid).where(table.campaign == last.id)
            )
            return last.campaign_id, [Recipient(*row) for row in rows]
    finally:
        ledger.close()


def _compare(recipients: Iterable[Recipient], requests: Iterable[dict[str, Any]]) -> list[str]:
    """Print the outcomes side by side, and return a sentence for each recipient on whom the two differ."""
    asked: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in requests:
        asked[row["mobile"]].append(row)
    rows: defaultdict[str, Counter[str]] = defaultdict(Counter)
    reasons: defaultdict[str, Counter[str]] = defaultdict(Counter)
    wrong: list[str] = []
    for one in recipients:
        calls = [] if one.reason == "duplicate" else asked.pop(one.number, [])
        sids = [row["sid"] for row in calls if row["billed"]]
        rows[one.state].update(ledger=1, asked=bool(calls), billed=len(sids))
        if one.state == State.SKIPPED:
            reasons[one.state][str(one.reason)] += 1
        right = {
            State.SENT: sids == [one.sid],
            State.UNKNOWN: bool(calls) and len(sids) <= 1,
            State.REJECTED: bool(calls) and not sids,
        }.get(State(one.state), not calls)
        if not right:
            wrong.append(
                f"{mask(one.number)}: {one.state} in the ledger, billed {len(sids)} times by the sandbox"
            )
    wrong += [f"{mask(number)}: known to the sandbox and not to the ledger" for number in asked]

    print(f"   {'':<10}{'ledger':>8}{'requested':>12}{'billed':>9}")
    for state, meaning in MEANINGS.items():
        if not rows[state]["ledger"]:
            continue
        details = ", ".join(f"{number} {reason}" for reason, number in reasons[state].most_common())
        _line(state, rows[state], details or meaning)
    _line("total", sum(rows.values(), Counter()), "")
    return wrong


def _line(name: str, numbers: Counter[str], meaning: str) -> None:
    text = f"   {name:<10}{numbers['ledger']:>8,}{numbers['asked']:>12,}{numbers['billed']:>9,}   {meaning}"
    print(text.rstrip())


MEANINGS = {
    State.SENT: "accepted",
    State.UNKNOWN: "no answer that says: may be billed, so it is not sent again",
    State.REJECTED: "refused by the gateway",
    State.SKIPPED: "",
    State.PENDING: "still to be sent",
    State.IN_FLIGHT: "on their way",
}


if __name__ == "__main__":
    sys.exit(main(resume=os.environ.get("RESUME", "") not in ("", "0")))
