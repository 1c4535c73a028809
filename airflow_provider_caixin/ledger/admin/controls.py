"""Stop and go from outside: what a person says of a campaign, seen by running tasks within a tick."""

from __future__ import annotations

import math

import sqlalchemy as sa

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.rows import recipient as recipient_rows
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow, known_campaign
from airflow_provider_caixin.vocabulary import SkipReason, State


def pause_campaign(ledger: Ledger, campaign_id: str, *, paused: bool = True) -> None:
    """
    Pause or resume a campaign; its task looks again every minute.

    :param ledger: the ledger.
    :param campaign_id: the campaign's name.
    :param paused: False: go on.
    :raises NoSuchCampaign: when the ledger has no such campaign.
    """
    _set(ledger, campaign_id, "paused", value=paused)


def cancel_campaign(ledger: Ledger, campaign_id: str, *, seconds: float = math.inf) -> None:
    """
    Cancel a campaign for good: who has got nothing yet gets nothing, by this and by every later run.

    :param ledger: the ledger.
    :param campaign_id: the campaign's name.
    :param seconds: how long whoever is pending may be skipped here; its next run skips the rest.
    :raises NoSuchCampaign: when the ledger has no such campaign.
    """
    key = _set(ledger, campaign_id, "cancelled", value=True)
    recipient_rows.skip_pending(ledger, key, SkipReason.CANCELLED, seconds=seconds)


def retry_rejected(ledger: Ledger, campaign_id: str, code: int) -> int:
    """
    Make the recipients pending again whom the gateway rejected with a code; the next run sends them.

    :param ledger: the ledger.
    :param campaign_id: the campaign's name.
    :param code: the gateway's code.
    :return: how many.
    :raises NoSuchCampaign: when the ledger has no such campaign.
    :raises CampaignPurged: when its recipients were forgotten.
    :raises CancelledForGood: when it was cancelled.
    """
    with ledger.writing() as connection:
        row = CampaignRow.lock(connection, known_campaign(connection, campaign_id))
        row.refuse_if_over("a new campaign can send to them")
        recipient_rows.expire_leases(connection, row, ledger.now(connection))
        again = recipient_rows.reopen_rejected(connection, row.id, code)
        row.move(State.REJECTED, State.PENDING, again)
        row.save(connection)
    return again


def _set(ledger: Ledger, campaign_id: str, flag: str, *, value: bool) -> int:
    with ledger.writing() as connection:
        key = known_campaign(connection, campaign_id)
        change = sa.update(schema.campaign).where(schema.campaign.c.id == key)
        connection.execute(change.values({flag: value}))
    return key
