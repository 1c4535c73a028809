"""How a run of a campaign can end otherwise than with everything settled.

::

    CampaignError
      OutsideWindow        the window is closed; the rest waits for ``opens_at``
        QuotaUsedUp        10012: the account's requests of the day are used up
        DayVolumeUsedUp    ``max_per_day`` messages of the account have left today
      CampaignPaused       someone paused the campaign or the account
      CampaignCancelled    someone cancelled the campaign; the rest is skipped
      CampaignStopped      this process was told to stop; to be run again
        StoppedInSilence     and the ledger does not answer
      LedgerSilent         the ledger neither answers nor fails; to be run again
      CampaignInterrupted  gateway, channel or ledger do not work; to be run again
        ClocksApart          the host's clock and the ledger's are too far apart
      CampaignFatal        running again helps nothing before someone acted
        FailureRatioReached  settled, but too much of it failed
        AudienceChanged      a source gives other recipients than before; someone says which are meant

Whatever was not settled is still ``pending`` in the ledger, except where it says otherwise.
"""

from __future__ import annotations

from datetime import datetime

from airflow_provider_caixin.errors import CaixinProviderError


class CampaignError(CaixinProviderError):
    """A run ended before everything was settled."""


class OutsideWindow(CampaignError):
    """The window is closed.

    :param opens_at: when to go on, with a zone.
    """

    def __init__(self, message: str, opens_at: datetime) -> None:
        super().__init__(message)
        self.opens_at = opens_at


class QuotaUsedUp(OutsideWindow):
    """The gateway answered 10012: the account's requests of the day are used up."""


class DayVolumeUsedUp(OutsideWindow):
    """The account's ``max_per_day`` is reached."""


class CampaignPaused(CampaignError):
    """The campaign or its account is paused."""


class CampaignCancelled(CampaignError):
    """The campaign was cancelled; what was left is ``skipped: cancelled``."""


class CampaignStopped(CampaignError):
    """The process was told to stop."""


class StoppedInSilence(CampaignStopped):
    """The process was told to stop while the ledger did not answer: not even counts can be read."""


class CampaignInterrupted(CampaignError):
    """Gateway, channel or ledger do not work at the moment."""


class LedgerSilent(CampaignError):
    """A transaction has not ended for longer than a lease: the ledger's host is suspended or cut off.

    Nothing more can be read from it, not even the counts.
    """


class ClocksApart(CampaignInterrupted):
    """The host's clock and the ledger's are more than 30 s apart: one may have the wrong day or hour."""


class CampaignFatal(CampaignError):
    """Running again helps nothing before someone acted."""


class FailureRatioReached(CampaignFatal):
    """Everything is settled, but too much of it failed."""


class AudienceChanged(CampaignFatal):
    """A source that was loaded before gives other recipients now: nobody was added and nothing was sent."""
