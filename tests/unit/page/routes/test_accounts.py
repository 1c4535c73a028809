"""Accounts: whose they are, and who may stop them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.api_fastapi.app import get_auth_manager

from airflow_provider_caixin.ledger.admin import accounts
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows.account_names import KnownAppKey
from tests.unit.conftest import Connect
from tests.unit.page.conftest import Browser, Told

pytestmark = pytest.mark.usefixtures("sandbox")


@pytest.mark.usefixtures("told")
def test_an_account_of_the_same_name_in_another_ledger(
    browser: Callable[..., Browser], connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is another account: who may edit one's connection may not change the other."""
    connect("mine", extra={"account": "account", "ledger_conn_id": "elsewhere"})

    def is_authorized(*, method: str, details: Any = None, **_: Any) -> bool:
        return method == "GET" or (details is not None and details.conn_id in allowed)

    allowed = {"mine"}
    monkeypatch.setattr(get_auth_manager(), "is_authorized_connection", is_authorized)
    somebody = browser("user")
    for path, body in (("pause", {"paused": True}), ("limit", {"max_per_day": 1})):
        somebody.post(f"/accounts/{path}", {"account": "account", **body}, 403)
    accounts = {one["name"]: one["may_edit"] for one in somebody.get("/overview")["accounts"]}
    assert accounts["account"] is False
    allowed.add("caixin_default")
    accounts = {one["name"]: one["may_edit"] for one in somebody.get("/overview")["accounts"]}
    assert accounts["account"] is True
    somebody.post("/accounts/pause", {"account": "account", "paused": True})


def test_an_account_whose_connection_has_a_new_key(
    browser: Callable[..., Browser], told: Told, connect: Connect
) -> None:
    """Is the one that it had: it is stopped under that name, and no other one is made."""
    ledger = told.past.ledger
    old = KnownAppKey("0" * 64, "mine", "account of the old key")
    with ledger.writing() as connection:
        account_names.open_account(ledger, connection, old.unnamed, old)
    connect("mine", password="a-new-key", extra={})
    admin = browser("admin")
    shown = {one["name"]: one["connections"] for one in admin.get("/overview")["accounts"]}
    assert shown == {"account": ["caixin_default"], "account of the old key": ["mine"], "other": []}
    admin.post("/accounts/pause", {"account": old.unnamed, "paused": True})
    with ledger.reading() as connection:
        assert {one.name: one.paused for one in accounts.accounts(connection)}[old.unnamed]
