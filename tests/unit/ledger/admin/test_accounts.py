from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_caixin.china_time import DAY_SECONDS
from airflow_provider_caixin.ledger import Ledger, LedgerUnavailable
from airflow_provider_caixin.ledger.admin import accounts
from airflow_provider_caixin.ledger.errors import (
    AccountExists,
    NoSuchAccount,
)
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows.account import AccountRow
from airflow_provider_caixin.ledger.views import campaigns as campaign_views
from airflow_provider_caixin.ledger.views import checks
from airflow_provider_caixin.vocabulary import State
from tests.databases import EMBEDDED
from tests.unit.ledger.app_keys import key, names, opened
from tests.unit.ledger.conftest import Past

NOW = 1_795_400_000.0


# What the databases do not differ in.


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
