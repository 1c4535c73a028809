"""What must hold after every round, whatever went wrong in it.

The gateway's own record against the ledger.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final

from airflow_provider_caixin.china_time import DAY_SECONDS
from airflow_provider_caixin.juhe.codes import CODES, Kind
from airflow_provider_caixin.ledger.admin.unknowns import BILLED

CHINA: Final = 8 * 3600
OPENING_GUARD_SECONDS: Final = 2.0
CLOSING_GUARD_SECONDS: Final = 5.0
MOST_APART: Final = 30.0

# The gateway's answers after which a recipient is asked for again, if only when somebody has mended what they
# name; 99014 to 99018: HTTP 429, 302, 401, 403 and 404.
AGAIN: Final = frozenset(
    {
        code
        for code, entry in CODES.items()
        if entry.kind in (Kind.RATE, Kind.QUOTA, Kind.MAINTENANCE, Kind.BUSY, Kind.FATAL)
    }
    | set(range(99014, 99019))
)
# Requests leave up to 20 ms after their slot, and what a busy machine adds between a look at a clock and the
# next thing done. The gateway's 300 a second is as far above the usual rate as the first of the two.
JITTER: Final = 0.05
# Between the last look and the write a thread may wait for the processor.
LAST_LOOK: Final = 0.1
# Slots are taken less far ahead than this; a step of the ledger's clock moves those that are taken next.
CLOCK_STEP_SEEN: Final = 1.5


@dataclass(frozen=True)
class Row:
    """A recipient as the ledger has it at the end."""

    mobile: str
    occurrence: int
    state: str
    reason: str | None
    sid: str | None


@dataclass
class Evidence:
    """What is known after a round.

    :param audiences: the rows of each campaign's audience, by template: every campaign of a round has its
        own.
    :param rows: the ledger's recipients, by template.
    :param counts: the ledger's counts by state, by template.
    :param results: what runs returned that ended well, by template.
    :param requests: the gateway's record; ``key`` is the name of the process that sent.
    :param left: when each request left by its sender's own account: process, monotonic moment, number.
    :param overlapping: how many requests arrived for a number that had one in the air, where no two may be.
    :param clocks: gives the host's clock (seconds since the epoch) at a moment, by process; more than one
        value where it was stepped just then.
    :param ledger_clocks: the same of the ledger's clock, which caps go by.
    :param rate: messages a second.
    :param timeout: seconds that an answer may take.
    :param cap: messages a day to one recipient.
    :param budget: messages of each campaign.
    :param window: opening and closing, in seconds of the day in China.
    :param upheavals: how often requests in the air lost their sender, gateway or ledger.
    :param volume: messages of the account a day.
    :param again: how often more than once a recipient may be billed: somebody said that it was not billed, or
        asked for unknown outcomes to be sent once more.
    :param retried: how often somebody asked for a recipient once more that the gateway had rejected.
    :param unfinished: campaigns of which no run need end well: cancelled or purged ones.
    :param clock_set: says whether the ledger's clock was set between two moments, which moves its slots.
    :param struck: recipients whose sender was killed, suspended or stopped.
    :param busy_share: which share of the recipients may be unknown because the machine is busy.
    """

    audiences: Mapping[int, list[str]]
    rows: Mapping[int, list[Row]]
    counts: Mapping[int, Mapping[str, int]]
    results: Mapping[int, list[Mapping[str, Any]]]
    requests: list[dict[str, Any]]
    left: list[tuple[str, float, str]]
    overlapping: int
    clocks: Callable[[str, float], Iterable[float]]
    ledger_clocks: Callable[[str, float], Iterable[float]]
    rate: float
    timeout: float
    cap: int | None = None
    budget: int | None = None
    window: tuple[float, float] | None = None
    upheavals: int = 0
    volume: int | None = None
    again: Mapping[tuple[int, str], int] = field(default_factory=Counter)
    retried: Mapping[tuple[int, str], int] = field(default_factory=Counter)
    unfinished: frozenset[int] = frozenset()
    clock_set: Callable[[float, float], bool] = lambda _first, _last: False
    struck: frozenset[tuple[int, str]] = frozenset()
    busy_share: float = 0.02
    bills: dict[tuple[int, str], list[dict[str, Any]]] = field(init=False)

    def __post_init__(self) -> None:
        self.bills = defaultdict(list)
        for request in self.requests:
            if request["billed"]:
                self.bills[int(request["tpl_id"]), request["mobile"]].append(request)

    def recipients(self) -> Iterator[tuple[int, Row, list[dict[str, Any]]]]:
        """Yield each recipient of each campaign with its bills."""
        for template, rows in self.rows.items():
            for row in rows:
                # A duplicate's bills are those of the first occurrence.
                yield template, row, self.bills.get((template, row.mobile), []) if row.occurrence == 1 else []


def nobody_billed_twice(of: Evidence) -> Iterator[str]:
    """One campaign, one recipient, one bill, unless somebody asked for another."""
    for (template, mobile), bills in of.bills.items():
        if len(bills) > 1 + of.again.get((template, mobile), 0):
            yield f"{mobile} was billed {len(bills)} times for {template}, by {[bill['key'] for bill in bills]}"


def nobody_asked_again_in_doubt(of: Evidence) -> Iterator[str]:
    """Only after an answer that says that nothing was billed and that the gateway may be asked again."""
    before: dict[tuple[int, str], dict[str, Any]] = {}
    excused = Counter(of.again) + Counter(of.retried)
    for request in of.requests:
        key = int(request["tpl_id"]), request["mobile"]
        last = before.get(key)
        if last and (last["lost"] or (last["fault"] or last["code"]) not in AGAIN):
            if excused[key] <= 0:
                yield f"{key} was asked for by {request['key']} after {last}"
            excused[key] -= 1
        before[key] = request


def nobody_missing(of: Evidence) -> Iterator[str]:
    """Every row of the audience once, and each in a state that is final."""
    for template, audience in of.audiences.items():
        wanted, there = Counter(audience), Counter(row.mobile for row in of.rows[template])
        if wanted != there:
            yield f"{template}: missing {dict(wanted - there)}, too many {dict(there - wanted)}"
        occurrences = Counter((row.mobile, row.occurrence) for row in of.rows[template])
        if any(times > 1 for times in occurrences.values()):
            yield f"{template}: a row is there twice"
        for row in of.rows[template]:
            if row.state in ("pending", "in_flight"):
                yield f"{template}: {row}"


def the_ledger_says_what_was_billed(of: Evidence) -> Iterator[str]:
    """Sent is billed under the same sid, billed is sent or unknown, rejected and skipped are not billed.

    Whom somebody called billed, or not billed, is as they said.
    """
    known = {(template, row.mobile) for template, row, _ in of.recipients()}
    for key in of.bills:
        if key not in known:
            yield f"{key} was billed and is not in the ledger"
    for template, row, bills in of.recipients():
        if row.state == "sent" and row.reason != BILLED and row.sid not in [bill["sid"] for bill in bills]:
            yield f"{template}: {row}, billed: {bills}"
        elif row.state not in ("sent", "unknown") and len(bills) > of.again.get((template, row.mobile), 0):
            yield f"{template}: {row} was billed: {bills}"


def never_two_in_the_air(of: Evidence) -> Iterator[str]:
    """No request for a number while another one for it has no answer."""
    if of.overlapping:
        yield f"{of.overlapping} requests overlapped"


def no_second_above_the_rate(of: Evidence) -> Iterator[str]:
    """No sliding second holds more requests than the rate and what jitter makes of it.

    A gateway without a processor reads late, and what it reads late it reads at once. So the moment is when a
    request left by its sender's own account; one without such an account counts when it arrived.
    """
    accounts = defaultdict(list)
    for key, moment, mobile in of.left:
        accounts[key, mobile].append(moment)
    moments = sorted(moment for (_, moment, _) in of.left)
    for request in of.requests:
        earlier = accounts.get((request["key"], request["mobile"]), [])
        if not any(moment <= request["moment"] for moment in earlier):
            moments.append(request["moment"])
    moments.sort()
    most, first = 0, 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= 1.0:
            first += 1
        if not of.clock_set(moments[first] - CLOCK_STEP_SEEN, moment):
            most = max(most, last - first + 1)
    limit = math.ceil(of.rate * (1 + JITTER)) + 1
    if most > limit:
        yield f"{most} requests in a second; {of.rate:g} were allowed, {limit} with jitter"


def nothing_outside_the_window(of: Evidence) -> Iterator[str]:
    """Nothing in the first 2 s, nothing later than the timeout and 5 s before the closing.

    By the sender's clock and by the ledger's.
    """
    if of.window is None:
        return
    opens, closes = of.window
    first, last = opens + OPENING_GUARD_SECONDS, closes - CLOSING_GUARD_SECONDS - of.timeout + LAST_LOOK
    for (key, moment, _), read in product(of.left, (of.clocks, of.ledger_clocks)):
        clocks = [(clock + CHINA) % DAY_SECONDS for clock in read(key, moment)]
        if not any(first <= clock <= last for clock in clocks):
            yield f"{key} sent at {clocks}, {first}-{last} was allowed"
    for request, read in product(of.requests, (of.clocks, of.ledger_clocks)):
        clocks = [(clock + CHINA) % DAY_SECONDS for clock in read(request["key"], request["moment"])]
        if not any(first <= clock <= closes - CLOSING_GUARD_SECONDS for clock in clocks):
            yield f"{request} arrived at {clocks}"


def nothing_by_clocks_far_apart(of: Evidence) -> Iterator[str]:
    """No request leaves a host whose clock is more than 30 s off the ledger's."""
    for key, moment, _ in of.left:
        apart = min(
            abs(host - ledger)
            for host, ledger in product(of.clocks(key, moment), of.ledger_clocks(key, moment))
        )
        if apart > MOST_APART:
            yield f"{key} sent at {moment}, with clocks {apart:.1f} s apart"


def no_cap_broken(of: Evidence) -> Iterator[str]:
    """No recipient gets more in a China day, whatever the campaign."""
    if of.cap is None:
        return
    days_of: dict[str, Counter[float]] = defaultdict(Counter)
    excused: Counter[str] = Counter()
    for (template, mobile), bills in of.bills.items():
        days_of[mobile] += _certain_days(of, bills)
        excused[mobile] += of.again.get((template, mobile), 0)
    for mobile, days in days_of.items():
        if days and max(days.values()) > of.cap + excused[mobile]:
            yield f"{mobile} got {max(days.values())} messages in a day, {of.cap} were allowed"


def no_volume_broken(of: Evidence) -> Iterator[str]:
    """No account bills more in a China day."""
    if of.volume is None:
        return
    days = _certain_days(of, (bill for bills in of.bills.values() for bill in bills))
    if days and max(days.values()) > of.volume + sum(of.again.values()):
        yield f"{max(days.values())} were billed in a day, {of.volume} were allowed"


def _certain_days(of: Evidence, bills: Iterable[Mapping[str, Any]]) -> Counter[float]:
    """Count bills by the day of the ledger's clock, without those that left while somebody set it."""
    found: Counter[float] = Counter()
    for bill in bills:
        days = {(clock + CHINA) // DAY_SECONDS for clock in of.ledger_clocks(bill["key"], bill["moment"])}
        if len(days) == 1:
            found[days.pop()] += 1
    return found


def no_budget_broken(of: Evidence) -> Iterator[str]:
    """No campaign bills more, nor leaves more in its ledger that is or may be billed."""
    if of.budget is None:
        return
    for template, rows in of.rows.items():
        billed = sum(len(bills) for (of_template, _), bills in of.bills.items() if of_template == template)
        may_be = sum(row.state in ("sent", "unknown") for row in rows)
        excused = sum(number for (of_template, _), number in of.again.items() if of_template == template)
        if max(billed, may_be) > of.budget + excused:
            yield f"{template}: {billed} billed, {may_be} sent or unknown, {of.budget} were allowed"


def the_counts_are_the_rows(of: Evidence) -> Iterator[str]:
    """Own counts of a campaign, and those of the gateway with the doubtful ones."""
    for template, counts in of.counts.items():
        counted = Counter(row.state for row in of.rows[template])
        if Counter(counts) != counted:
            yield f"{template}: counts {counts}, rows {dict(counted)}"
        # As the gateway has it, but for those of whom somebody said something else.
        known = [
            (row, bills)
            for one, row, bills in of.recipients()
            if one == template and not of.again.get((template, row.mobile), 0)
        ]
        billed = sum(len(bills) for _, bills in known)
        sent = sum(row.state == "sent" and (row.reason != BILLED or bool(bills)) for row, bills in known)
        doubtful = sum(row.state == "unknown" and bool(bills) for row, bills in known)
        if billed != sent + doubtful:
            yield f"{template}: {billed} billed, {sent} sent, {doubtful} of the unknown ones billed"


def green_is_done(of: Evidence) -> Iterator[str]:
    """Whatever run ended well left nobody pending and counted everyone.

    And what it said was sent stayed sent.
    """
    for template, results in of.results.items():
        sent = sum(row.state == "sent" for row in of.rows[template])
        if not results and template not in of.unfinished:
            yield f"{template}: no run ended well"
        for result in results:
            if result["pending"] or result["total"] != len(of.audiences[template]) or result["sent"] > sent:
                yield f"{template}: {result}, in the end {sent} were sent"


def unknown_are_few(of: Evidence) -> Iterator[str]:
    """Whoever is unknown has a reason to be: no clear answer, or a failed sender, gateway or ledger.

    Each such failure leaves at most what was in the air, less than a time-out's messages, unless it is known
    whose they were. A few more answers are late because the machine is busy.
    """
    unclear = {
        (int(request["tpl_id"]), request["mobile"])
        for request in of.requests
        if request["lost"] or request["fault"] or request["code"] == 10014
    }
    in_vain = [
        row.mobile
        for template, row, _ in of.recipients()
        if row.state == "unknown" and (template, row.mobile) not in unclear | of.struck
    ]
    most = of.upheavals * of.rate * of.timeout + of.busy_share * sum(map(len, of.audiences.values()))
    if len(in_vain) > most:
        yield f"{len(in_vain)} are unknown although the gateway answered or never heard of them; at most {most:.0f} may be"


INVARIANTS: Final = (
    nobody_billed_twice,
    nobody_asked_again_in_doubt,
    nobody_missing,
    the_ledger_says_what_was_billed,
    never_two_in_the_air,
    no_second_above_the_rate,
    nothing_outside_the_window,
    nothing_by_clocks_far_apart,
    no_cap_broken,
    no_volume_broken,
    no_budget_broken,
    the_counts_are_the_rows,
    green_is_done,
    unknown_are_few,
)


def broken(of: Evidence) -> list[str]:
    """Return which invariants do not hold.

    :param of: what is known after a round.
    """
    found = []
    for invariant in INVARIANTS:
        sentences = list(invariant(of))
        more = f" (and {len(sentences) - 5} more)" if len(sentences) > 5 else ""
        found += [f"{invariant.__name__}: {sentence}" for sentence in sentences[:5]]
        if more:
            found[-1] += more
    return found
