"""What happened: the database of campaigns, of their recipients and of the shared rate."""

from __future__ import annotations

from airflow_provider_caixin.ledger.campaigns import CampaignMismatch
from airflow_provider_caixin.ledger.database import Ledger, LedgerError, LedgerUnavailable
from airflow_provider_caixin.ledger.schema import Skip, State

__all__ = ["CampaignMismatch", "Ledger", "LedgerError", "LedgerUnavailable", "Skip", "State"]
