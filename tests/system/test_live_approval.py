"""The example with an approval, under a real scheduler: what the approver sees, and what an answer does."""

from __future__ import annotations

from pathlib import Path

from tests.system.live import LIVE, Live, Run, audience, people, wait_until

pytestmark = LIVE

DETAILS = ("taskInstances", "approve", "-1", "hitlDetails")


def asked(live: Live, path: Path, numbers: list[str], tester: str) -> tuple[Run, str]:
    """Run the example until it waits for a person, and give what it shows them."""
    run = live.trigger("caixin_approval", audience_file=audience(path, numbers), test_numbers=tester)

    def waits() -> bool:
        state = run.ask("GET", "taskInstances", "approve")["state"]
        assert state not in ("failed", "skipped", "upstream_failed"), state
        # From Airflow 3.3 it waits without a triggerer.
        return state in ("awaiting_input", "deferred")

    wait_until("a person is asked", waits, 150)
    # As a person does, the test answers after the scheduler has heard that the task's first part is over: it
    # would take that for the end of the second part, which the answer queues, and fail the task.
    wait_until("the scheduler knows that it waits", lambda: first_part_is_over(live, run))
    return run, run.ask("GET", *DETAILS)["body"]


def first_part_is_over(live: Live, run: Run) -> bool:
    """Look in the scheduler's log for the executor's word that the approval's process has ended."""
    words = ("Received executor event", "task_id='approve'", run.run_id)
    lines = (live.home / "logs" / "scheduler.log").read_text(encoding="utf-8").splitlines()
    return any(all(word in line for word in words) for line in lines)


def test_an_approved_campaign(live: Live, tmp_path: Path) -> None:
    """The approver sees text, media and counts; who joins the audience later is more than was approved."""
    tester, *numbers = people(14)
    run, body = asked(live, tmp_path / "a.txt", [*numbers[:10], "not a number"], tester)
    assert "【" in body
    assert "/media/sunrise.mp4>" in body
    assert "**Test message:** 1 of 1 sent." in body
    assert "**Audience:** 11 rows, of which 10 would get the message." in body
    assert "* 1 not: invalid_number" in body
    assert "Of the first 10 people who would get it, " in body
    assert "**At most 10 messages are billed.**" in body
    assert tester not in body
    assert run.task()["state"] in (None, "scheduled")
    audience(tmp_path / "a.txt", [*numbers, "not a number"])
    run.ask("PATCH", *DETAILS, chosen_options=["Approve"], params_input={})
    assert run.finish(120) == "success"
    result = run.result()
    assert (result["sent"], result["skipped"]) == (10, {"invalid_number": 1, "over_budget": 3})
    links = run.ask("GET", "taskInstances", "send", "links")["extra_links"]
    assert set(links) == {"Campaign", "Template media"}
    assert links["Template media"].endswith("/media/sunrise.mp4")


def test_a_rejected_campaign(live: Live, tmp_path: Path) -> None:
    """Nobody but the testers gets anything."""
    tester, *numbers = people(5)
    run, _ = asked(live, tmp_path / "a.txt", numbers, tester)
    run.ask("PATCH", *DETAILS, chosen_options=["Reject"], params_input={})
    assert run.finish(120) == "success"
    assert run.task()["state"] == "skipped"
