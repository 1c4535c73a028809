from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.china_time import DAY_SECONDS
from airflow_provider_caixin.ledger import Ledger, LedgerUnavailable, schema
from airflow_provider_caixin.ledger.admin import accounts
from airflow_provider_caixin.ledger.errors import (
    AccountExists,
    CampaignsUnderWay,
    KeyOfAnotherAccount,
    NoSuchAccount,
    OnlyKey,
)
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.rows.account import AccountRow
from airflow_provider_caixin.ledger.rows.account_names import KnownAppKey
from airflow_provider_caixin.ledger.views import campaigns as campaign_views
from airflow_provider_caixin.ledger.views import checks
from airflow_provider_caixin.vocabulary import State

from .conftest import Past
from .test_gate import NOW

# What the databases do not differ in.
EMBEDDED = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)


def test_a_person_pauses_limits_and_renames(past: Past, ledger: Ledger) -> None:
    """Also an account that has not sent yet; its campaigns go along with a new name."""
    past.campaign("campaign", "13912345678")
    accounts.pause_account(ledger, "later")
    accounts.limit_account(ledger, "account", 5)
    accounts.rename_account(ledger, "account", "账户")
    with ledger.reading() as connection:
        found = {one.name: one for one in accounts.accounts(connection)}
        assert account_names.peek_account(connection, "账户") == found["账户"].id
        assert account_names.peek_account(connection, "account") is None
    assert set(found) == {"later", "账户"}
    assert (found["later"].paused, found["账户"].max_per_day) == (True, 5)
    accounts.limit_account(ledger, "账户", None)
    accounts.pause_account(ledger, "later", paused=False)
    with ledger.reading() as connection:
        assert not any(one.paused or one.max_per_day for one in accounts.accounts(connection))


def test_what_cannot_be_is_refused(past: Past, ledger: Ledger) -> None:
    """Nothing is changed then."""
    past.campaign("campaign", account="one")
    past.campaign("other", account="two")
    with pytest.raises(NoSuchAccount, match=r"'none'.*no such account"):
        accounts.rename_account(ledger, "none", "three")
    with pytest.raises(AccountExists, match=r"'two' is there already: merge the two"):
        accounts.rename_account(ledger, "one", "two")
    with pytest.raises(NoSuchAccount, match=r"'none'.*no such account"):
        accounts.merge_accounts(ledger, "one", "none")
    with pytest.raises(ValueError, match="'one' cannot be merged into itself"):
        accounts.merge_accounts(ledger, "one", "one")
    with pytest.raises(ValueError, match="max_per_day -1: expected a whole number from 0"):
        accounts.limit_account(ledger, "one", -1)


# ------------------------------------------------------------------ one AppKey is one account


def key(number: int, conn_id: str = "caixin_default") -> KnownAppKey:
    """Give what the ledger knows of an AppKey on a connection."""
    return KnownAppKey(f"{number:064}", conn_id, f"{number:016}")


def opened(ledger: Ledger, name: str | None, owner: KnownAppKey) -> str:
    """Open an account to send by; None: the connection gives it no name. Return what it is called."""
    name = name or owner.unnamed
    with ledger.writing() as connection:
        account = account_names.open_account(ledger, connection, name, owner)
    with ledger.reading() as connection:
        assert account_names.resolve_account(connection, name, owner) == account
        return account_names.name_in_force(connection, name, owner)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Give what was warned of."""
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


def names(ledger: Ledger) -> list[str]:
    """Give the names of all accounts."""
    with ledger.reading() as connection:
        return [one.name for one in accounts.accounts(connection)]


@pytest.mark.parametrize("first", ["shop", None])
def test_a_key_under_another_name_is_refused(ledger: Ledger, first: str | None) -> None:
    """The sentence says whose it is and both ways out; nothing is made. Renamed, the account goes by the new name."""
    old = opened(ledger, first, key(1, "one"))
    with ledger.writing() as connection, pytest.raises(KeyOfAnotherAccount) as refused:
        account_names.open_account(ledger, connection, "brand", key(1, "two"))
    assert str(refused.value) == (
        f"account 'brand': the AppKey of connection 'two' belongs to account '{old}' of this ledger, and one AppKey is one "
        f'account: rate, caps and volume are counted once. Put "account": "{old}" into the extra of connection \'two\', or give '
        f"the account the new name: airflow caixin account rename brand --account {old}"
    )
    assert names(ledger) == [old]
    accounts.rename_account(ledger, old, "brand")
    assert opened(ledger, "brand", key(1, "two")) == "brand"


def test_a_connection_that_gives_no_name_sends_by_its_key_s_account(ledger: Ledger) -> None:
    """Also after a new name was given."""
    assert opened(ledger, "shop", key(1, "one")) == "shop"
    assert opened(ledger, None, key(1, "two")) == "shop"
    accounts.rename_account(ledger, "shop", "store")
    assert opened(ledger, None, key(1, "two")) == "store"
    assert names(ledger) == ["store"]


def test_two_names_of_an_older_ledger_are_merged_before_anything_is_sent(past: Past, ledger: Ledger) -> None:
    """It knows no keys, but one account's name is made of the key."""
    past.campaign("by default", account=key(1).unnamed)
    past.campaign("by name", account="shop")
    with ledger.reading() as connection, pytest.raises(KeyOfAnotherAccount) as refused:
        account_names.resolve_account(connection, "shop", key(1))
    assert str(refused.value).endswith(
        f"Merge the two: airflow caixin account rename shop --account {key(1).unnamed}"
    )
    accounts.merge_accounts(ledger, key(1).unnamed, "shop")
    assert opened(ledger, "shop", key(1)) == opened(ledger, None, key(1)) == "shop"


def test_an_account_that_the_key_s_own_name_stands_for_is_not_left_behind(past: Past, ledger: Ledger) -> None:
    """Where both were used before, one connection is refused until they are one."""
    past.campaign("by default", account=key(1).unnamed)
    with ledger.writing() as connection:
        shop = account_names.find_account(ledger, connection, "shop")
        connection.execute(sa.insert(schema.account_key).values(hash=key(1).fingerprint, account=shop))
    with ledger.reading() as connection, pytest.raises(KeyOfAnotherAccount) as refused:
        account_names.resolve_account(connection, key(1).unnamed, key(1))
    assert str(refused.value).endswith(
        f"Merge the two: airflow caixin account rename shop --account {key(1).unnamed}"
    )


def test_a_new_key_without_a_name_does_not_begin_anew(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """The account goes on, the log says once how to keep it, and the new key is nobody else's."""
    old = opened(ledger, None, key(1))
    with ledger.reading() as connection:
        assert account_names.name_in_force(connection, key(2).unnamed, key(2)) == old
    assert not warnings(caplog)
    assert opened(ledger, None, key(2)) == opened(ledger, None, key(2)) == old
    [warning] = warnings(caplog)
    assert "'caixin_default' has a new AppKey" in warning
    assert f'"account": "{old}" into the extra' in warning
    assert "account separate NAME --conn-id caixin_default" in warning
    assert opened(ledger, old, key(2)) == opened(ledger, None, key(1, "other")) == old
    # Another connection with the new key, which has never sent before.
    assert opened(ledger, None, key(2, "third")) == old
    with ledger.writing() as connection, pytest.raises(KeyOfAnotherAccount):
        account_names.open_account(ledger, connection, "brand", key(2))
    assert names(ledger) == [old]


def test_a_new_key_of_a_named_account_is_no_news(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    """A new name for it is: its caps are others then."""
    opened(ledger, "shop", key(1))
    opened(ledger, "shop", key(2))
    assert not warnings(caplog)
    opened(ledger, "brand", key(3))
    [warning] = warnings(caplog)
    assert "sent by account 'shop' so far; by account 'brand' it has other caps" in warning
    assert "account rename brand --account shop" in warning


def test_accounts_that_both_sent_stay_two(ledger: Ledger) -> None:
    """A connection that is given the key of another known account sends by that one."""
    one, two = opened(ledger, None, key(1, "one")), opened(ledger, None, key(2, "two"))
    assert opened(ledger, None, key(2, "one")) == two
    assert opened(ledger, None, key(1, "two")) == one


def test_a_key_that_was_another_s_is_separated(ledger: Ledger) -> None:
    """Not an account's only one, which would begin anew; the old one's key stays."""
    old = opened(ledger, None, key(1))
    with pytest.raises(OnlyKey, match="no AppKey but that of connection 'caixin_default'"):
        accounts.separate_account(ledger, key(1), "brand")
    with pytest.raises(NoSuchAccount, match="'new': nothing was sent with its AppKey"):
        accounts.separate_account(ledger, key(3, "new"), "brand")
    assert opened(ledger, None, key(2)) == old
    with pytest.raises(AccountExists, match="is there already"):
        accounts.separate_account(ledger, key(2), old)
    accounts.separate_account(ledger, key(2), "brand")
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
    accounts.separate_account(ledger, key(2), "brand")
    with ledger.writing() as connection:
        gate = AccountRow.open(connection, account_names.find_account(ledger, connection, "brand"))
    assert (gate.paused, gate.max_per_day, gate.pace, gate.paced_at, gate.next_slot) == (
        *(True, 10, 0.25, NOW, NOW),
    )
    assert (gate.day_count, gate.failures) == (0, 0)


@EMBEDDED
@pytest.mark.parametrize("state", ["pending", "in_flight", "doubting", "loading"])
def test_no_key_is_separated_while_a_campaign_is_under_way(past: Past, ledger: Ledger, state: str) -> None:
    """It would go on with both; afterwards it can be, and a campaign that was opened before sends nothing."""
    old = opened(ledger, None, key(1))
    opened(ledger, None, key(2))
    campaign = past.campaign("campaign", account=old)
    with ledger.writing() as connection:
        now = ledger.now(connection)
        values = {"unknown": 1, "active_at": now} if state == "doubting" else {state: 1}
        if state == "loading":
            change = sa.update(schema.load).values(done=False, owner="x", lease=now + 30)
        else:
            change = sa.update(schema.campaign).values(values)
        connection.execute(change)
    with pytest.raises(CampaignsUnderWay, match=r"'campaign' of account '0+1' is under way"):
        accounts.separate_account(ledger, key(2), "brand")
    with ledger.writing() as connection:
        connection.execute(sa.update(schema.load).values(lease=now - 1))
        connection.execute(sa.update(schema.campaign).values(pending=0, in_flight=0, active_at=now - 60))
    accounts.separate_account(ledger, key(2), "brand")
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
        assert account_names.owner_of(connection, key(3, "c2")) == "shop"
    accounts.separate_account(ledger, key(3, "c2"), "games", existing=True)
    assert opened(ledger, "games", key(3, "c2")) == "games"
    assert opened(ledger, "shop", key(1, "c1")) == "shop"
    with pytest.raises(AccountExists):
        accounts.separate_account(ledger, key(3, "c2"), "games", existing=True)


@EMBEDDED
def test_a_row_that_was_never_an_account_blocks_no_name(ledger: Ledger) -> None:
    """A command made it, named after the key. One that is paused is still heeded."""
    for name in (key(1).unnamed, "shop"):
        accounts.pause_account(ledger, name, paused=False)
    with ledger.reading() as connection:
        assert account_names.name_in_force(connection, "shop", key(1)) == "shop"
    accounts.pause_account(ledger, key(1).unnamed)
    with ledger.reading() as connection, pytest.raises(KeyOfAnotherAccount):
        account_names.resolve_account(connection, "shop", key(1))


@EMBEDDED
def test_an_account_that_is_renamed_before_its_key_is_known(past: Past, ledger: Ledger) -> None:
    """The command notes the connection's key, so that a connection without a name goes on with it."""
    past.campaign("campaign", account=key(1).unnamed)
    accounts.rename_account(ledger, key(1).unnamed, "shop")
    with ledger.reading() as connection:
        assert not accounts.has_keys(connection, "shop")
    accounts.note_key(ledger, "shop", key(1))
    with ledger.reading() as connection:
        assert accounts.has_keys(connection, "shop")
    assert opened(ledger, None, key(1)) == "shop"


@EMBEDDED
@pytest.mark.parametrize(
    "change",
    [
        lambda ledger: accounts.rename_account(ledger, "one", "two"),
        lambda ledger: accounts.pause_account(ledger, "one"),
        lambda ledger: accounts.limit_account(ledger, "one", 5),
    ],
    ids=["rename", "pause", "limit"],
)
def test_what_changed_nothing_is_not_told_as_done(
    ledger: Ledger, change: Callable[[Ledger], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account was merged into another between the look-up and the change."""
    monkeypatch.setattr(account_names, "peek_account", lambda _, name: 99 if name == "one" else None)
    monkeypatch.setattr(account_names, "find_account", lambda *_: 99)
    with pytest.raises(LedgerUnavailable, match="'one' was renamed or merged this very moment"):
        change(ledger)
    with ledger.reading() as connection, pytest.raises(LedgerUnavailable):
        account_names.name_of(connection, 99)
    with ledger.writing() as connection, pytest.raises(LedgerUnavailable):
        AccountRow.open(connection, 99)


@EMBEDDED
def test_a_campaign_whose_account_is_merged_while_it_is_looked_up(past: Past, ledger: Ledger) -> None:
    """Its account is gone when its name is asked for: the next attempt finds it."""
    past.campaign("campaign")
    with ledger.writing() as connection:
        connection.execute(sa.delete(schema.account))
        with pytest.raises(LedgerUnavailable, match="merged into another this very moment"):
            campaign_rows.peek_campaign(connection, "campaign", 99, 65535)


@pytest.mark.parametrize("days", [(NOW, NOW), (NOW, NOW + DAY_SECONDS), (NOW + DAY_SECONDS, NOW)])
def test_two_accounts_become_one(past: Past, ledger: Ledger, days: tuple[float, float]) -> None:
    """Campaigns, caps, keys and the day's count; of limits and pause the stricter."""
    opened(ledger, "one", key(1, "first"))
    opened(ledger, "two", key(2, "second"))
    for name, day in zip(("one", "two"), days, strict=True):
        campaign = past.campaign(f"campaign of {name}", "13912345678", "13912345679", account=name)
        past.sent(campaign, {"13912345678": State.SENT, "13912345679": State.UNKNOWN}, day)
    accounts.limit_account(ledger, "one", 5)
    accounts.pause_account(ledger, "one")
    merged = accounts.merge_accounts(ledger, "one", "two")
    assert names(ledger) == ["two"]
    assert (merged.name, merged.paused, merged.max_per_day) == ("two", True, 5)
    assert merged.day_count == (4 if days[0] == days[1] else 2)
    assert opened(ledger, "two", key(1, "first")) == opened(ledger, None, key(2, "second")) == "two"
    with ledger.reading() as connection:
        assert {one.account for one in campaign_views.campaigns(connection, NOW)} == {"two"}
    assert not list(checks.disagreements(ledger))


@pytest.mark.parametrize("merge", [False, True])
def test_of_two_names_at_once_one_gets_the_key(ledger: Ledger, merge: bool) -> None:
    """The others are refused, and none fails otherwise, also while accounts are merged."""
    opened(ledger, "another", key(2, "conn 0"))
    opened(ledger, "more", key(3, "conn 1"))

    def claim(number: int) -> str | None:
        if number == 4 and merge:
            accounts.merge_accounts(ledger, "more", "another")
        name = "odd" if number % 2 else "even"
        try:
            with ledger.writing() as connection:
                account_names.open_account(ledger, connection, name, key(1, f"conn {number}"))
        except KeyOfAnotherAccount:
            return None
        return name

    with ThreadPoolExecutor(8) as pool:
        got = set(pool.map(claim, range(16))) - {None}
    kept = {"another"} if merge else {"another", "more"}
    assert len(got) == 1
    assert set(names(ledger)) == got | kept


@pytest.mark.parametrize("name", ["shop", None])
def test_many_open_an_account_at_once(ledger: Ledger, name: str | None) -> None:
    """As mapped tasks do, the first time and later."""
    for _ in range(2):
        with ThreadPoolExecutor(8) as pool:
            got = list(pool.map(lambda number: opened(ledger, name, key(1, f"conn {number % 2}")), range(16)))
        assert [*set(got)] == names(ledger)
