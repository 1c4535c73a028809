"""Before a load: what is in the ledger already, and whether the audience would expire at once."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy.engine import Connection

from airflow_provider_caixin.campaign.errors import CampaignFatal
from airflow_provider_caixin.campaign.plan import Plan
from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.rows import load as load_rows
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow


def is_new(ledger: Ledger, plan: Plan) -> bool:
    """Return whether a campaign is not in the ledger yet; put nothing there, and raise as :func:`loaded`."""
    with ledger.reading() as connection:
        return _key_of(connection, plan) is None


class Loaded(NamedTuple):
    """What a campaign has of its audience.

    :param first_at: when its first load was complete, in seconds since the epoch; None: none was.
    :param by_loader: whether one of this loader's was.
    """

    first_at: float | None = None
    by_loader: bool = False


def loaded(ledger: Ledger, plan: Plan, loader: str) -> Loaded:
    """Return what a campaign has of its audience, without putting anything there.

    :param loader: who is to load, as :meth:`.Campaign.load` is told.
    :raises CampaignMismatch: when the id belongs to a campaign with another template or account.
    :raises CampaignPurged: when its recipients were forgotten.
    :raises KeyOfAnotherAccount: when the AppKey has sent under another account's name.
    """
    with ledger.reading() as connection:
        key = _key_of(connection, plan)
        if key is None:
            return Loaded()
        sources = load_rows.complete_loads(connection, key).values()
        by_loader = any(load_rows.is_of(source, loader) for source in sources)
        return Loaded(CampaignRow.read(connection, key).loaded_at, by_loader)


def refuse_expired(plan: Plan, now: float, first_at: float | None = None, *, waits: bool = False) -> None:
    """Refuse an audience that expires before anybody can get the message; loaded, it would be ``expired``.

    :param plan: of a campaign for which this loader has loaded nothing yet.
    :param now: the host's clock, in seconds since the epoch.
    :param first_at: when the campaign's first load was complete; None: this is to be the first.
    :param waits: the audience is loaded now, but sent when the window opens.
    :raises CampaignFatal: names the moment.
    """
    expires, opens = plan.expiry(first_at or now), plan.opening(now) if waits else None
    if expires is None or expires > (opens.timestamp() if opens else now):
        return
    shown = _moment(expires)
    if shown.endswith("00:00:00"):
        shown = f"{_moment(expires - 1):.10} (the end of that day)"
    why = f"has passed, it is {_moment(now)}"
    if opens and expires > now:
        why = f"comes before the send window opens, {opens:%Y-%m-%d %H:%M:%S}"
    raise CampaignFatal(
        f"expires_at {shown} {why} (Asia/Shanghai), and this audience of campaign {plan.campaign_id!r} is not loaded yet: "
        "everybody would be skipped for good. Nothing was kept; give a later moment and run it again."
    )


def _key_of(connection: Connection, plan: Plan) -> int | None:
    account = account_names.resolve_account(connection, plan.account, plan.known_app_key)
    return campaign_rows.peek_campaign(connection, plan.campaign_id, account, plan.tpl_id)


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, tz=CHINA):%Y-%m-%d %H:%M:%S}"
