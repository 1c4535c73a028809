"""Example Dags under a real scheduler: what each sends of its audience, and an approved template's run."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from airflow_provider_caixin.audience import normalise
from airflow_provider_caixin.sandbox.magic import MOBILE_PREFIX
from scripts.make_example_audience import CLASSIFIER, TARGET
from tests.system.live import LIVE, Live, Run, people, wait_until

pytestmark = LIVE

# Those that `make up` leaves paused.
SCHEDULED = ("caixin_daily", "caixin_window", "caixin_template_event")
CHUNK = 100
REVIEWED = 65538
NOT_YET = f"Template {REVIEWED} is not available; watching."


@dataclass(frozen=True)
class Examples:
    """One run of each example, all at work together.

    :param runs: by their Dag.
    :param number: who gets the one message.
    :param before: lines of the sandbox's record that are older.
    """

    live: Live
    runs: dict[str, Run]
    number: str
    before: int


@pytest.fixture(scope="module")
def examples(live: Live) -> Iterator[Examples]:
    """Un-pause and start all of them at once, and in the end leave the Airflow as it was."""
    [number] = people(1)
    before = len(live.record())
    try:
        for dag_id in SCHEDULED:
            live.api.ask("PATCH", "dags", dag_id, is_paused=False)
        runs = {
            dag_id: live.trigger(dag_id)
            for dag_id in ("caixin_campaign", "caixin_mapped", "caixin_window", "caixin_template_event")
        }
        runs["caixin_send_one"] = live.trigger("caixin_send_one", mobile=number)
        # As the example says: it was un-paused, so what it missed starts at once.
        missed, *_ = wait_until("the missed run has started", lambda: runs_of(live, "caixin_daily"))
        assert missed.ask("GET")["run_type"] == "scheduled"
        yield Examples(live, runs | {"caixin_daily": missed}, number, before)
    finally:
        offer(live, available=False)
        for dag_id in SCHEDULED:
            live.api.ask("PATCH", "dags", dag_id, is_paused=True)


def runs_of(live: Live, dag_id: str) -> list[Run]:
    """Give all runs of a Dag."""
    found = live.api.ask("GET", "dags", dag_id, "dagRuns")["dag_runs"]
    return [Run(live, dag_id, one["dag_run_id"]) for one in found]


def settled(examples: Examples) -> tuple[list[Run], list[dict[str, Any]]]:
    """Give the scheduled runs (more may come at any moment), all ended, and the sandbox's record by then."""
    live = examples.live

    def runs() -> list[Run]:
        return [run for dag_id in ("caixin_daily", "caixin_window") for run in runs_of(live, dag_id)]

    while True:
        found = runs()
        assert {run.finish(150) for run in found} == {"success"}
        lines = live.record()[examples.before :]
        if runs() == found:
            return found, lines


def offer(live: Live, *, available: bool) -> None:
    """Make the sandbox's template available or not, as the example's own words tell a person to."""
    with requests.Session() as session:
        # No proxy of the environment comes between this machine and itself.
        session.trust_env = False
        url = f"{live.sandbox}/_sandbox/templates/{REVIEWED}"
        session.post(url, json={"available": available}, timeout=30).raise_for_status()


def returned(run: Run, task_id: str) -> Any:
    """Give what a task returned."""
    return run.ask("GET", "taskInstances", task_id, "xcomEntries", "return_value")["value"]


def rows() -> list[str]:
    """Read the audience that all of them share."""
    with TARGET.open(encoding="utf-8", newline="") as file:
        return [row["手机号"] for row in csv.DictReader(file)]


def sorted_out(numbers: Iterable[str]) -> tuple[set[str], dict[str, int]]:
    """Say who of an audience gets the message, and count the others by reason."""
    seen, gets, skipped = set[str](), set[str](), Counter[str]()
    for raw in numbers:
        number = normalise(raw)
        reason = (
            "invalid_number"
            if number is None
            else "duplicate"
            if number in seen
            else CLASSIFIER.reason(number)
        )
        if number is not None:
            seen.add(number)
            if reason is None:
                gets.add(number)
        if reason is not None:
            skipped[reason] += 1
    return gets, dict(skipped)


def complete(result: dict[str, Any], numbers: list[str]) -> bool:
    """Tell whether everybody in an audience has the outcome that the rules and the sandbox have for them."""
    gets, skipped = sorted_out(numbers)
    assert (result["total"], result["skipped"], result["pending"]) == (len(numbers), skipped, 0)
    tried = result["sent"] + sum(result["rejected"].values()) + result["unknown"]
    # Only what the sandbox's own numbers are answered depends on how often they were called before.
    return bool(
        tried == len(gets)
        and result["sent"] >= sum(not number.startswith(MOBILE_PREFIX) for number in gets)
        and set(result["rejected"]) <= {"236306", "236308", "236309"}
    )


def test_each_sends_to_whom_its_audience_asks_for(examples: Examples) -> None:
    """All succeed side by side; the gateway has one message of each Dag for each recipient rules allow."""
    runs, audience = examples.runs, rows()
    assert {dag_id: run.finish(150) for dag_id, run in runs.items()} == dict.fromkeys(runs, "success")
    scheduled, lines = settled(examples)
    whole = [runs["caixin_campaign"], *scheduled]
    assert runs["caixin_window"] in whole
    for run in whole:
        result = run.result()
        assert complete(result, audience), run
        assert set(result["rejected"]) == {"236306", "236308", "236309"}, run
        assert 3 <= result["unknown"] <= 4, run
    chunks = [audience[at : at + CHUNK] for at in range(0, len(audience), CHUNK)]
    mapped = [runs["caixin_mapped"].result(index) for index in range(len(chunks))]
    assert all(map(complete, mapped, chunks))
    one = runs["caixin_send_one"].result()
    assert (one["total"], one["sent"]) == (1, 1)

    campaign = runs["caixin_campaign"].result()
    said = returned(runs["caixin_campaign"], "summary").splitlines()
    assert said[0] == f"{campaign['sent']} of {len(audience)} recipients got template 65535."
    assert {f"{number} were skipped: {reason}." for reason, number in campaign["skipped"].items()} < set(said)
    assert returned(runs["caixin_mapped"], "total") == {
        "total": len(audience),
        "sent": sum(result["sent"] for result in mapped),
        "skipped": sum(sum(result["skipped"].values()) for result in mapped),
        "rejected": sum(sum(result["rejected"].values()) for result in mapped),
        "unknown": sum(result["unknown"] for result in mapped),
    }

    due = Counter([examples.number])
    for part in (*[audience] * len(whole), *chunks):
        due.update(sorted_out(part)[0])
    billed = Counter(line["mobile"] for line in lines if line.get("billed"))
    assert {number: times for number, times in billed.items() if not number.startswith(MOBILE_PREFIX)} == {
        number: times for number, times in due.items() if not number.startswith(MOBILE_PREFIX)
    }
    assert billed.keys() <= due.keys()


def test_an_approved_template_starts_one_run(examples: Examples) -> None:
    """Run by hand it has no event; the watcher sees the template turn available, and one run says which."""
    live, by_hand = examples.live, examples.runs["caixin_template_event"]
    gets, skipped = sorted_out(rows())
    log = live.home / "logs" / "triggerer.log"

    def looks() -> int:
        return log.read_text(encoding="utf-8").count(NOT_YET)

    wait_until("the watcher has looked", looks)
    assert by_hand.finish() == "success"
    assert returned(by_hand, "announce") == "no event"
    offer(live, available=True)
    made = wait_until("the event has started a run", lambda: runs_of(live, by_hand.dag_id)[1:], 150)
    offer(live, available=False)
    assert [run.finish() for run in made] == ["success"]
    assert made[0].ask("GET")["run_type"] == "asset_triggered"
    assert returned(made[0], "announce").startswith(f"{REVIEWED}: 【晨山书店】新模板")
    for run in (by_hand, *made):
        result = run.result()
        assert (result["tpl_id"], result["sent"], result["would_send"]) == (REVIEWED, 0, len(gets))
        assert result["skipped"] == skipped
    wait_until("the watcher has looked again", lambda: looks() > 1, 150)
    assert runs_of(live, by_hand.dag_id) == [by_hand, *made]
