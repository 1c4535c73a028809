"""The root of this provider's errors.

::

    CaixinProviderError
    ├── CaixinError      a call to the gateway; its kinds are drawn in juhe.errors
    ├── AudienceError    an audience, or number data (audience.errors); also a ValueError
    ├── LedgerError      the ledger, or what is asked of it (ledger.errors)
    ├── CampaignError    how a run of a campaign ends; its kinds are drawn in campaign.errors
    └── TemplateUnavailable  the template may not be sent now (session.template)

``except CaixinError`` catches the gateway's errors alone. An argument that cannot be right is a plain
``ValueError``, as everywhere in Python.
"""

from __future__ import annotations


class CaixinProviderError(Exception):
    """Every error of this provider that is no plain ValueError is one of these."""
