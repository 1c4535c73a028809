"""What happened: the database of campaigns, of their recipients and of the shared rate.

``queue`` is the hot path of a run, ``views`` only reads, ``admin`` is what users change; none of the three
knows the others. What they share is ``rows``: one module for each kind of row. These names mean the same
everywhere:

``connection``
    A transaction of :meth:`Ledger.reading` or :meth:`Ledger.writing`. A function that changes rows needs one
    of the latter, and holds locks in one order: account, campaign, recipients by key. One that changes
    recipients is called under the lock of their campaign's row, whose counts the caller then saves.
``now``
    The ledger's clock, see :meth:`Ledger.now`. Every moment is in seconds since the epoch.
``campaign_key``, ``account_key``, ``ids``
    Keys of rows. ``campaign_id`` and an account's ``name`` are what users call them.
``number``
    The 11 digits of a recipient, normalised; of an audience row that is no number its text.
``dag_ids``, ``without_dag``
    Only campaigns of these Dags; None: of all. With ``dag_ids``: also those of the command line.
``most``
    How many at the most.
"""

from __future__ import annotations

from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.errors import CampaignMismatch, LedgerError, LedgerUnavailable

__all__ = ["CampaignMismatch", "Ledger", "LedgerError", "LedgerUnavailable"]
