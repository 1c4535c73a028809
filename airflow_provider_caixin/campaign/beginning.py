"""Before a campaign's first load: whether it is to begin at all."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.engine import Connection

from airflow_provider_caixin.campaign.exceptions import CampaignFatal
from airflow_provider_caixin.campaign.plan import Plan
from airflow_provider_caixin.ledger import Ledger, accounts, campaigns
from airflow_provider_caixin.ledger.campaigns import CampaignRow
from airflow_provider_caixin.rules import CHINA


def is_new(ledger: Ledger, plan: Plan) -> bool:
    """
    Tell whether a campaign is not in the ledger yet, without putting it there.

    :param ledger: the ledger, which is only read.
    :param plan: the campaign's.
    :raises CampaignMismatch: when the id belongs to a campaign with another template or account.
    :raises CampaignPurged: when its recipients were forgotten.
    :raises KeyOfAnotherAccount: when the AppKey has sent under another account's name.
    """
    with ledger.reading() as connection:
        return _key_of(connection, plan) is None


def is_loaded(ledger: Ledger, plan: Plan) -> bool:
    """
    Tell whether a load of a campaign has ever come to its end.

    :param ledger: the ledger, which is only read.
    :param plan: the campaign's.
    :raises CampaignMismatch: when the id belongs to a campaign with another template or account.
    :raises CampaignPurged: when its recipients were forgotten.
    :raises KeyOfAnotherAccount: when the AppKey has sent under another account's name.
    """
    with ledger.reading() as connection:
        key = _key_of(connection, plan)
        return key is not None and CampaignRow.read(connection, key).loaded_at is not None


def refuse_expired(plan: Plan, now: float, *, waits: bool = False) -> None:
    """
    Refuse a campaign that expires before anybody can get its message: loaded, all of its people would be ``expired`` for good.

    :param plan: the campaign's, which is not loaded yet.
    :param now: the host's clock, in seconds since the epoch.
    :param waits: the campaign is loaded now, but sent when the window opens.
    :raises CampaignFatal: names the moment.
    """
    expires, opens = plan.expiry(now), plan.opening(now) if waits else None
    if expires is None or expires > (opens.timestamp() if opens else now):
        return
    why = f"has passed, it is {_moment(now)}"
    if opens and expires > now:
        why = f"comes before the send window opens, {opens:%Y-%m-%d %H:%M:%S}"
    raise CampaignFatal(
        f"expires_at {_moment(expires)} {why} (Asia/Shanghai), and campaign {plan.campaign_id!r} is not loaded yet: everybody would "
        "be skipped for good. Nothing was kept; give a later moment and run it again."
    )


def _key_of(connection: Connection, plan: Plan) -> int | None:
    account = accounts.resolve_account(connection, plan.account, plan.account_key)
    return campaigns.peek_campaign(connection, plan.campaign_id, account, plan.tpl_id)


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, tz=CHINA):%Y-%m-%d %H:%M:%S}"
