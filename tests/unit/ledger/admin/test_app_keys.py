from __future__ import annotations

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.admin import accounts, app_keys
from airflow_provider_caixin.ledger.errors import (
    AccountExists,
    CampaignsUnderWay,
    KeyOfAnotherAccount,
    NoSuchAccount,
    OnlyKey,
)
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows.account import AccountRow
from tests.databases import EMBEDDED
from tests.unit.ledger.app_keys import key, opened
from tests.unit.ledger.conftest import Past

NOW = 1_795_400_000.0


# What the databases do not differ in.


def test_a_key_that_was_another_s_is_separated(ledger: Ledger) -> None:
    """Not an account's only one, which would begin anew; the old one's key stays."""
    old = opened(ledger, None, key(1))
    with pytest.raises(OnlyKey, match="no AppKey but that of connection 'caixin_default'"):
        app_keys.separate_account(ledger, key(1), "brand")
    with pytest.raises(NoSuchAccount, match="'new': nothing was sent with its AppKey"):
        app_keys.separate_account(ledger, key(3, "new"), "brand")
    assert opened(ledger, None, key(2)) == old
    with pytest.raises(AccountExists, match="is there already"):
        app_keys.separate_account(ledger, key(2), old)
    app_keys.separate_account(ledger, key(2), "brand")
    assert opened(ledger, "brand", key(2)) == "brand"
    assert opened(ledger, None, key(1)) == old


@EMBEDDED
def test_a_separated_key_takes_the_stricter_along(ledger: Ledger) -> None:
    """Pause, limit, slow-down and slots, and nothing of the day's count."""
    old = opened(ledger, None, key(1))
    opened(ledger, None, key(2))
    accounts.limit_account(ledger, old, 10)
    accounts.pause_account(ledger, old)
    with ledger.writing() as connection:
        values = {"pace": 0.25, "paced_at": NOW, "next_slot": NOW, "day": NOW, "day_count": 5, "failures": 3}
        connection.execute(sa.update(schema.account).values(values))
    app_keys.separate_account(ledger, key(2), "brand")
    with ledger.writing() as connection:
        row = AccountRow.open(connection, account_names.find_account(ledger, connection, "brand"))
    assert (row.paused, row.max_per_day, row.pace, row.paced_at, row.next_slot) == (
        *(True, 10, 0.25, NOW, NOW),
    )
    assert (row.day_count, row.failures) == (0, 0)


@EMBEDDED
@pytest.mark.parametrize("state", ["pending", "in_flight", "may_resend", "loading"])
def test_no_key_is_separated_while_a_campaign_is_under_way(past: Past, ledger: Ledger, state: str) -> None:
    """It would go on with both; afterwards it can be, and a campaign that was opened before sends nothing."""
    old = opened(ledger, None, key(1))
    opened(ledger, None, key(2))
    campaign = past.campaign("campaign", account=old)
    with ledger.writing() as connection:
        now = ledger.now(connection)
        values = {"unknown": 1, "active_at": now} if state == "may_resend" else {state: 1}
        if state == "loading":
            change = sa.update(schema.load).values(done=False, owner="x", lease=now + 30)
        else:
            change = sa.update(schema.campaign).values(values)
        connection.execute(change)
    with pytest.raises(CampaignsUnderWay, match=r"'campaign' of account '0+1' is under way"):
        app_keys.separate_account(ledger, key(2), "brand")
    with ledger.writing() as connection:
        connection.execute(sa.update(schema.load).values(lease=now - 1))
        connection.execute(sa.update(schema.campaign).values(pending=0, in_flight=0, active_at=now - 60))
    app_keys.separate_account(ledger, key(2), "brand")
    with ledger.reading() as connection:
        account_names.refuse_if_separated(connection, campaign, key(1))
        with pytest.raises(KeyOfAnotherAccount, match="was given to account 'brand' meanwhile"):
            account_names.refuse_if_separated(connection, campaign, key(2))


@EMBEDDED
def test_a_key_that_was_put_into_the_wrong_connection(ledger: Ledger) -> None:
    """The refusal of the right one names the way, and the key gets the account that is there."""
    opened(ledger, "shop", key(1, "c1"))
    opened(ledger, "games", key(2, "c2"))
    opened(ledger, "shop", key(3, "c1"))
    with ledger.reading() as connection, pytest.raises(KeyOfAnotherAccount) as refused:
        account_names.resolve_account(connection, "games", key(3, "c2"))
    assert str(refused.value).endswith("take it out: airflow caixin account separate games --conn-id c2")
    with ledger.reading() as connection:
        assert app_keys.owner_of(connection, key(3, "c2")) == "shop"
    app_keys.separate_account(ledger, key(3, "c2"), "games", existing=True)
    assert opened(ledger, "games", key(3, "c2")) == "games"
    assert opened(ledger, "shop", key(1, "c1")) == "shop"
    with pytest.raises(AccountExists):
        app_keys.separate_account(ledger, key(3, "c2"), "games", existing=True)


@EMBEDDED
def test_an_account_that_is_renamed_before_its_key_is_known(past: Past, ledger: Ledger) -> None:
    """The command notes the connection's key, so that a connection without a name goes on with it."""
    past.campaign("campaign", account=key(1).unnamed)
    accounts.rename_account(ledger, key(1).unnamed, "shop")
    with ledger.reading() as connection:
        assert not app_keys.has_keys(connection, "shop")
    app_keys.note_key(ledger, "shop", key(1))
    with ledger.reading() as connection:
        assert app_keys.has_keys(connection, "shop")
    assert opened(ledger, None, key(1)) == "shop"
