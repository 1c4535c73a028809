"""One AppKey is one account: a second name is refused, and accounts become one while their campaigns run."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from airflow_provider_caixin.audience import audience_from
from airflow_provider_caixin.campaign import dry_run
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import accounts, unknowns
from airflow_provider_caixin.ledger.errors import KeyOfAnotherAccount, NoSuchAccount
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows.account_names import KnownAppKey
from airflow_provider_caixin.ledger.views import checks
from airflow_provider_caixin.rules import FrequencyCap
from airflow_provider_caixin.sandbox import SandboxServer
from tests.integration.campaigns import Make, numbers


def key(number: int, conn_id: str) -> KnownAppKey:
    """Return what the ledger knows of an AppKey on a connection."""
    return KnownAppKey(f"{number:064}", conn_id, f"{number:016}")


def test_the_same_key_under_another_name_sends_nothing(
    make: Make, gateway: SandboxServer, ledger: Ledger
) -> None:
    """Nor is its campaign or its account made; a dry run says so, too, and claims nothing itself."""
    campaign = make(numbers(3), account="brand", known_app_key=key(1, "brand"))
    other = replace(campaign.plan, account="shop", known_app_key=key(2, "shop"), campaign_id="other")
    assert dry_run(other, ledger, audience_from(numbers(3))).would_send == 3
    campaign.send()
    plan: dict[str, Any] = {"account": "shop", "known_app_key": key(1, "shop"), "campaign_id": "other"}
    with pytest.raises(KeyOfAnotherAccount, match=r"account 'shop'.*belongs to account 'brand'"):
        make(numbers(3), **plan)
    with pytest.raises(KeyOfAnotherAccount):
        dry_run(replace(campaign.plan, **plan), ledger, audience_from(numbers(3)))
    assert gateway.state()["requests"] == 3
    with ledger.reading() as connection:
        assert [one.name for one in accounts.accounts(connection)] == ["brand"]
        assert account_names.resolve_account(connection, "shop", key(2, "shop")) is None
    # Once there is one name it is one account: the recipients have had their message of today.
    accounts.rename_account(ledger, "brand", "shop")
    again = make(numbers(3), cap=FrequencyCap(1), **plan)
    again.send()
    assert again.counts().skipped == {"frequency_cap": 3}


def test_a_new_key_without_a_name_goes_on_with_its_campaign(make: Make, gateway: SandboxServer) -> None:
    """Under the same campaign id, and within the same caps."""
    old, new = key(1, "caixin_default"), key(2, "caixin_default")
    make(numbers(3), account=old.unnamed, known_app_key=old).send()
    campaign = make(numbers(5), account=new.unnamed, known_app_key=new)
    campaign.send()
    assert campaign.counts().sent == gateway.state()["billed"] == 5
    another = make(
        numbers(6), account=new.unnamed, known_app_key=new, cap=FrequencyCap(1), campaign_id="another"
    )
    another.send()
    assert another.counts().skipped == {"frequency_cap": 5}


def test_accounts_are_merged_while_their_campaigns_run(
    make: Make, gateway: SandboxServer, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever merges what into what at once, and resolves unknown outcomes besides.

    Nobody twice, nobody lost, all counted, no lock broken.
    """
    gateway.configure(latency_ms=(50, 150))
    names = ["one", "two", "three"]
    campaigns = [
        make(numbers(150, 1_000 * index), account=name, campaign_id=name, rate=150, timeout=5.0, lease=20.0)
        for index, name in enumerate(names)
    ]
    failed: list[BaseException] = []

    def guarded(what: Callable[[], object]) -> threading.Thread:
        def run() -> None:
            try:
                what()
            except NoSuchAccount:
                pass
            except BaseException as error:  # noqa: BLE001  # for the thread that waits
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def look_at_unknowns() -> None:
        for campaign in campaigns:
            unknowns.resolve(ledger, campaign._key, [0], "sent")

    sending = [guarded(campaign.send) for campaign in campaigns]
    while gateway.state()["billed"] < 40:
        time.sleep(0.01)
    merging = []
    for name, into in itertools.permutations(names, 2):
        merging.append(guarded(partial(accounts.merge_accounts, ledger, name, into)))
        merging.append(guarded(look_at_unknowns))
    for thread in merging:
        thread.join()
    assert any(thread.is_alive() for thread in sending)
    for thread in sending:
        thread.join()
    assert not failed
    assert not [message for message in caplog.messages if "did not answer" in message]
    state = gateway.state()
    assert state["billed"] == state["billed_numbers"] == 450
    assert [campaign.counts().sent for campaign in campaigns] == [150] * 3
    with ledger.reading() as connection:
        [left] = accounts.accounts(connection)
    assert left.day_count == 450
    assert not list(checks.disagreements(ledger))
