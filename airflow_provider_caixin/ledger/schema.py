"""The ledger's tables.

Moments are seconds since the epoch (UTC) as doubles, because slots are fractions of a millisecond apart and
the three databases store such fractions of a timestamp in three ways. Whatever a user names (campaign ids,
accounts, sources) may be of any length and is found by its SHA-256, which every database compares
case-sensitively and can index.

Some columns have older words than the code: ``doubt_at``, and the index of a recipient's history.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import sqlalchemy as sa

from airflow_provider_caixin.vocabulary import RAW_TEXT_LENGTH, State

SCHEMA_VERSION: Final = 5
REASON_LENGTH: Final = 200
# As long as Airflow lets names of Dags, runs and tasks be.
NAME_LENGTH: Final = 250
# No delay and no lease is longer; a moment further ahead was written before the clock went back.
FAR_AHEAD_SECONDS: Final = 600.0

metadata = sa.MetaData()

# SQLite gives rowids to INTEGER keys only.
_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
# Transactions, every character, and names that differ in case, whatever the server's defaults are.
_MYSQL: Final[dict[str, Any]] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


def _moment(name: str, *, nullable: bool = True) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=nullable)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, default=0)


meta = sa.Table(
    "caixin_meta",
    metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.String(100), nullable=False),
    **_MYSQL,
)

account = sa.Table(
    "caixin_account",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("next_slot", sa.Double, nullable=False, default=0.0),
    # How many seconds ahead of its clock the last run that took slots was ready to take them.
    sa.Column("reach", sa.Double),
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
    # What someone set while campaigns run; it holds instead of the connections' own.
    sa.Column("max_per_day", sa.BigInteger),
    # The key of an account that was merged into another is given to no other one; older files may do so.
    sqlite_autoincrement=True,
    **_MYSQL,
)

# Whose an AppKey is: one key is one account.
app_key = sa.Table(
    "caixin_account_key",
    metadata,
    # Its fingerprint, from which nobody gets the key.
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("account", _Id, sa.ForeignKey("caixin_account.id"), nullable=False),
    **_MYSQL,
)

# The account that a connection last sent by: with a new AppKey it goes on.
account_connection = sa.Table(
    "caixin_account_connection",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("conn_id", sa.Text, nullable=False),
    sa.Column("account", _Id, sa.ForeignKey("caixin_account.id"), nullable=False),
    **_MYSQL,
)

campaign = sa.Table(
    "caixin_campaign",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    sa.Column("campaign_id", sa.Text, nullable=False),
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
    # The last tick of any process that sends for it, by the ledger's clock.
    _moment("active_at"),
    # Whose it is: the task that ran it last; the command line has none.
    sa.Column("dag_id", sa.String(NAME_LENGTH)),
    sa.Column("run_id", sa.String(NAME_LENGTH)),
    sa.Column("task_id", sa.String(NAME_LENGTH)),
    sa.Column("map_index", sa.Integer),
    # What the last run was set to, to be shown: messages a second, and a sentence for each rule that it
    # loosened.
    sa.Column("rate", sa.Double),
    sa.Column("loosened", sa.Text),
    # When its recipients were forgotten; their counts are in the tally then.
    _moment("purged_at"),
    # When the tally was made; whoever writes the campaign's counts empties it.
    _moment("tallied"),
    sa.Index("caixin_campaign_account", "account", "tpl_id"),
    **_MYSQL,
)

load = sa.Table(
    "caixin_load",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("campaign", _Id, sa.ForeignKey("caixin_campaign.id"), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False, default=False),
    sa.Column("owner", sa.String(32)),
    _moment("lease", nullable=False),
    sa.UniqueConstraint("campaign", "hash", name="caixin_load_source"),
    **_MYSQL,
)

recipient = sa.Table(
    "caixin_recipient",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    # First in the unique key, so that the same index finds a number in all campaigns.
    sa.Column("number", sa.String(RAW_TEXT_LENGTH), nullable=False),
    sa.Column("campaign", _Id, sa.ForeignKey("caixin_campaign.id"), nullable=False),
    sa.Column("occurrence", sa.Integer, nullable=False),
    # The load's id in the upper half and the row's place in the audience in the lower one.
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(9), nullable=False),
    # pending: not before; in_flight: the end of the lease; otherwise 0.
    sa.Column("due", sa.Double, nullable=False, server_default=sa.text("0")),
    # skipped: the skip reason; otherwise the gateway's own text.
    sa.Column("reason", sa.String(REASON_LENGTH)),
    sa.Column("code", sa.Integer),
    sa.Column("sid", sa.String(255)),
    # The slot of the last request, also of one without an answer.
    _moment("sent_at"),
    sa.Column("claim", sa.String(48)),
    sa.Column("busy", sa.SmallInteger, nullable=False, server_default=sa.text("0")),
    # When the earlier request left, where that one's outcome is unknown and it was sent once more.
    _moment("doubt_at"),
    sa.UniqueConstraint("number", "campaign", "occurrence", name="caixin_recipient_key"),
    sa.Index("caixin_recipient_claim", "campaign", "state", "due", "position"),
    **_MYSQL,
)

# A recipient's latest messages, for the frequency cap. Who was never sent anything is left out where a
# database can do so.
recipient_history = sa.Index(
    "caixin_recipient_person",
    recipient.c.number,
    recipient.c.sent_at,
    postgresql_where=recipient.c.sent_at.is_not(None),
    sqlite_where=recipient.c.sent_at.is_not(None),
)

# Requests by the minute in which they left and by their outcome: a chart or a month's bill reads no
# recipients.
traffic = sa.Table(
    "caixin_traffic",
    metadata,
    sa.Column("campaign", _Id, sa.ForeignKey("caixin_campaign.id"), primary_key=True, autoincrement=False),
    # Minutes since the epoch.
    sa.Column("minute", sa.BigInteger, primary_key=True, autoincrement=False),
    *(_count(state.value) for state in (State.SENT, State.REJECTED, State.UNKNOWN)),
    sa.Index("caixin_traffic_minute", "minute"),
    **_MYSQL,
)

# The last count of a campaign that rests, or whose recipients were purged.
tally = sa.Table(
    "caixin_tally",
    metadata,
    sa.Column("campaign", _Id, sa.ForeignKey("caixin_campaign.id"), primary_key=True, autoincrement=False),
    sa.Column("state", sa.String(9), primary_key=True),
    # skipped: the skip reason; rejected: the code; otherwise empty.
    sa.Column("detail", sa.String(40), primary_key=True),
    _count("number"),
    **_MYSQL,
)

suppression = sa.Table(
    "caixin_suppression",
    metadata,
    sa.Column("number", sa.String(11), primary_key=True),
    sa.Column("reason", sa.String(REASON_LENGTH)),
    _moment("added_at", nullable=False),
    **_MYSQL,
)


def digest(text: str) -> str:
    """Return the digest by which a name of any length is found."""
    return hashlib.sha256(text.encode()).hexdigest()
