"""What can be wrong with a ledger, or with what is asked of it; see also :mod:`.queue.revision`."""

from __future__ import annotations

from typing import Final

from airflow_provider_caixin.errors import CaixinProviderError


class LedgerError(CaixinProviderError):
    """Something about the ledger that somebody has to mend."""


class LedgerUnavailable(LedgerError):
    """The ledger did not take a transaction: locked for over 5 s, gone, or out of space. It may come back."""


class NoSuchCampaign(LedgerError):
    """The ledger has no campaign of that name."""


PURGED_MEANWHILE: Final = "The campaign's recipients were purged meanwhile; it sends nothing any more."


class CampaignPurged(LedgerError):
    """The campaign is over and its recipients were forgotten; it sends nothing any more."""


class CancelledForGood(LedgerError):
    """The campaign was cancelled: it sends nothing any more."""


class CampaignMismatch(LedgerError):
    """The campaign id belongs to a campaign with another template or account."""


class NoSuchAccount(LedgerError):
    """The ledger has no account of that name."""


class AccountExists(LedgerError):
    """An account of that name is there already."""


class KeyOfAnotherAccount(LedgerError):
    """The AppKey has sent under another account's name: one AppKey is one account."""


class OnlyKey(LedgerError):
    """The account has one AppKey, which cannot be taken from it."""


class CampaignsUnderWay(LedgerError):
    """A campaign of the account is not finished."""


class LoadGivenUp(LedgerError):
    """The load was told to stop before it was complete; it is handed back for the next attempt."""


class LoadLost(LedgerUnavailable):
    """Another process took this load over, because this one was silent for longer than its lease."""
