"""The loop: audience, rules, pacer, gateway, ledger."""

from __future__ import annotations

from airflow_provider_caixin.campaign.before_load import is_new, loaded, refuse_expired
from airflow_provider_caixin.campaign.campaign import Campaign
from airflow_provider_caixin.campaign.counts import Counts, Outcome
from airflow_provider_caixin.campaign.dry_run import dry_run
from airflow_provider_caixin.campaign.errors import (
    AudienceChanged,
    CampaignCancelled,
    CampaignError,
    CampaignFatal,
    CampaignInterrupted,
    CampaignPaused,
    CampaignStopped,
    ClocksApart,
    DayVolumeUsedUp,
    FailureRatioReached,
    LedgerSilent,
    OutsideWindow,
    QuotaUsedUp,
    StoppedInSilence,
)
from airflow_provider_caixin.campaign.plan import Plan
from airflow_provider_caixin.campaign.progress import Progress
from airflow_provider_caixin.campaign.suppression_list import (
    DamagedRows,
    check_suppressions,
    import_suppressions,
    numbers_of,
)

__all__ = [
    "AudienceChanged",
    "Campaign",
    "CampaignCancelled",
    "CampaignError",
    "CampaignFatal",
    "CampaignInterrupted",
    "CampaignPaused",
    "CampaignStopped",
    "ClocksApart",
    "Counts",
    "DamagedRows",
    "DayVolumeUsedUp",
    "FailureRatioReached",
    "LedgerSilent",
    "Outcome",
    "OutsideWindow",
    "Plan",
    "Progress",
    "QuotaUsedUp",
    "StoppedInSilence",
    "check_suppressions",
    "dry_run",
    "import_suppressions",
    "is_new",
    "loaded",
    "numbers_of",
    "refuse_expired",
]
