"""Which recipients the rules let pass now: the same judgement at the send, at a new run and in a dry run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.engine import Connection

from airflow_provider_caixin.campaign.plan import Plan
from airflow_provider_caixin.ledger.queue import history
from airflow_provider_caixin.ledger.queue.draw import Recipient
from airflow_provider_caixin.ledger.queue.history import Attempt
from airflow_provider_caixin.ledger.rows import lease as lease_rows
from airflow_provider_caixin.ledger.rows import suppression as suppression_rows
from airflow_provider_caixin.vocabulary import SkipReason, State

# What each run looks at again, because it also follows from what has happened since.
LEDGER_REASONS: Final = (SkipReason.SUPPRESSED, SkipReason.FREQUENCY_CAP)
# What a run under other rules looks at again.
RULE_REASONS: Final = (
    SkipReason.NOT_CHINA_MOBILE,
    SkipReason.VIRTUAL_OPERATOR,
    SkipReason.BLOCKED_REGION,
    *LEDGER_REASONS,
)


@dataclass(slots=True)
class Judgement:
    """What the rules say of a batch of recipients.

    :param passed: who may get the message now.
    :param waiting: who may not as long as another message to the same number is in the air.
    :param skipped: who gets none, by reason.
    """

    passed: list[Recipient] = field(default_factory=list)
    waiting: list[Recipient] = field(default_factory=list)
    skipped: dict[SkipReason, list[Recipient]] = field(default_factory=lambda: defaultdict(list))


def judge(
    connection: Connection, plan: Plan, account: int | None, rows: Sequence[Recipient], now: float
) -> Judgement:
    """Judge a batch of recipients by carrier, region, suppression and frequency cap.

    What was billed or may have been decides about the cap. A message in the air does not yet, but it holds
    the next one back: two campaigns cannot both win. A recipient's own earlier attempt is not counted against
    it.

    :param connection: a transaction; one that holds the account's lock where the judgement must stand.
    :param account: the account's key; None: an account without any message so far.
    """
    judgement = Judgement()
    if not rows:
        return judgement
    numbers = [row.number for row in rows]
    suppressed = suppression_rows.find_suppressed(connection, numbers)
    earlier: dict[str, list[Attempt]] = {}
    if plan.cap is not None and account is not None:
        earlier = history.find_attempts(connection, account, numbers, plan.cap.since(now))
    for row in rows:
        reason = plan.classifier.reason(row.number)
        if reason is not None:
            judgement.skipped[SkipReason(reason)].append(row)
        elif row.number in suppressed or row.number in plan.suppressed:
            judgement.skipped[SkipReason.SUPPRESSED].append(row)
        elif plan.cap is not None and row.number in earlier:
            settled, in_the_air = _moments((one for one in earlier[row.number] if one.id != row.id), now)
            if not plan.cap.allows(now, settled):
                judgement.skipped[SkipReason.FREQUENCY_CAP].append(row)
            elif not plan.cap.allows(now, settled + in_the_air):
                judgement.waiting.append(row)
            else:
                judgement.passed.append(row)
        else:
            judgement.passed.append(row)
    return judgement


def _moments(others: Iterable[Attempt], now: float) -> tuple[list[float], list[float]]:
    """Return when messages left that count, and when those leave of which it is not known yet."""
    settled: list[float] = []
    in_the_air: list[float] = []
    for attempt in others:
        flies = attempt.state == State.IN_FLIGHT and not lease_rows.has_ended(attempt.due, now)
        (in_the_air if flies else settled).append(attempt.sent_at)
        # Of one that was not sent a second time after all both say the same.
        if attempt.doubt_at is not None and attempt.doubt_at != attempt.sent_at:
            settled.append(attempt.doubt_at)
    return settled, in_the_air
