"""A ledger that came back from a backup."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from airflow_provider_caixin.china_time import DAY_SECONDS
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.rows import traffic as traffic_rows
from airflow_provider_caixin.ledger.rows.account import AccountRow
from airflow_provider_caixin.ledger.rows.campaign import AS_RESTORED, CampaignRow
from airflow_provider_caixin.ledger.rows.load import count_states, is_unfinished
from airflow_provider_caixin.ledger.schema import campaign as _campaign
from airflow_provider_caixin.ledger.schema import recipient as _recipient
from airflow_provider_caixin.vocabulary import SkipReason, State

_BATCH_ROWS: Final = 5_000

RESTORED: Final = "the ledger came back from a backup: what was sent since is not known here"

# Skips that end by themselves, or when somebody ends them; a later run then sends.
_HELD_BACK: Final = (
    SkipReason.SUPPRESSED,
    SkipReason.FREQUENCY_CAP,
    SkipReason.OVER_BUDGET,
    SkipReason.WINDOW_CLOSED,
)

# In a campaign that was not run for so long they stay skipped, or old ones would fill caps and the day.
_ACTIVE_DAYS: Final = 31


@dataclass(frozen=True, slots=True)
class Restored:
    """What became unknown in a restored ledger.

    :param recipients: how many became ``unknown``.
    :param campaigns: the ids of the campaigns that they are in.
    :param paused: the ids of those whose audience was being loaded when the backup was taken: somebody has to
        look at them.
    """

    recipients: int
    campaigns: list[str]
    paused: list[str]


def restored(ledger: Ledger, midnight: float) -> Restored:
    """Make everything unknown that a ledger from a backup would still send.

    Recipients that were pending when the backup was taken may have got the message since. So may those that a
    cap, a suppression, a budget or a closed window had held back until then, in campaigns of its last 31
    days. They and those in flight become ``unknown`` as of now, so that caps and the account's day count
    them,
    and only users resolve them. Whom carrier or region kept out stays so, whatever the rules of later runs.
    A campaign whose audience was being loaded is also paused.

    :param midnight: the start of the current China day.
    """
    recipients, touched, paused = 0, [], []
    with ledger.reading() as connection:
        # Of those that are over in the backup nothing has left since.
        open_ = (_campaign.c.purged_at.is_(None), ~_campaign.c.cancelled)
        alive_at = sa.func.coalesce(_campaign.c.active_at, _campaign.c.created_at)
        columns = (_campaign.c.id, _campaign.c.campaign_id, alive_at)
        known = connection.execute(sa.select(*columns).where(*open_)).all()
    # The latest sign of life is the backup's age.
    active_since = max((at for _, _, at in known), default=0.0) - _ACTIVE_DAYS * DAY_SECONDS
    for key, name, at in known:
        made_unknown = 0
        while number := _make_unknown(ledger, key, midnight, held_back=at >= active_since):
            made_unknown += number
        if made_unknown:
            touched.append(name)
            recipients += made_unknown
        with ledger.writing() as connection:
            CampaignRow.lock(connection, key)
            # Whose outcome was unknown before the backup may have been sent once more since.
            once_more = sa.update(_recipient).where(
                _recipient.c.campaign == key,
                _recipient.c.state == State.UNKNOWN.value,
                _recipient.c.doubt_at.is_(None),
            )
            connection.execute(once_more.values(doubt_at=_recipient.c.sent_at))
            values: dict[str, object] = {"classified_by": AS_RESTORED}
            if is_unfinished(connection, key):
                values["paused"] = True
                paused.append(name)
            connection.execute(sa.update(_campaign).where(_campaign.c.id == key).values(values))
    return Restored(recipients, touched, paused)


def _make_unknown(ledger: Ledger, campaign_key: int, midnight: float, *, held_back: bool) -> int:
    with ledger.writing() as connection:
        account = AccountRow.of(connection, campaign_key)
        row = CampaignRow.lock(connection, campaign_key)
        now = ledger.now(connection)
        account.begin_day(midnight)
        would_be_sent: sa.ColumnElement[bool] = _recipient.c.state.in_(
            [State.PENDING.value, State.IN_FLIGHT.value]
        )
        if held_back:
            skipped = (_recipient.c.state == State.SKIPPED.value, _recipient.c.reason.in_(_HELD_BACK))
            would_be_sent = sa.or_(would_be_sent, sa.and_(*skipped))
        # Also in loads that are not complete: they may have been completed since.
        columns = (_recipient.c.id, _recipient.c.state, _recipient.c.sent_at)
        found = connection.execute(
            sa.select(*columns).where(_recipient.c.campaign == campaign_key, would_be_sent).limit(_BATCH_ROWS)
        ).all()
        if not found:
            return 0
        ids = [one.id for one in found]
        account.day_count += sum(one.state != State.IN_FLIGHT or one.sent_at < account.day for one in found)
        change = sa.update(_recipient).where(_recipient.c.id.in_(ids))
        values = {"state": State.UNKNOWN.value, "sent_at": now, "claim": None, "due": 0.0, "reason": RESTORED}
        # As if sent once more: on_unknown="resend" leaves alone who was.
        connection.execute(change.values(**values, doubt_at=sa.func.coalesce(_recipient.c.doubt_at, now)))
        traffic_rows.add_requests(
            connection, campaign_key, Counter({(traffic_rows.minute_of(now), State.UNKNOWN): len(ids)})
        )
        # Rows of a load that is not complete are in no count, so all of them are counted anew.
        row.counts.update(count_states(connection, campaign_key))
        row.save(connection)
        account.save(connection)
    return len(ids)
