"""How many are unknown, by each way to ask a ledger."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable
from typing import Any

from airflow_provider_caixin.campaign.counts import Counts
from airflow_provider_caixin.campaign.report import write_report
from airflow_provider_caixin.ledger import (
    Ledger,
    State,
    campaigns,
    catalogue,
    doubts,
    messages,
    tallies,
    traffic,
    upkeep,
)
from airflow_provider_caixin.rules.window import DAY


def unknown_by_view(ledger: Ledger, campaign_id: str) -> dict[str, int]:
    """
    Ask a ledger with a single campaign.

    :param ledger: the ledger, with the clock that its senders have.
    :param campaign_id: the campaign.
    """
    with ledger.reading() as connection:
        now, key = ledger.now(connection), campaigns.known_campaign(connection, campaign_id)
        one = catalogue.campaign(connection, key, now)
        assert one is not None
        counts, report = Counts(campaign_id, one.tpl_id), io.StringIO()
        counts.add(tallies.tally(connection, key, now))
        write_report(report, messages.report(connection, key, now))
        found = {
            "list of doubts": len(doubts.doubts(connection, key, now, most=10_000)),
            "campaign": one.unknown,
            "campaigns in doubt": sum(
                each.unknown for each in catalogue.campaigns(connection, now, in_doubt=True)
            ),
            "result": counts.as_result()["unknown"],
            "report": Counter(line.split(",")[1] for line in report.getvalue().splitlines())["unknown"],
            "chart": sum(point.unknown for point in traffic.chart(connection, key, now)[1]),
            **{
                f"usage by {by}": _possibly(traffic.usage(connection, by, now - DAY, now + DAY, now))
                for by in ("day", "template", "campaign", "dag")
            },
        }
    for candidate in upkeep.purgeable(ledger, now + DAY):
        found["purge"] = candidate.unknown
    return found


def in_flight(ledger: Ledger, campaign_id: str) -> int:
    """
    Say how many of a campaign's recipients were in flight when it was last written.

    :param ledger: the ledger.
    :param campaign_id: the campaign.
    """
    with ledger.reading() as connection:
        key = campaigns.known_campaign(connection, campaign_id)
        return campaigns.CampaignRow.read(connection, key).counts[State.IN_FLIGHT]


def _possibly(rows: Iterable[Any]) -> int:
    return sum(row.possibly for row in rows)
