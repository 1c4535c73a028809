"""Who becomes pending again at the start of a run."""

from __future__ import annotations

from airflow_provider_caixin.audience import Classifier
from airflow_provider_caixin.campaign.judge import LEDGER_REASONS, RULE_REASONS
from airflow_provider_caixin.campaign.reopen import reasons_to_reopen, reopen_skipped
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import suppressions
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.vocabulary import SkipReason, State
from tests.unit.campaign.conftest import NUMBERS, Make

BLOCKED = Classifier(blocked_regions=["北京"])


def test_rules_that_have_not_changed_are_not_asked_again(make: Make, sqlite_ledger: Ledger) -> None:
    """Only what has happened since is looked at: suppression and cap."""
    campaign = make(NUMBERS[:1])
    with sqlite_ledger.reading() as connection:
        row = CampaignRow.read(connection, campaign._key)
    assert reasons_to_reopen(row, campaign.plan) == LEDGER_REASONS
    assert reasons_to_reopen(row, make(classifier=BLOCKED).plan) == RULE_REASONS


def test_whom_todays_rules_let_pass_is_pending_again(make: Make, sqlite_ledger: Ledger) -> None:
    """Whoever they still hold back, and who was cancelled or is no number, stays skipped."""
    suppressions.suppress(sqlite_ledger, NUMBERS[:2], "退订")
    campaign = make(["13910000001", *NUMBERS[:3], "x"], classifier=BLOCKED)
    campaign.send()
    assert campaign.counts().skipped == {"blocked_region": 1, "suppressed": 2, "invalid_number": 1}
    suppressions.release(sqlite_ledger, NUMBERS[:1])
    free = make().plan
    reopen_skipped(sqlite_ledger, free, campaign._key)
    counts = campaign.counts()
    assert (counts.pending, counts.skipped) == (2, {"suppressed": 1, "invalid_number": 1})
    with sqlite_ledger.reading() as connection:
        assert reasons_to_reopen(CampaignRow.read(connection, campaign._key), free) == LEDGER_REASONS
    campaign.skip_rest(SkipReason.CANCELLED)
    reopen_skipped(sqlite_ledger, free, campaign._key)
    assert campaign.counts().skipped["cancelled"] == 2


def test_a_budget_reopens_no_more_than_it_has_room_for(make: Make, sqlite_ledger: Ledger) -> None:
    """What a window left over comes back as a whole."""
    campaign = make(NUMBERS[:5])
    campaign.skip_rest(SkipReason.OVER_BUDGET)
    reopen_skipped(sqlite_ledger, make(max_messages=2).plan, campaign._key)
    assert campaign.counts().pending == 2
    reopen_skipped(sqlite_ledger, make(max_messages=2).plan, campaign._key)
    assert campaign.counts().pending == 2
    campaign.skip_rest(SkipReason.WINDOW_CLOSED)
    reopen_skipped(sqlite_ledger, make(max_messages=0).plan, campaign._key)
    assert (campaign.counts().pending, campaign.outcomes[State.SKIPPED, "window_closed"]) == (2, 2)
