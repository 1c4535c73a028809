"""A dry run: every rule, no send, nothing written."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, Final, NamedTuple

from sqlalchemy.engine import Connection

from airflow_provider_caixin.audience import Audience, require_numbers
from airflow_provider_caixin.campaign.counts import Counts
from airflow_provider_caixin.campaign.judge import Judgement, judge
from airflow_provider_caixin.campaign.plan import Plan
from airflow_provider_caixin.campaign.reopen import reasons_to_reopen
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.queue import draw as drawing
from airflow_provider_caixin.ledger.queue import history
from airflow_provider_caixin.ledger.queue.draw import Recipient
from airflow_provider_caixin.ledger.queue.sorting import sorted_audience
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.rows import tally as tallies
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.views.reports import ReportRow
from airflow_provider_caixin.machine import Machine
from airflow_provider_caixin.vocabulary import SkipReason, State

_BATCH_ROWS: Final = 1_000
_LEFT_OVER: Final = (SkipReason.OVER_BUDGET, SkipReason.WINDOW_CLOSED)


def dry_run(
    plan: Plan,
    ledger: Ledger,
    audience: Audience,
    on_row: Callable[[ReportRow], None] = lambda _: None,
) -> Counts:
    """Count what a run would do now, from the ledger as it stands and an audience.

    What the campaign already sent, or is just sending, would not be sent again and counts as ``duplicate``.

    :param on_row: called with each row of the audience that the campaign does not have yet.
    :raises CampaignMismatch: when the id belongs to a campaign with another template or account.
    :raises KeyOfAnotherAccount: when the AppKey has sent under another account's name.
    :raises AudienceError: the audience cannot be read, or has rows and not one of them is a number.
    """
    counts = Counts(plan.campaign_id, plan.tpl_id)
    over: SkipReason | None = None
    begun_at = ledger.machine.clock()
    with ledger.reading() as connection:
        account = account_names.resolve_account(connection, plan.account, plan.known_app_key)
        campaign_key = campaign_rows.peek_campaign(connection, plan.campaign_id, account, plan.tpl_id)
        earlier = _Earlier(ledger.machine, connection, campaign_key, account, plan.tpl_id)
        view = _View(connection, ledger, plan, campaign_key, account, counts, earlier)
        passed, spent = 0, 0
        if campaign_key is not None:
            row = CampaignRow.read(connection, campaign_key)
            begun_at = row.loaded_at or row.created_at
            over = SkipReason.CANCELLED if row.cancelled else None
            passed, spent = _existing(view, row)
        expires = plan.expiry(begun_at)
        if over is None and expires is not None and ledger.machine.clock() >= expires:
            over = SkipReason.EXPIRED
        judged = require_numbers(plan.classifier.classify(audience), audience)
        with closing(sorted_audience(judged)) as rows:
            while batch := list(itertools.islice(rows, _BATCH_ROWS)):
                passed += _new(view, batch, on_row)
        counts.had_template = earlier.had, earlier.looked_at
    room = passed if plan.max_messages is None else max(0, plan.max_messages - spent)
    if over is not None:
        room = 0
    counts.would_send = min(passed, room)
    if passed > room:
        counts.skipped[over or SkipReason.OVER_BUDGET] += passed - room
    return counts


class _Earlier:
    """Counts who already had the template in another campaign, or may have; gives up after a few seconds.

    :param campaign_key: None where the campaign is not in the ledger yet.
    :param account: its key, None where the account is not in the ledger yet.
    """

    def __init__(
        self,
        machine: Machine,
        connection: Connection,
        campaign_key: int | None,
        account: int | None,
        tpl_id: int,
    ) -> None:
        self.had = self.looked_at = 0
        self._machine = machine
        self._connection = connection
        self._seconds_left = history.LOOK_SECONDS
        self._campaigns: list[int] = []
        if account is not None:
            self._campaigns = history.campaigns_with_template(connection, campaign_key, account, tpl_id)

    def look(self, recipients: Sequence[Recipient]) -> None:
        """Look at recipients who would get the message."""
        if self._seconds_left <= 0:
            return
        self.looked_at += len(recipients)
        if not recipients or not self._campaigns:
            return
        began = self._machine.monotonic()
        for start in range(0, len(recipients), _BATCH_ROWS):
            numbers = [one.number for one in recipients[start : start + _BATCH_ROWS]]
            self.had += len(history.who_got_it(self._connection, self._campaigns, numbers))
        self._seconds_left -= self._machine.monotonic() - began


class _View(NamedTuple):
    """What a dry run looks at, and where it counts."""

    connection: Connection
    ledger: Ledger
    plan: Plan
    campaign_key: int | None
    account: int | None
    counts: Counts
    earlier: _Earlier

    def judge(self, drawn: Sequence[Recipient]) -> Judgement:
        """Judge recipients, and count those who are skipped."""
        judged = judge(self.connection, self.plan, self.account, drawn, self.ledger.now(self.connection))
        for reason, skipped in judged.skipped.items():
            self.counts.skipped[reason] += len(skipped)
        self.earlier.look(judged.passed + judged.waiting)
        return judged


def _new(view: _View, batch: list[dict[str, Any]], on_row: Callable[[ReportRow], None]) -> int:
    """Count the rows that the campaign does not have yet; return how many would be sent."""
    known: set[tuple[str, int]] = set()
    if view.campaign_key is not None:
        numbers = [row["number"] for row in batch]
        known = drawing.known_keys(view.connection, view.campaign_key, numbers)
    new = [row for row in batch if (row["number"], row["occurrence"]) not in known]
    for row in new:
        if row["reason"]:
            view.counts.skipped[row["reason"]] += 1
            on_row(ReportRow(row["number"], State.SKIPPED, row["reason"], None, None, None))
    # No recipient has the key 0: to judge they are nobody's earlier attempt.
    judged = view.judge([Recipient(0, row["number"], 0) for row in new if not row["reason"]])
    for reason, skipped in judged.skipped.items():
        for one in skipped:
            on_row(ReportRow(one.number, State.SKIPPED, reason, None, None, None))
    would_send = judged.passed + judged.waiting
    for one in would_send:
        on_row(ReportRow(one.number, State.PENDING, None, None, None, None))
    return len(would_send)


def _existing(view: _View, row: CampaignRow) -> tuple[int, int]:
    """Count what the campaign has; return how many of it would be sent and how many the budget counts."""
    connection, ledger, plan, counts = view.connection, view.ledger, view.plan, view.counts
    before = Counts(plan.campaign_id, plan.tpl_id)
    lines = tallies.tally(connection, row.id, ledger.now(connection))
    before.add(lines)
    again = (*reasons_to_reopen(row, plan), *_LEFT_OVER)
    in_the_air = sum(number for state, _, _, number in lines if state == State.IN_FLIGHT)
    counts.rejected, counts.unknown = before.rejected, before.unknown
    counts.skipped = Counter({reason: n for reason, n in before.skipped.items() if reason not in again})
    counts.skipped[SkipReason.DUPLICATE] += before.sent + in_the_air
    passed = 0
    for batch in itertools.chain(
        drawing.pending_batches(connection, row.id), drawing.skipped_batches(connection, row.id, again)
    ):
        judged = view.judge(batch)
        passed += len(judged.passed) + len(judged.waiting)
    return passed, before.sent + before.unknown + in_the_air
