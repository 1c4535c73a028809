"""Accounts: paused, limited, renamed, merged, separated."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.admin import accounts
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.settings.ledgers import embedded_path

from .conftest import A, C, Run


@pytest.mark.usefixtures("sent")
def test_accounts(run: Run, to_sandbox: Callable[..., None]) -> None:
    """Paused, limited, renamed; what the connection is called is the default."""
    [account] = run("account", "list", "-o", "json").json
    name = account["account"]
    assert (account["messages_today"], account["paused"]) == (3, False)
    assert run("account", "pause").status == 0
    assert run("account", "show", "-o", "json").json["paused"] is True
    stopped = run("send", "--tpl-id", "65535", C, "-y", "--campaign-id", "d")
    assert stopped.status == 1
    assert "paused" in stopped.err
    assert run("account", "resume").status == 0
    assert run("account", "limit", "3").status == 0
    full = run("send", "--tpl-id", "65535", C, "-y", "--campaign-id", "d")
    assert full.status == 3
    assert run("account", "limit", "none").status == 0
    assert run("account", "limit", "many").status == 2
    assert run("account", "pause", "--account", "typo").status == 2
    assert run("account", "show", "--account", "typo").status == 2
    assert run("account", "rename", "shop").status == 0
    assert run("account", "rename", "shop", "--account", name).status == 2
    to_sandbox(account="shop")
    assert run("account", "show", "-o", "json").json["messages_today"] == 3
    assert run("send", "--tpl-id", "65535", C, "-y", "--campaign-id", "d").status == 0
    assert len(run("campaigns", "--account", "shop", "-o", "json").json) == 2


@pytest.mark.usefixtures("sent")
def test_accounts_of_one_key(run: Run, to_sandbox: Callable[..., None]) -> None:
    """A second name sends nothing and the answer says how they become one; a merge asks first."""
    [account] = run("account", "list", "-o", "json").json
    name = account["account"]
    to_sandbox(account="shop", frequency_cap="none")
    refused = run("send", "--tpl-id", "65535", C, "-y", "--campaign-id", "d")
    assert refused.status == 1
    assert "one AppKey is one account" in refused.err
    assert f"airflow caixin account rename shop --account {name}" in refused.err
    assert run("account", "pause", "--account", name).status == 0
    with closing(Ledger.sqlite(embedded_path())) as ledger:
        accounts.limit_account(ledger, "shop", 4)
    assert run("account", "rename", "shop", "--account", name).status == 5
    merged = run("account", "rename", "shop", "--account", name, "-y")
    assert merged.status == 0
    assert "It is paused" in merged.err
    assert "4 messages in a China day" in merged.err
    assert [one["account"] for one in run("account", "list", "-o", "json").json] == ["shop"]
    assert run("account", "rename", "shop").status == 2
    assert run("account", "resume").status == 0
    assert run("send", "--tpl-id", "65535", C, "-y", "--campaign-id", "d").status == 0
    assert run("account", "show", "-o", "json").json["messages_today"] == 4


@pytest.mark.usefixtures("sent")
def test_an_account_with_a_new_key(run: Run, sandbox: SandboxServer, connect: Callable[..., None]) -> None:
    """Its connection finds it before and after the new key's first campaign; the new key can be separated."""
    [account] = run("account", "list", "-o", "json").json
    connect(
        password="another-unit-test-key",
        host=sandbox.host,
        port=sandbox.port,
        schema="http",
        extra={"send_window": "none", "frequency_cap": "none"},
    )
    assert run("account", "separate", "brand", "-y").status == 2
    assert run("account", "show", "-o", "json").json == account
    sent = run("send", "--tpl-id", "65535", C, "-y", "--campaign-id", "d")
    assert sent.status == 0
    assert "has a new AppKey and gives its account no name" in sent.err
    assert run("account", "show", "-o", "json").json["messages_today"] == 4
    assert run("account", "separate", " ", "-y").status == 2
    assert run("account", "separate", "brand").status == 5
    under_way = run("account", "separate", "brand", "-y")
    assert under_way.status == 1
    assert "campaign 'c'" in under_way.err
    with closing(Ledger.sqlite(embedded_path())) as ledger, ledger.writing() as connection:
        # One of its messages is unknown, and its run was at work until now.
        connection.execute(sa.update(schema.campaign).values(active_at=1.0))
    assert run("account", "separate", "brand", "-y").status == 0
    assert run("account", "show", "-o", "json").json["account"] == "brand"
    assert run("account", "separate", "another", "-y").status == 1


@pytest.mark.parametrize("by_name", [True, False])
def test_an_account_that_is_renamed_before_its_key_is_known(run: Run, by_name: bool) -> None:
    """Named by its connection it keeps the key; otherwise the answer says what is to be done first."""
    assert run("account", "pause").status == 0
    [account] = run("account", "list", "-o", "json").json
    said = ("--account", account["account"]) if by_name else ()
    renamed = run("account", "rename", "shop", *said)
    assert renamed.status == 0
    assert ("Do so before anything is sent" in renamed.err) == by_name
    assert run("account", "show").status == (2 if by_name else 0)


def test_a_first_campaign_can_be_paused_before(run: Run) -> None:
    """The connection's account need not be in the ledger yet."""
    assert run("account", "pause").status == 0
    assert run("send", "--tpl-id", "65535", A, "-y").status == 1
