"""Stop and go from outside: what a person says of a campaign or an account, seen by running tasks within a tick."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import messages, schema
from airflow_provider_caixin.ledger.campaigns import CampaignRow, find_account
from airflow_provider_caixin.ledger.database import Ledger, LedgerError
from airflow_provider_caixin.ledger.schema import State, digest


class NoSuchCampaign(LedgerError):
    """The ledger has no campaign of that name."""


def pause_campaign(ledger: Ledger, campaign_id: str, *, paused: bool = True) -> None:
    """
    Pause or resume a campaign; its task looks again every minute.

    :param ledger: the ledger.
    :param campaign_id: the campaign's name.
    :param paused: False: go on.
    :raises NoSuchCampaign: when the ledger has no such campaign.
    """
    _set(ledger, campaign_id, "paused", value=paused)


def cancel_campaign(ledger: Ledger, campaign_id: str) -> None:
    """
    Cancel a campaign for good: who has got nothing yet is skipped by the task, and by every later one.

    :param ledger: the ledger.
    :param campaign_id: the campaign's name.
    :raises NoSuchCampaign: when the ledger has no such campaign.
    """
    _set(ledger, campaign_id, "cancelled", value=True)


def pause_account(ledger: Ledger, account: str, *, paused: bool = True) -> None:
    """
    Pause or resume all campaigns of an account, also those that are yet to start.

    :param ledger: the ledger.
    :param account: the account's name.
    :param paused: False: go on.
    """
    with ledger.writing() as connection:
        key = find_account(ledger, connection, account)
        change = sa.update(schema.account).where(schema.account.c.id == key)
        connection.execute(change.values(paused=paused))


def retry_rejected(ledger: Ledger, campaign_id: str, code: int) -> int:
    """
    Make the recipients pending again whom the gateway rejected with a code; the next run sends them.

    :param ledger: the ledger.
    :param campaign_id: the campaign's name.
    :param code: the gateway's code.
    :return: how many.
    :raises NoSuchCampaign: when the ledger has no such campaign.
    """
    with ledger.writing() as connection:
        row = CampaignRow.lock(connection, _find(connection, campaign_id))
        again = messages.reopen_rejected(connection, row.id, code)
        row.move(State.REJECTED, State.PENDING, again)
        row.save(connection)
    return again


def _set(ledger: Ledger, campaign_id: str, flag: str, *, value: bool) -> None:
    with ledger.writing() as connection:
        key = _find(connection, campaign_id)
        change = sa.update(schema.campaign).where(schema.campaign.c.id == key)
        connection.execute(change.values({flag: value}))


def _find(connection: Connection, campaign_id: str) -> int:
    key = sa.select(schema.campaign.c.id).where(schema.campaign.c.hash == digest(campaign_id))
    found = connection.execute(key).scalar_one_or_none()
    if found is None:
        raise NoSuchCampaign(
            f"campaign_id {campaign_id!r}: this ledger has no such campaign; check the name and the ledger."
        )
    return int(found)
