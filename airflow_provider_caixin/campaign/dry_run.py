"""A dry run: every rule, no send, nothing written."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, Final

from sqlalchemy.engine import Connection

from airflow_provider_caixin.audience import Audience, require_numbers
from airflow_provider_caixin.campaign.counts import Counts
from airflow_provider_caixin.campaign.judge import judge
from airflow_provider_caixin.campaign.plan import Plan
from airflow_provider_caixin.campaign.reopen import looked_at_again
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.queue import draw as drawing
from airflow_provider_caixin.ledger.queue import history
from airflow_provider_caixin.ledger.queue.draw import Drawn
from airflow_provider_caixin.ledger.queue.sorting import sorted_audience
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.rows import names as account_names
from airflow_provider_caixin.ledger.rows import tally as tallies
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.views.reports import ReportRow
from airflow_provider_caixin.vocabulary import SkipReason, State

_BATCH: Final = 1_000
_LEFT_OVER: Final = (SkipReason.OVER_BUDGET, SkipReason.WINDOW_CLOSED)

Tell = Callable[[ReportRow], None]


def dry_run(
    plan: Plan,
    ledger: Ledger,
    audience: Audience,
    tell: Tell = lambda _: None,
    clock: Callable[[], float] = time.time,
) -> Counts:
    """
    Count what a run would do now, from the ledger as it stands and an audience.

    What the campaign already sent, or is just sending, would not be sent again and counts as ``duplicate``.

    :param plan: the rules.
    :param ledger: the ledger, which is only read.
    :param audience: the rows.
    :param tell: called with each row of the audience that the campaign does not have yet.
    :param clock: the host's clock, for the expiry.
    :raises CampaignMismatch: when the id belongs to a campaign with another template or account.
    :raises KeyOfAnotherAccount: when the AppKey has sent under another account's name.
    :raises AudienceError: the audience cannot be read, or has rows and not one of them is a number.
    """
    counts = Counts(plan.campaign_id, plan.tpl_id)
    over: SkipReason | None = None
    begun_at = clock()
    with ledger.reading() as connection:
        account = account_names.resolve_account(connection, plan.account, plan.account_key)
        campaign = campaign_rows.peek_campaign(connection, plan.campaign_id, account, plan.tpl_id)
        passed, spent = 0, 0
        earlier = _Earlier(connection, campaign, account, plan.tpl_id)
        if campaign is not None:
            row = CampaignRow.read(connection, campaign)
            begun_at = row.loaded_at or row.created_at
            over = SkipReason.CANCELLED if row.cancelled else None
            passed, spent = _existing(connection, ledger, plan, row, counts, earlier)
        expires = plan.expiry(begun_at)
        if over is None and expires is not None and clock() >= expires:
            over = SkipReason.EXPIRED
        judged = require_numbers(plan.classifier.classify(audience), audience)
        with closing(sorted_audience(judged)) as rows:
            for batch in _batches(rows):
                passed += _count(connection, ledger, plan, campaign, account, batch, counts, tell, earlier)
        counts.had_template = earlier.had, earlier.looked_at
    room = passed if plan.max_messages is None else max(0, plan.max_messages - spent)
    if over is not None:
        room = 0
    counts.would_send = min(passed, room)
    if passed > room:
        counts.skipped[over or SkipReason.OVER_BUDGET] += passed - room
    return counts


class _Earlier:
    """
    Counts who already had the template in another campaign, or may have, as long as that takes no longer than a few seconds.

    :param connection: a reading transaction.
    :param campaign: the campaign's key, None where it is not in the ledger yet.
    :param account: the account's key, None where it is not in the ledger yet.
    :param tpl_id: the template.
    """

    def __init__(
        self, connection: Connection, campaign: int | None, account: int | None, tpl_id: int
    ) -> None:
        self.had = self.looked_at = 0
        self._connection = connection
        self._left = history.LOOK_SECONDS
        self._campaigns: list[int] = []
        if account is not None:
            self._campaigns = history.campaigns_with_template(connection, campaign, account, tpl_id)

    def look(self, recipients: Sequence[Drawn]) -> None:
        """Look at recipients who would get the message."""
        if self._left <= 0:
            return
        self.looked_at += len(recipients)
        if not recipients or not self._campaigns:
            return
        began = time.monotonic()
        for start in range(0, len(recipients), _BATCH):
            numbers = [one.number for one in recipients[start : start + _BATCH]]
            self.had += len(history.who_got_it(self._connection, self._campaigns, numbers))
        self._left -= time.monotonic() - began


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
    earlier: _Earlier,
) -> int:
    """Count the rows that the campaign does not have yet; return how many would be sent."""
    known: set[tuple[str, int]] = set()
    if campaign is not None:
        known = drawing.known_keys(connection, campaign, [row["number"] for row in batch])
    new = [row for row in batch if (row["number"], row["occurrence"]) not in known]
    for row in new:
        if row["reason"]:
            counts.skipped[row["reason"]] += 1
            tell(ReportRow(row["number"], State.SKIPPED, row["reason"], None, None, None))
    # No recipient has the key 0: to judge they are nobody's earlier attempt.
    drawn = [Drawn(0, row["number"], 0) for row in new if not row["reason"]]
    judgement = judge(connection, plan, account, drawn, ledger.now(connection))
    for reason, skipped in judgement.skipped.items():
        counts.skipped[reason] += len(skipped)
        for one in skipped:
            tell(ReportRow(one.number, State.SKIPPED, reason, None, None, None))
    for one in judgement.passed + judgement.waiting:
        tell(ReportRow(one.number, State.PENDING, None, None, None, None))
    earlier.look(judgement.passed + judgement.waiting)
    return len(judgement.passed) + len(judgement.waiting)


def _existing(
    connection: Connection,
    ledger: Ledger,
    plan: Plan,
    row: CampaignRow,
    counts: Counts,
    earlier: _Earlier,
) -> tuple[int, int]:
    """Count what the campaign has already; return how many of it would be sent and how many count to the budget."""
    before = Counts(plan.campaign_id, plan.tpl_id)
    lines = tallies.tally(connection, row.id, ledger.now(connection))
    before.add(lines)
    again = looked_at_again(row, plan)
    in_the_air = sum(number for state, _, _, number in lines if state == State.IN_FLIGHT)
    counts.rejected = before.rejected
    counts.unknown = before.unknown
    counts.skipped = Counter(
        {reason: n for reason, n in before.skipped.items() if reason not in {*again, *_LEFT_OVER}}
    )
    counts.skipped[SkipReason.DUPLICATE] += before.sent + in_the_air
    passed = 0
    for batches in (
        drawing.pending_batches(connection, row.id),
        drawing.skipped_batches(connection, row.id, [*again, *_LEFT_OVER]),
    ):
        for batch in batches:
            judgement = judge(connection, plan, row.account, batch, ledger.now(connection))
            passed += len(judgement.passed) + len(judgement.waiting)
            earlier.look(judgement.passed + judgement.waiting)
            for reason, rows in judgement.skipped.items():
                counts.skipped[reason] += len(rows)
    return passed, before.sent + before.unknown + in_the_air
