"""What happened: the database of campaigns, of their recipients and of the shared rate."""

from __future__ import annotations

from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.errors import CampaignMismatch, LedgerError, LedgerUnavailable

__all__ = ["CampaignMismatch", "Ledger", "LedgerError", "LedgerUnavailable"]
