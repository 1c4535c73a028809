"""What can go wrong with a call to the gateway.

::

    CaixinError
    ├── GatewayError                the gateway answered a code other than 0 (by its document: not billed)
    │   ├── RecipientRejected       this message was refused: 236306, 236308, 236309, unlisted codes
    │   ├── ChannelBusy             not now: 236300, 236305
    │   ├── RateLimited             too many requests from this IP address: 10011
    │   ├── QuotaExceeded           the allowance is used up: 10012
    │   ├── Maintenance             closed for a while: 10020
    │   ├── OutcomeUnknownCode      10014; also an OutcomeUnknown
    │   └── AccountRefused          nothing can pass before someone acts: all other listed codes
    ├── OutcomeUnknown              the request went out, no answer says what became of it: may be billed
    ├── NotReached                  it never reached the gateway: refused, DNS, connect timeout, HTTP 429
    ├── WrongEndpoint               the connection is wrong: 3xx, 401, 403, 404, other 4xx, TLS
    └── NotPosted                   the caller's last look said no: nothing was written

No text here holds the AppKey, a full mobile number, a raw body, or a URL with its query.
"""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_caixin.errors import CaixinProviderError
from airflow_provider_caixin.juhe.codes import Code, Kind, describe

__all__ = [
    "AccountRefused",
    "CaixinError",
    "ChannelBusy",
    "GatewayError",
    "Maintenance",
    "NotPosted",
    "NotReached",
    "OutcomeUnknown",
    "OutcomeUnknownCode",
    "QuotaExceeded",
    "RateLimited",
    "RecipientRejected",
    "WrongEndpoint",
]


class CaixinError(CaixinProviderError):
    """Every error of the client is one of these."""


class OutcomeUnknown(CaixinError):
    """The request went out, and no answer says what became of it. The message may be billed."""


class NotReached(CaixinError):
    """The request never reached the gateway. Nothing was billed; later it may pass."""


class WrongEndpoint(CaixinError):
    """Whatever was reached is not the gateway, or cannot be trusted to be it: the connection is wrong."""


class NotPosted(CaixinError):
    """The caller's last look said no right before the first byte: nothing was written."""


class GatewayError(CaixinError):
    """The gateway answered with a code other than 0.

    :param code: its ``error_code``.
    :param reason: its ``reason``, printable, without AppKey and full numbers, at most 200 characters.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    @property
    def entry(self) -> Code:
        """What the table says about the code."""
        return describe(self.code)

    def __str__(self) -> str:
        entry = self.entry
        said = f"; the gateway's reason: {self.reason}" if self.reason not in ("", entry.zh) else ""
        return f"the gateway answered {self.code} {entry.zh} ({entry.en}){said}. {entry.cause} {entry.remedy}"

    @staticmethod
    def of(code: int, reason: str) -> GatewayError:
        """Return the error for a code other than 0, of its kind's class; the reason is fit to be shown."""
        return _BY_KIND[describe(code).kind](code, reason)


class RecipientRejected(GatewayError):
    """This message was refused (kinds RECIPIENT and REJECTED); others may pass."""


class ChannelBusy(GatewayError):
    """The channel cannot take it now; the same message may pass seconds later."""


class RateLimited(GatewayError):
    """Too many requests from this IP address."""


class QuotaExceeded(GatewayError):
    """The account's allowance is used up."""


class Maintenance(GatewayError):
    """The interface is closed for a while."""


class OutcomeUnknownCode(GatewayError, OutcomeUnknown):
    """The gateway failed half-way (10014): the message may be sent and billed."""


class AccountRefused(GatewayError):
    """No message can pass before someone has changed something; the entry's remedy says what."""


_BY_KIND: Mapping[Kind, type[GatewayError]] = {
    Kind.RECIPIENT: RecipientRejected,
    Kind.REJECTED: RecipientRejected,
    Kind.BUSY: ChannelBusy,
    Kind.RATE: RateLimited,
    Kind.QUOTA: QuotaExceeded,
    Kind.MAINTENANCE: Maintenance,
    Kind.UNKNOWN: OutcomeUnknownCode,
    Kind.FATAL: AccountRefused,
}
