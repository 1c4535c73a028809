"""What each answer of the gateway does to the recipient and to the run.

The table of the design, row by row.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_caixin.campaign import (
    Campaign,
    CampaignFatal,
    CampaignInterrupted,
    Counts,
    QuotaUsedUp,
    answers,
    health,
)
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows.account import AccountRow
from airflow_provider_caixin.sandbox import SandboxServer, magic_mobile

Make = Callable[..., Campaign]
GOOD = [f"1391234{index:04}" for index in range(6)]


def outcome(counts: Counts) -> dict[str, Any]:
    """Return the counts that are not zero, without names."""
    shown = counts.as_result()
    return {name: shown[name] for name in ("sent", "rejected", "unknown", "pending") if shown[name]}


SENT = ("sent", None)
UNKNOWN = ("unknown", None)
CODES_OF_A_RECIPIENT = [236306, 236308, 236309, 236399]
ODD = {
    99005: SENT, 99008: SENT, 99023: SENT, 99030: SENT, 99033: SENT, 99034: SENT, 99035: SENT, 99036: SENT, 99037: SENT,
    99038: SENT, 99039: SENT, 99040: SENT,
    99001: UNKNOWN, 99002: UNKNOWN, 99003: UNKNOWN, 99004: UNKNOWN, 99006: UNKNOWN, 99007: UNKNOWN,
    99010: UNKNOWN, 99011: UNKNOWN, 99012: UNKNOWN, 99013: UNKNOWN, 99020: UNKNOWN, 99021: UNKNOWN, 99022: UNKNOWN,
    99031: UNKNOWN, 99032: UNKNOWN, 10014: UNKNOWN,
    99050: ("rejected", "236306"), 99051: ("rejected", "236309"), 99052: ("rejected", "236309"),
    99053: ("rejected", "236309"),
    **{code: ("rejected", str(code)) for code in CODES_OF_A_RECIPIENT},
}  # fmt: skip


@pytest.fixture
def ledger(sqlite_ledger: Ledger) -> Ledger:
    """Open an embedded ledger: what an answer means is the same on all three."""
    return sqlite_ledger


@pytest.mark.parametrize("number", sorted(ODD))
def test_an_answer_that_concerns_one_recipient(make: Make, gateway: SandboxServer, number: int) -> None:
    """The one recipient gets its state, the others get their message, and nobody is asked for twice."""
    gateway.configure(slow_seconds=0.001, stall_seconds=5)
    campaign = make([magic_mobile(number), *GOOD])
    campaign.send()
    state, code = ODD[number]
    expected: dict[str, Any] = {"sent": len(GOOD)}
    if state == "sent":
        expected["sent"] += 1
    else:
        expected[state] = {code: 1} if code else 1
    assert outcome(campaign.counts()) == expected
    assert gateway.state()["requests"] == len(GOOD) + 1


FATAL = [
    236301,
    236302,
    236303,
    236304,
    236307,
    10001,
    10002,
    10003,
    10004,
    10005,
    10007,
    10008,
    10009,
    10013,
    10021,
]


@pytest.mark.parametrize("code", FATAL)
def test_an_answer_that_only_a_person_can_mend_stops_the_run(make: Make, code: int) -> None:
    """Everyone stays pending, and the sentence names the code."""
    campaign = make(GOOD, key=f"sandbox-{code}")
    with pytest.raises(CampaignFatal, match=str(code)):
        campaign.send()
    assert outcome(campaign.counts()) == {"pending": len(GOOD)}


@pytest.mark.parametrize("fault", [99015, 99016, 99017, 99018, 99019])
def test_another_server_than_the_gateway_stops_the_run(make: Make, fault: int) -> None:
    """A redirect or a 4xx page: the connection is wrong."""
    campaign = make(GOOD, key=f"sandbox-{fault}")
    with pytest.raises(CampaignFatal):
        campaign.send()
    assert outcome(campaign.counts()) == {"pending": len(GOOD)}


def test_maintenance_stops_the_run_to_be_run_again(make: Make, gateway: SandboxServer) -> None:
    """10020 is over some time: the next run sends everyone."""
    gateway.configure(maintenance=True)
    campaign = make(GOOD)
    with pytest.raises(CampaignInterrupted, match="10020"):
        campaign.send()
    assert outcome(campaign.counts()) == {"pending": len(GOOD)}
    gateway.configure(maintenance=False)
    campaign.send()
    assert outcome(campaign.counts()) == {"sent": len(GOOD)}


def test_the_quota_waits_for_the_next_day_once(make: Make, gateway: SandboxServer) -> None:
    """The first 10012 waits; a second one with no message in between only a person can mend."""
    gateway.configure(quota=2)
    with pytest.raises(QuotaUsedUp, match="10012") as first:
        make(GOOD, rate=10).send()
    assert outcome(make().counts()) == {"sent": 2, "pending": 4}
    assert first.value.opens_at.hour == 0
    with pytest.raises(CampaignFatal, match="10012"):
        make().send()
    with pytest.raises(QuotaUsedUp):
        make(["13912340099"], campaign_id="other").send()
    gateway.configure(quota=None)
    campaign = make()
    campaign.send()
    assert outcome(campaign.counts()) == {"sent": len(GOOD)}


def test_a_message_that_got_through_makes_the_next_10012_a_first_one(
    make: Make, gateway: SandboxServer
) -> None:
    """Two days with a used-up quota in a row are ordinary."""
    for already in range(3):
        gateway.configure(quota=2)
        campaign = make(GOOD, rate=10)
        if already < 2:
            with pytest.raises(QuotaUsedUp):
                campaign.send()
        else:
            campaign.send()
    assert outcome(make().counts()) == {"sent": len(GOOD)}


def test_10011_slows_the_account_down(make: Make, gateway: SandboxServer, sqlite_ledger: Ledger) -> None:
    """The recipient waits, everyone gets the message once, and the account remembers the pace."""
    gateway.configure(answer=10011, answer_count=2)
    campaign = make(GOOD)
    campaign.send()
    assert outcome(campaign.counts()) == {"sent": len(GOOD)}
    assert gateway.state()["billed"] == len(GOOD)
    with sqlite_ledger.writing() as connection:
        account = AccountRow.open(
            connection, account_names.find_account(sqlite_ledger, connection, "account")
        )
    assert account.pace < 1.0


def test_10011_at_the_lowest_rate_for_long_stops_the_run(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five minutes are shortened here; what is left stays pending."""
    monkeypatch.setattr(health, "SLOWEST_FOR_SECONDS", 0.5)
    monkeypatch.setattr("airflow_provider_caixin.ledger.queue.pacer.SLOWEST_PACE", 1.0)
    campaign = make(GOOD, key="sandbox-10011")
    with pytest.raises(CampaignInterrupted, match="10011"):
        campaign.send()
    assert outcome(campaign.counts()) == {"pending": len(GOOD)}


def test_a_busy_channel_is_tried_again(
    make: Make, gateway: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to three more times; a channel that stays busy for one while others get through has rejected it."""
    monkeypatch.setattr(answers, "BUSY_DELAY_SECONDS", (0.2, 0.3, 0.4))
    patient, never = magic_mobile(236300, tries=3), magic_mobile(236305)
    others = [f"1391235{index:04}" for index in range(15)]
    campaign = make([patient, never, *others], rate=10)
    campaign.send()
    assert outcome(campaign.counts()) == {"sent": len(others) + 1, "rejected": {"236305": 1}}
    by_code = gateway.state()["by_code"]
    assert by_code["236300"] == 3
    assert by_code["236305"] == 4


def test_a_channel_that_is_busy_for_everyone_rejects_nobody(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run stops, and everyone stays pending."""
    monkeypatch.setattr(answers, "BUSY_DELAY_SECONDS", (0.1, 0.1, 0.1))
    campaign = make(GOOD[:2], key="sandbox-236300")
    with pytest.raises(CampaignInterrupted, match="236300"):
        campaign.send()
    assert outcome(campaign.counts()) == {"pending": 2}


def test_a_gateway_that_cannot_be_reached(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens: the run backs off, then stops; nothing was sent, so everyone stays pending."""
    monkeypatch.setattr(health, "FAILING_FOR_SECONDS", 0.1)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        campaign = make(GOOD, port=bound.getsockname()[1], max_consecutive_failures=3)
        with pytest.raises(CampaignInterrupted, match="channel failures in a row"):
            campaign.send()
    assert outcome(campaign.counts()) == {"pending": len(GOOD)}


def test_429_without_envelope_is_not_a_doubt(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy refused before the gateway saw it: pending."""
    monkeypatch.setattr(health, "FAILING_FOR_SECONDS", 0.1)
    campaign = make(GOOD, key="sandbox-99014", max_consecutive_failures=3)
    with pytest.raises(CampaignInterrupted):
        campaign.send()
    assert outcome(campaign.counts()) == {"pending": len(GOOD)}


def test_failures_in_a_row_stop_a_run(
    make: Make, gateway: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A channel that rejects everyone is not fed a whole campaign, and the pacer halves the rate."""
    monkeypatch.setattr(health, "FAILING_FOR_SECONDS", 0.0)
    gateway.configure(answer=236309)
    numbers = [f"1391235{index:04}" for index in range(400)]
    campaign = make(numbers, max_consecutive_failures=20)
    with pytest.raises(CampaignInterrupted, match="236309"):
        campaign.send()
    counts = campaign.counts()
    assert counts.rejected["236309"] >= 20
    assert counts.pending > 200


def test_wrong_numbers_are_no_failing_channel(
    make: Make, gateway: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """236306 speaks of the recipient: a list of dead numbers is worked through."""
    monkeypatch.setattr(health, "FAILING_FOR_SECONDS", 0.0)
    gateway.configure(answer=236306)
    campaign = make([f"1391235{index:04}" for index in range(60)], max_consecutive_failures=5)
    campaign.send()
    assert outcome(campaign.counts()) == {"rejected": {"236306": 60}}
