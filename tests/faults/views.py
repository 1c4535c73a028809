"""How many are unknown, by each way to ask a ledger."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable
from typing import Any

from airflow_provider_caixin.campaign.counts import Counts
from airflow_provider_caixin.campaign.report import write_report
from airflow_provider_caixin.china_time import DAY_SECONDS
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import retention
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.rows import tally as tallies
from airflow_provider_caixin.ledger.views import campaigns as campaign_views
from airflow_provider_caixin.ledger.views import reports
from airflow_provider_caixin.ledger.views import unknowns as unknown_views
from airflow_provider_caixin.ledger.views import usage as usage_views
from airflow_provider_caixin.vocabulary import State


def unknown_by_view(ledger: Ledger, campaign_id: str) -> dict[str, int]:
    """Ask a ledger with a single campaign.

    :param ledger: the ledger, with the clock that its senders have.
    :param campaign_id: the campaign.
    """
    with ledger.reading() as connection:
        now, key = ledger.now(connection), campaign_rows.known_campaign(connection, campaign_id)
        one = campaign_views.campaign(connection, key, now)
        assert one is not None
        counts, report = Counts(campaign_id, one.tpl_id), io.StringIO()
        counts.add(tallies.tally(connection, key, now))
        write_report(report, reports.read_report(connection, key, now))
        found = {
            "list of unknown outcomes": len(unknown_views.unknowns(connection, key, now, most=10_000)),
            "campaign": one.unknown,
            "campaigns with unknown outcomes": sum(
                each.unknown for each in campaign_views.campaigns(connection, now, with_unknown=True)
            ),
            "result": counts.as_result()["unknown"],
            "report": Counter(line.split(",")[1] for line in report.getvalue().splitlines())["unknown"],
            "chart": sum(point.unknown for point in usage_views.chart(connection, key, now)[1]),
            **{
                f"usage by {by}": _possibly(
                    usage_views.usage(connection, by, now - DAY_SECONDS, now + DAY_SECONDS, now)
                )
                for by in ("day", "template", "campaign", "dag")
            },
        }
    for candidate in retention.purgeable(ledger, now + DAY_SECONDS):
        found["purge"] = candidate.unknown
    return found


def in_flight(ledger: Ledger, campaign_id: str) -> int:
    """Count how many of a campaign's recipients were in flight when it was last written.

    :param ledger: the ledger.
    :param campaign_id: the campaign.
    """
    with ledger.reading() as connection:
        key = campaign_rows.known_campaign(connection, campaign_id)
        return campaign_rows.CampaignRow.read(connection, key).counts[State.IN_FLIGHT]


def _possibly(rows: Iterable[Any]) -> int:
    return sum(row.possibly for row in rows)
