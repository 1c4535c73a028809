"""Each invariant sees what it is there for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.invariants import Evidence, Row, broken

NUMBERS = ["13912340000", "13912340001", "13912340002"]
NOON = 1_700_000_000 // 86400 * 86400 + 4 * 3600


def request(mobile: str, moment: float, **changes: Any) -> dict[str, Any]:
    """Return a request as the gateway's record has it."""
    return {
        "tpl_id": "1", "mobile": mobile, "key": "worker", "moment": moment, "code": 0, "billed": True, "fault": 0,
        "lost": False, "sid": f"sid of {mobile}", **changes,
    }  # fmt: skip


def evidence(change: Callable[[dict[str, Any]], None] = lambda _: None) -> Evidence:
    """Return what a round leaves in which three recipients got their message, and change it."""
    facts: dict[str, Any] = {
        "audiences": {1: list(NUMBERS)},
        "rows": {1: [Row(mobile, 1, "sent", None, f"sid of {mobile}") for mobile in NUMBERS]},
        "results": {1: [{"pending": 0, "total": 3, "sent": 3}]},
        "requests": [request(mobile, 10.0 * place) for place, mobile in enumerate(NUMBERS)],
        "overlapping": 0,
        "clocks": lambda _, moment: {NOON + moment},
        "ledger_clocks": lambda _, moment: {NOON + moment},
        "rate": 2.0,
        "timeout": 0.6,
        "cap": 1,
        "budget": 3,
        "window": (9 * 3600, 18 * 3600),
    }
    change(facts)
    facts.setdefault("counts", {1: Counter(row.state for row in facts["rows"][1])})
    facts.setdefault("left", [("worker", one["moment"] - 0.001, one["mobile"]) for one in facts["requests"]])
    return Evidence(**facts)


def billed_again(facts: dict[str, Any]) -> None:
    """Bill somebody twice."""
    facts["requests"].append(request(NUMBERS[0], 60.0))


def asked_again(facts: dict[str, Any]) -> None:
    """Ask again after an answer that was lost."""
    facts["requests"].insert(0, request(NUMBERS[0], -5.0, billed=False, code=None, fault=99003, lost=True))


def forgotten(facts: dict[str, Any]) -> None:
    """Lose a row."""
    facts["audiences"][1].append("13912340003")


def left_over(facts: dict[str, Any]) -> None:
    """Leave somebody in flight."""
    facts["rows"][1][0] = Row(NUMBERS[0], 1, "in_flight", None, None)


def rejected_and_billed(facts: dict[str, Any]) -> None:
    """Bill somebody whom the ledger has as rejected."""
    facts["rows"][1][0] = Row(NUMBERS[0], 1, "rejected", None, None)


def sent_and_not_billed(facts: dict[str, Any]) -> None:
    """Bill nobody for a message that the ledger has as sent."""
    facts["requests"][0] |= {"billed": False, "code": 236306, "sid": ""}


def overlap(facts: dict[str, Any]) -> None:
    """Let two requests for a number meet."""
    facts["overlapping"] = 1


def burst(facts: dict[str, Any]) -> None:
    """Send a second's messages and three more within a second."""
    facts["left"] = [("worker", 30.0 + place / 10, "13912340000") for place in range(6)]


def unaccounted_burst(facts: dict[str, Any]) -> None:
    """Let as many arrive of which no sender has an account."""
    facts["left"] = []
    facts["requests"] = [request(f"{place}", 30.0 + place / 10) for place in range(6)]


def before_nine(facts: dict[str, Any]) -> None:
    """Send in the first two seconds of the window."""
    facts["clocks"] = lambda *_: {NOON - 3 * 3600 + 1}


def by_the_ledger_too_late(facts: dict[str, Any]) -> None:
    """Send while the ledger's clock says that the window is closed."""
    facts["clocks"] = lambda _, moment: {NOON + 6 * 3600 - 30 + moment / 10}
    facts["ledger_clocks"] = lambda _, moment: {NOON + 6 * 3600 - 6 + moment / 10}


def a_host_that_is_off(facts: dict[str, Any]) -> None:
    """Send from a host whose clock is 40 s slow."""
    facts["clocks"] = lambda _, moment: {NOON - 40 + moment}


def nearly_six(facts: dict[str, Any]) -> None:
    """Send when the answer may come after the closing."""
    facts["clocks"] = lambda *_: {NOON + 6 * 3600 - 5.3}


def twice_a_day(facts: dict[str, Any]) -> None:
    """Send somebody two campaigns' messages on one day."""
    facts["requests"].append(request(NUMBERS[0], 60.0, tpl_id="2"))


def over_budget(facts: dict[str, Any]) -> None:
    """Send one message more than the campaign may."""
    facts["budget"] = 2


def miscounted(facts: dict[str, Any]) -> None:
    """Count somebody twice."""
    facts["counts"] = {1: {"sent": 4}}


def green_too_early(facts: dict[str, Any]) -> None:
    """End well with somebody pending."""
    facts["results"][1].append({"pending": 1, "total": 3, "sent": 2})


def needless_unknown(facts: dict[str, Any]) -> None:
    """Take a clear answer for none."""
    facts["rows"][1][0] = Row(NUMBERS[0], 1, "unknown", None, None)


BREAKS: dict[Callable[[dict[str, Any]], None], str] = {
    billed_again: "nobody_billed_twice",
    asked_again: "nobody_asked_again_in_doubt",
    forgotten: "nobody_missing",
    left_over: "nobody_missing",
    rejected_and_billed: "the_ledger_says_what_was_billed",
    sent_and_not_billed: "the_ledger_says_what_was_billed",
    overlap: "never_two_in_the_air",
    burst: "no_second_above_the_rate",
    unaccounted_burst: "no_second_above_the_rate",
    before_nine: "nothing_outside_the_window",
    nearly_six: "nothing_outside_the_window",
    by_the_ledger_too_late: "nothing_outside_the_window",
    a_host_that_is_off: "nothing_by_clocks_far_apart",
    twice_a_day: "no_cap_broken",
    over_budget: "no_budget_broken",
    miscounted: "the_counts_are_the_rows",
    green_too_early: "green_is_done",
    needless_unknown: "unknown_are_few",
}


def names(found: list[str]) -> Iterator[str]:
    """Return the names of broken invariants."""
    return (sentence.partition(":")[0] for sentence in found)


def test_a_round_in_which_all_is_well() -> None:
    """Nothing is broken."""
    assert broken(evidence()) == []


@pytest.mark.parametrize("change", BREAKS, ids=lambda change: change.__name__)
def test_what_must_not_be_is_seen(change: Callable[[dict[str, Any]], None]) -> None:
    """By the invariant that is there for it."""
    assert BREAKS[change] in names(broken(evidence(change)))
