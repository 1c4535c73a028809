"""At the start of a run: those become pending again whom a rule had skipped and today's rules let pass."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_caixin.campaign.judge import LEDGER_REASONS, RULE_REASONS, judge
from airflow_provider_caixin.campaign.plan import Plan
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.queue import draw as drawing
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.rows import recipient as recipient_rows
from airflow_provider_caixin.ledger.rows.campaign import AS_RESTORED, CampaignRow
from airflow_provider_caixin.vocabulary import SkipReason, State


def reasons_to_reopen(row: CampaignRow, plan: Plan) -> tuple[SkipReason, ...]:
    """Return which skips a run under these rules looks at again, besides what a window or budget left over.

    A million blocked numbers are not read again as long as the same table judges them.
    """
    is_same = row.classified_by in (plan.classifier.fingerprint, AS_RESTORED)
    return LEDGER_REASONS if is_same else RULE_REASONS


def reopen_skipped(ledger: Ledger, plan: Plan, campaign_key: int) -> None:
    """Look again at who was skipped; whoever passes here is judged once more before the send.

    Invalid numbers, duplicates and what was cancelled or expired stay as they are.
    """
    with ledger.reading() as connection:
        row = CampaignRow.read(connection, campaign_key)
        if not row.counts[State.SKIPPED]:
            return
        reasons = reasons_to_reopen(row, plan)
        for batch in drawing.skipped_batches(connection, campaign_key, reasons):
            judgement = judge(connection, plan, row.account, batch, ledger.now(connection))
            _reopen(ledger, campaign_key, [one.id for one in judgement.passed + judgement.waiting], reasons)
    if reasons is RULE_REASONS:
        campaign_rows.set_classifier(ledger, campaign_key, plan.classifier.fingerprint)
    _reopen_left_over(ledger, campaign_key, SkipReason.WINDOW_CLOSED, None)
    _reopen_left_over(ledger, campaign_key, SkipReason.OVER_BUDGET, plan.max_messages)


def _reopen_left_over(ledger: Ledger, campaign_key: int, reason: SkipReason, budget: int | None) -> None:
    """Take up what a closing window or an old budget left over, no more than a budget has room for."""
    while True:
        with ledger.reading() as connection:
            counts = CampaignRow.read(connection, campaign_key).counts
            spoken_for = sum(
                counts[state] for state in (State.SENT, State.UNKNOWN, State.IN_FLIGHT, State.PENDING)
            )
            room = recipient_rows.BATCH_ROWS
            if budget is not None:
                room = min(room, max(0, budget - spoken_for))
            ids = [one.id for one in next(drawing.skipped_batches(connection, campaign_key, [reason]), [])][
                :room
            ]
        if _reopen(ledger, campaign_key, ids, [reason]) < recipient_rows.BATCH_ROWS:
            return


def _reopen(ledger: Ledger, campaign_key: int, ids: list[int], reasons: Sequence[SkipReason]) -> int:
    if not ids:
        return 0
    with ledger.writing() as connection:
        row = CampaignRow.lock(connection, campaign_key)
        row.refuse_if_purged()
        recipient_rows.expire_leases(connection, row, ledger.now(connection))
        reopened = drawing.reopen_skipped(connection, ids, reasons)
        row.move(State.SKIPPED, State.PENDING, reopened)
        row.save(connection)
    return reopened
