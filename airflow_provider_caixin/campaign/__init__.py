"""The loop: audience, rules, gate, gateway, ledger."""

from __future__ import annotations

from airflow_provider_caixin.campaign.campaign import Campaign
from airflow_provider_caixin.campaign.counts import Counts, Progress
from airflow_provider_caixin.campaign.dry_run import dry_run
from airflow_provider_caixin.campaign.exceptions import (
    CampaignCancelled,
    CampaignError,
    CampaignFatal,
    CampaignInterrupted,
    CampaignPaused,
    CampaignStopped,
    DayVolumeUsedUp,
    FailureRatioReached,
    OutsideWindow,
    QuotaUsedUp,
)
from airflow_provider_caixin.campaign.plan import Plan
from airflow_provider_caixin.campaign.report import write_report

__all__ = [
    "Campaign",
    "CampaignCancelled",
    "CampaignError",
    "CampaignFatal",
    "CampaignInterrupted",
    "CampaignPaused",
    "CampaignStopped",
    "Counts",
    "DayVolumeUsedUp",
    "FailureRatioReached",
    "OutsideWindow",
    "Plan",
    "Progress",
    "QuotaUsedUp",
    "dry_run",
    "write_report",
]
