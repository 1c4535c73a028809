"""The gateway's API and nothing else: client, code table, exceptions, template."""

from __future__ import annotations

from airflow_provider_caixin.juhe.client import JuheClient
from airflow_provider_caixin.juhe.codes import CODES, Code, Kind, describe
from airflow_provider_caixin.juhe.errors import (
    AccountRefused,
    CaixinError,
    ChannelBusy,
    GatewayError,
    Maintenance,
    NotPosted,
    NotReached,
    OutcomeUnknown,
    OutcomeUnknownCode,
    QuotaExceeded,
    RateLimited,
    RecipientRejected,
    WrongEndpoint,
)
from airflow_provider_caixin.juhe.template import Template

__all__ = [
    "CODES",
    "AccountRefused",
    "CaixinError",
    "ChannelBusy",
    "Code",
    "GatewayError",
    "JuheClient",
    "Kind",
    "Maintenance",
    "NotPosted",
    "NotReached",
    "OutcomeUnknown",
    "OutcomeUnknownCode",
    "QuotaExceeded",
    "RateLimited",
    "RecipientRejected",
    "Template",
    "WrongEndpoint",
    "describe",
]
