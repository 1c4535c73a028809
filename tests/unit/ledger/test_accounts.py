from __future__ import annotations

import pytest

from airflow_provider_caixin.ledger import Ledger, accounts

from .conftest import Past


def test_a_person_pauses_limits_and_renames(past: Past, ledger: Ledger) -> None:
    """Also an account that has not sent yet; its campaigns go along with a new name."""
    past.campaign("campaign", "13912345678")
    accounts.pause_account(ledger, "later")
    accounts.limit_account(ledger, "account", 5)
    accounts.rename_account(ledger, "account", "账户")
    with ledger.reading() as connection:
        found = {one.name: one for one in accounts.accounts(connection)}
        assert accounts.peek_account(connection, "账户") == found["账户"].id
        assert accounts.peek_account(connection, "account") is None
    assert set(found) == {"later", "账户"}
    assert (found["later"].paused, found["账户"].max_per_day) == (True, 5)
    accounts.limit_account(ledger, "账户", None)
    accounts.pause_account(ledger, "later", paused=False)
    with ledger.reading() as connection:
        assert not any(one.paused or one.max_per_day for one in accounts.accounts(connection))


def test_what_cannot_be_is_refused(past: Past, ledger: Ledger) -> None:
    """Two histories do not become one."""
    past.campaign("campaign", account="one")
    past.campaign("other", account="two")
    with pytest.raises(accounts.NoSuchAccount, match=r"'none'.*no such account"):
        accounts.rename_account(ledger, "none", "three")
    with pytest.raises(accounts.AccountExists, match=r"'two' is there already.*'one' instead"):
        accounts.rename_account(ledger, "one", "two")
    with pytest.raises(ValueError, match="max_per_day -1: expected a whole number from 0"):
        accounts.limit_account(ledger, "one", -1)
