"""
The ledger's tables.

Moments are seconds since the epoch (UTC) as doubles, because the gate reckons slots in fractions of a
millisecond and the three databases store such fractions of a timestamp in three ways. Whatever a user names
(campaign ids, accounts, sources) may be of any length and is found by its SHA-256, which every database
compares case-sensitively and can index.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

SCHEMA_VERSION: Final = 1
RAW_TEXT_LENGTH: Final = 64
REASON_LENGTH: Final = 200


class State(StrEnum):
    """What became of a recipient. A recipient is in exactly one of these states."""

    PENDING = "pending"
    IN_FLIGHT = "in_flight"
    SENT = "sent"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


class Skip(StrEnum):
    """Why a recipient gets no message."""

    INVALID_NUMBER = "invalid_number"
    DUPLICATE = "duplicate"
    NOT_CHINA_MOBILE = "not_china_mobile"
    VIRTUAL_OPERATOR = "virtual_operator"
    BLOCKED_REGION = "blocked_region"
    SUPPRESSED = "suppressed"
    FREQUENCY_CAP = "frequency_cap"
    OVER_BUDGET = "over_budget"
    EXPIRED = "expired"
    WINDOW_CLOSED = "window_closed"
    CANCELLED = "cancelled"


metadata = sa.MetaData()

# SQLite gives rowids to INTEGER keys only; MySQL's default collations ignore case and its TEXT has no UTC issue.
_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_Name = sa.Text().with_variant(mysql.TEXT(collation="utf8mb4_bin"), "mysql", "mariadb")


def _text(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(mysql.VARCHAR(length, collation="utf8mb4_bin"), "mysql", "mariadb")


def _moment(name: str, *, nullable: bool = True) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=nullable)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, default=0)


meta = sa.Table(
    "caixin_meta",
    metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.String(100), nullable=False),
)

account = sa.Table(
    "caixin_account",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    sa.Column("name", _Name, nullable=False),
    sa.Column("next_slot", sa.Double, nullable=False, default=0.0),
    # The share of the configured rate that is in force: 1 unless the gateway said 10011.
    sa.Column("pace", sa.Double, nullable=False, default=1.0),
    _moment("paced_at"),
    _moment("slowest_since"),
    sa.Column("failures", sa.Integer, nullable=False, default=0),
    _moment("last_sent_at"),
    # Start of the China day that `day_count` counts: sent, unknown and in flight.
    sa.Column("day", sa.Double, nullable=False, default=0.0),
    _count("day_count"),
    sa.Column("paused", sa.Boolean, nullable=False, default=False),
)

campaign = sa.Table(
    "caixin_campaign",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    sa.Column("campaign_id", _Name, nullable=False),
    sa.Column("account", _Id, sa.ForeignKey("caixin_account.id"), nullable=False),
    sa.Column("tpl_id", sa.BigInteger, nullable=False),
    _moment("created_at", nullable=False),
    _moment("loaded_at"),
    *(_count(state.value) for state in State),
    sa.Column("paused", sa.Boolean, nullable=False, default=False),
    sa.Column("cancelled", sa.Boolean, nullable=False, default=False),
    # When the gateway last answered that the quota is used up (10012), until it takes a message again.
    _moment("quota_since"),
    # The classifier's fingerprint at the last run: who was skipped is looked at again when it changes.
    sa.Column("classified_by", sa.String(64)),
    sa.Index("caixin_campaign_account", "account", "tpl_id"),
)

load = sa.Table(
    "caixin_load",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("campaign", _Id, sa.ForeignKey("caixin_campaign.id"), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("source", _Name, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False, default=False),
    sa.Column("owner", sa.String(32)),
    _moment("lease", nullable=False),
    sa.UniqueConstraint("campaign", "hash", name="caixin_load_source"),
)

recipient = sa.Table(
    "caixin_recipient",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    # First in the unique key, so that the same index finds a person's messages in all campaigns.
    sa.Column("number", _text(RAW_TEXT_LENGTH), nullable=False),
    sa.Column("campaign", _Id, sa.ForeignKey("caixin_campaign.id"), nullable=False),
    sa.Column("occurrence", sa.Integer, nullable=False),
    # The load's id in the upper half and the row's place in the audience in the lower one.
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(9), nullable=False),
    # pending: not before; in_flight: the end of the lease; otherwise 0.
    sa.Column("due", sa.Double, nullable=False, server_default=sa.text("0")),
    # skipped: the skip reason; otherwise the gateway's own text.
    sa.Column("reason", _text(REASON_LENGTH)),
    sa.Column("code", sa.Integer),
    sa.Column("sid", sa.String(255)),
    # The slot of the last request, also of one without an answer.
    _moment("sent_at"),
    sa.Column("claim", sa.String(48)),
    sa.Column("busy", sa.SmallInteger, nullable=False, server_default=sa.text("0")),
    # When the earlier request left of one that is in doubt and was sent once more.
    _moment("doubt_at"),
    sa.UniqueConstraint("number", "campaign", "occurrence", name="caixin_recipient_key"),
    sa.Index("caixin_recipient_claim", "campaign", "state", "due", "position"),
)

suppression = sa.Table(
    "caixin_suppression",
    metadata,
    sa.Column("number", sa.String(11), primary_key=True),
    sa.Column("reason", _text(REASON_LENGTH)),
    _moment("added_at", nullable=False),
)


def digest(text: str) -> str:
    """
    Give the key under which a name of any length is found.

    :param text: a campaign id, an account or a source.
    """
    return hashlib.sha256(text.encode()).hexdigest()
