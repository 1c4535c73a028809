"""A dry run's rows and counts.

That they are those of the run that follows is in tests/integration/test_campaign_dry_run.py.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from itertools import chain, repeat

from airflow_provider_caixin.audience import audience_from
from airflow_provider_caixin.campaign import dry_run
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import suppressions
from airflow_provider_caixin.ledger.views.reports import ReportRow
from airflow_provider_caixin.machine import Machine
from tests.unit.campaign.conftest import NOW, NUMBERS, Make, plan


def test_each_row_that_is_new_is_told(make: Make, sqlite_ledger: Ledger) -> None:
    """With its reason; those that the campaign has already are only counted."""
    make(NUMBERS[:1]).send()
    suppressions.suppress(sqlite_ledger, NUMBERS[1:2], "退订")
    rows: list[ReportRow] = []
    counts = dry_run(plan(), sqlite_ledger, audience_from([*NUMBERS[:3], "x"]), rows.append)
    assert {one.mobile: (one.state, one.reason) for one in rows} == {
        NUMBERS[1]: ("skipped", "suppressed"),
        NUMBERS[2]: ("pending", None),
        "x": ("skipped", "invalid_number"),
    }
    assert (counts.would_send, counts.sent) == (1, 0)
    assert counts.skipped == {"duplicate": 1, "suppressed": 1, "invalid_number": 1}


def test_who_had_the_template_in_another_campaign(make: Make, sqlite_ledger: Ledger) -> None:
    """Among those who would get it; a budget changes nothing about that."""
    make(NUMBERS[:2], campaign_id="earlier").send()
    counts = dry_run(plan(max_messages=1), sqlite_ledger, audience_from(NUMBERS[1:5]))
    assert counts.had_template == (1, 4)
    assert (counts.would_send, counts.skipped) == (1, {"over_budget": 3})


def test_a_campaign_that_is_not_in_the_ledger_expires_from_now_on(sqlite_ledger: Ledger) -> None:
    """Its first load would be now."""
    soon = plan(expires_at=timedelta(seconds=10))
    moments = chain([NOW], repeat(NOW + 11))
    sqlite_ledger.machine = Machine(partial(next, moments))
    counts = dry_run(soon, sqlite_ledger, audience_from(NUMBERS))
    assert counts.skipped == {"expired": len(NUMBERS)}
