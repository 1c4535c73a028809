"""A campaign paused, cancelled or retried from outside, which running tasks see within a tick."""

from __future__ import annotations

import math

import sqlalchemy as sa

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.rows import recipient as recipient_rows
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow, known_campaign
from airflow_provider_caixin.ledger.schema import recipient
from airflow_provider_caixin.vocabulary import SkipReason, State


def pause_campaign(ledger: Ledger, campaign_id: str, *, paused: bool = True) -> None:
    """Pause or resume a campaign; its task looks again every minute.

    :raises NoSuchCampaign: when the ledger has no such campaign.
    """
    _set_flag(ledger, campaign_id, "paused", value=paused)


def cancel_campaign(ledger: Ledger, campaign_id: str, *, seconds: float = math.inf) -> None:
    """Cancel a campaign for good: who has got nothing yet gets nothing, by this and by every later run.

    :param seconds: how long whoever is pending may be skipped here; its next run skips the rest.
    :raises NoSuchCampaign: when the ledger has no such campaign.
    """
    campaign_key = _set_flag(ledger, campaign_id, "cancelled", value=True)
    recipient_rows.skip_pending(ledger, campaign_key, SkipReason.CANCELLED, seconds=seconds)


def retry_rejected(ledger: Ledger, campaign_id: str, code: int) -> int:
    """Make the recipients pending again that the gateway rejected with a code; the next run sends to them.

    :return: how many.
    :raises NoSuchCampaign: when the ledger has no such campaign.
    :raises CampaignPurged: when its recipients were forgotten.
    :raises CancelledForGood: when it was cancelled.
    """
    emptied = dict.fromkeys(("reason", "code", "claim", "sent_at"))
    pending = {"state": State.PENDING.value, "due": 0.0, "busy": 0, **emptied}
    with ledger.writing() as connection:
        row = CampaignRow.lock(connection, known_campaign(connection, campaign_id))
        row.refuse_if_over("a new campaign can send to them")
        recipient_rows.expire_leases(connection, row, ledger.now(connection))
        rejected = (recipient.c.campaign == row.id, recipient.c.state == State.REJECTED.value)
        again = sa.update(recipient).where(*rejected, recipient.c.code == code).values(pending)
        number = connection.execute(again).rowcount
        row.move(State.REJECTED, State.PENDING, number)
        row.save(connection)
    return number


def _set_flag(ledger: Ledger, campaign_id: str, flag: str, *, value: bool) -> int:
    with ledger.writing() as connection:
        campaign_key = known_campaign(connection, campaign_id)
        change = sa.update(schema.campaign).where(schema.campaign.c.id == campaign_key)
        connection.execute(change.values({flag: value}))
    return campaign_key
