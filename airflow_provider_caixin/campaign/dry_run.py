"""A dry run: every rule, no send, nothing written."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Final

from sqlalchemy.engine import Connection

from airflow_provider_caixin.audience import Audience
from airflow_provider_caixin.campaign.counts import Counts
from airflow_provider_caixin.campaign.judge import RULES, judge
from airflow_provider_caixin.campaign.plan import Plan
from airflow_provider_caixin.ledger import Ledger, Skip, State, campaigns, messages
from airflow_provider_caixin.ledger.loads import sorted_audience
from airflow_provider_caixin.ledger.messages import Drawn, ReportRow

_BATCH: Final = 1_000
_LEFT_OVER: Final = (Skip.OVER_BUDGET, Skip.WINDOW_CLOSED)

Tell = Callable[[ReportRow], None]


def dry_run(plan: Plan, ledger: Ledger, audience: Audience, tell: Tell = lambda _: None) -> Counts:
    """
    Count what a run would do now, from the ledger as it stands and an audience.

    What the campaign already sent would not be sent again and counts as ``duplicate``.

    :param plan: the rules.
    :param ledger: the ledger, which is only read.
    :param audience: the rows.
    :param tell: called with each row of the audience that the campaign does not have yet.
    :raises CampaignMismatch: when the id belongs to a campaign with another template or account.
    """
    counts = Counts(plan.campaign_id, plan.tpl_id)
    with ledger.reading() as connection:
        account = campaigns.peek_account(connection, plan.account)
        campaign = campaigns.peek_campaign(connection, plan.campaign_id, account, plan.tpl_id)
        passed, spent = 0, 0
        if campaign is not None:
            passed, spent = _existing(connection, ledger, plan, campaign, account, counts)
        with closing(sorted_audience(plan.classifier.classify(audience))) as rows:
            for batch in _batches(rows):
                passed += _count(connection, ledger, plan, campaign, account, batch, counts, tell)
    room = passed if plan.max_messages is None else max(0, plan.max_messages - spent)
    counts.would_send = min(passed, room)
    if passed > room:
        counts.skipped[Skip.OVER_BUDGET] += passed - room
    return counts


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(itertools.islice(rows, _BATCH)):
        yield batch


def _count(
    connection: Connection,
    ledger: Ledger,
    plan: Plan,
    campaign: int | None,
    account: int | None,
    batch: list[dict[str, Any]],
    counts: Counts,
    tell: Tell,
) -> int:
    """Count the rows that the campaign does not have yet; return how many would be sent."""
    known: set[tuple[str, int]] = set()
    if campaign is not None:
        known = messages.known_keys(connection, campaign, [row["number"] for row in batch])
    new = [row for row in batch if (row["number"], row["occurrence"]) not in known]
    for row in new:
        if row["reason"]:
            counts.skipped[row["reason"]] += 1
            tell(ReportRow(row["number"], State.SKIPPED, row["reason"], None, None, None))
    drawn = [Drawn(row["position"], row["number"], 0) for row in new if not row["reason"]]
    judgement = judge(connection, plan, account, drawn, ledger.now(connection))
    for reason, skipped in judgement.skipped.items():
        counts.skipped[reason] += len(skipped)
        for one in skipped:
            tell(ReportRow(one.number, State.SKIPPED, reason, None, None, None))
    for one in judgement.passed + judgement.waiting:
        tell(ReportRow(one.number, State.PENDING, None, None, None, None))
    return len(judgement.passed) + len(judgement.waiting)


def _existing(
    connection: Connection, ledger: Ledger, plan: Plan, campaign: int, account: int | None, counts: Counts
) -> tuple[int, int]:
    """Count what the campaign has already; return how many of it would be sent and how many count to the budget."""
    before = Counts(plan.campaign_id, plan.tpl_id)
    before.add(messages.tally(connection, campaign))
    counts.rejected = before.rejected
    counts.unknown = before.unknown
    counts.skipped = Counter(
        {reason: n for reason, n in before.skipped.items() if reason not in {*RULES, *_LEFT_OVER}}
    )
    counts.skipped[Skip.DUPLICATE] += before.sent
    passed = sum(before.skipped[reason] for reason in _LEFT_OVER)
    for batches in (
        messages.pending_batches(connection, campaign),
        messages.skipped_batches(connection, campaign, RULES),
    ):
        for batch in batches:
            judgement = judge(connection, plan, account, batch, ledger.now(connection))
            passed += len(judgement.passed) + len(judgement.waiting)
            for reason, rows in judgement.skipped.items():
                counts.skipped[reason] += len(rows)
    return passed, before.sent + before.unknown
