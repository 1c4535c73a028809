from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.admin import accounts
from airflow_provider_caixin.ledger.errors import (
    KeyOfAnotherAccount,
)
from airflow_provider_caixin.ledger.rows import account_names
from tests.databases import EMBEDDED
from tests.unit.ledger.app_keys import key, names, opened
from tests.unit.ledger.conftest import Past

# What the databases do not differ in.


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the sentences of warnings."""
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


@pytest.mark.parametrize("first", ["shop", None])
def test_a_key_under_another_name_is_refused(ledger: Ledger, first: str | None) -> None:
    """The sentence says whose it is and both ways out; nothing is made. Renaming the account is one."""
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
        connection.execute(sa.insert(schema.app_key).values(hash=key(1).fingerprint, account=shop))
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
