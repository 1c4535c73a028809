"""How a run goes on after a tick: the decision alone, without threads, ledger or clock."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pendulum
import pytest

from airflow_provider_caixin.campaign import (
    CampaignCancelled,
    CampaignError,
    CampaignFatal,
    CampaignInterrupted,
    CampaignPaused,
    CampaignStopped,
    DayVolumeUsedUp,
    LedgerSilent,
    OutsideWindow,
    StoppedInSilence,
)
from airflow_provider_caixin.campaign.claiming import Claim, Known
from airflow_provider_caixin.campaign.clocks import Moments
from airflow_provider_caixin.campaign.endings import Decision, decide, given_up_after
from airflow_provider_caixin.campaign.plan import Hours
from airflow_provider_caixin.campaign.tick import TickResult
from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.rules import SendWindow
from airflow_provider_caixin.vocabulary import SkipReason, State
from tests.unit.campaign.conftest import plan

GO_ON = Decision()
OFFICE = SendWindow("09:00-18:00")


def at(text: str) -> float:
    """Return a moment of a Monday in China."""
    return float(pendulum.parse(f"2026-11-23 {text}", tz=CHINA).timestamp())  # type: ignore[union-attr]  # a moment


NOON, EVENING = at("12:00"), at("20:00")


def seen(*, resend: bool = False, now: float = NOON, **fields: Any) -> TickResult:
    """Make what a tick saw; numbers by state are keywords, too."""
    counts = {state: fields.pop(state.value, 0) for state in State}
    result = TickResult(
        now=now, settlements=(), claim=Claim(Known(may_resend=resend)), outcomes=Counter(), counts=counts,
        paused=False, cancelled=False, over_budget=False, volume=None, volume_used=False, slowest_for=0.0,
    )  # fmt: skip
    return replace(result, **fields)


def decided(
    tick: TickResult,
    *,
    host: float = NOON,
    ledger: float | None = None,
    window: SendWindow | None = None,
    expires: float | None = None,
    ending: CampaignError | None = None,
    is_out: bool = False,
    is_told_to_stop: bool = False,
) -> Decision:
    """Decide at a moment, by clocks that agree unless the ledger's is given."""
    moments = Moments(host, host if ledger is None else ledger)
    hours = Hours(plan(window=window), expires)
    return decide(tick, hours, moments, ending=ending, is_out=is_out, is_told_to_stop=is_told_to_stop)


def test_a_run_goes_on_while_somebody_is_pending() -> None:
    """And also while another process has somebody in the air: counts are final when it ends."""
    assert decided(seen(pending=1)) == GO_ON
    assert decided(seen(in_flight=1)) == GO_ON
    assert decided(seen(sent=9, rejected=1, skipped=1, unknown=1)) == Decision(is_over=True)


@pytest.mark.parametrize("kind", [CampaignPaused, CampaignInterrupted, CampaignStopped])
def test_an_ending_of_a_run_with_nothing_left_to_do(kind: type[CampaignError]) -> None:
    """It ends well, whatever would have ended it, but what a person has to know."""
    assert decided(seen(sent=1), ending=kind("x")) == Decision(is_over=True)
    assert decided(seen(sent=1, paused=True)) == Decision(is_over=True)
    for error in (CampaignFatal("x"), CampaignCancelled("x")):
        assert decided(seen(sent=1), ending=error) == Decision(True, error)


def test_what_is_out_is_settled_before_a_run_ends() -> None:
    """By then it is known what ends it, so that nothing more is claimed."""
    error = CampaignInterrupted("x")
    assert decided(seen(pending=1), ending=error, is_out=True) == Decision(ending=error)
    assert decided(seen(sent=1), is_out=True) == GO_ON
    paused = decided(seen(pending=1, paused=True), is_out=True)
    assert isinstance(paused.ending, CampaignPaused)
    assert not paused.is_over


def test_what_a_person_ordered() -> None:
    """Who cancels wants the rest skipped; what has ended the run before stays its ending."""
    cancelled = decided(seen(pending=3, cancelled=True, paused=True))
    assert isinstance(cancelled.ending, CampaignCancelled)
    assert (cancelled.is_over, cancelled.skip) == (True, SkipReason.CANCELLED)
    paused = decided(seen(pending=3, paused=True))
    assert isinstance(paused.ending, CampaignPaused)
    assert (paused.is_over, paused.skip) == (True, None)
    error = CampaignStopped("x")
    assert decided(seen(pending=3, cancelled=True), ending=error) == Decision(
        True, error, SkipReason.CANCELLED
    )


def test_whom_to_send_once_more_keeps_a_run_going() -> None:
    """As long as there may be some, and a message may leave now or in a moment."""
    assert decided(seen(resend=True)) == GO_ON
    assert decided(seen(resend=True), window=OFFICE, host=at("08:59:10")) == GO_ON
    over = Decision(is_over=True)
    assert decided(seen(resend=True), window=OFFICE, host=at("08:58:00")) == over
    assert decided(seen(resend=True), expires=NOON) == over
    assert decided(seen(resend=True, volume_used=True)) == over
    assert decided(seen(resend=True), is_told_to_stop=True) == over
    assert decided(seen(resend=True), ending=CampaignInterrupted("x")) == over


def test_what_is_left_of_a_campaign_is_skipped() -> None:
    """When it has expired or its budget is used up; the run goes on, and ends when nobody is left."""
    assert decided(seen(pending=1), expires=NOON) == Decision(skip=SkipReason.EXPIRED)
    assert decided(seen(pending=1), expires=NOON + 1) == GO_ON
    assert decided(seen(pending=1, over_budget=True)) == Decision(skip=SkipReason.OVER_BUDGET)
    assert decided(seen(in_flight=1, over_budget=True)) == GO_ON
    both = decided(seen(pending=1, over_budget=True, volume_used=True), expires=NOON)
    assert both.skip is SkipReason.EXPIRED


def test_a_volume_that_is_used_up_ends_a_run_until_tomorrow() -> None:
    """Not while a message is in the air, which may turn out not to be billed.

    Nor where a clock names another day.
    """
    used = seen(pending=1, volume_used=True, volume=5)
    decision = decided(used, window=OFFICE)
    assert isinstance(decision.ending, DayVolumeUsedUp)
    assert decision.is_over
    assert decision.ending.opens_at == pendulum.datetime(2026, 11, 24, 9, tz=CHINA)
    assert str(decision.ending).startswith("max_per_day: 5 messages")
    assert decided(replace(used, counts={**used.counts, State.IN_FLIGHT: 1})) == GO_ON
    midnight = at("00:00:00")
    assert decided(replace(used, now=midnight - 1), host=midnight + 1) == GO_ON
    assert decided(replace(used, now=midnight + 1), host=midnight + 1, ledger=midnight - 1) == GO_ON


def test_a_closed_window_ends_a_run() -> None:
    """It names the opening.

    One that opens in a moment is waited for, and one by which the campaign expires is not.
    """
    decision = decided(seen(pending=1), window=OFFICE, host=EVENING)
    assert isinstance(decision.ending, OutsideWindow)
    assert decision.ending.opens_at == pendulum.datetime(2026, 11, 24, 9, tz=CHINA)
    assert decision.is_over
    assert decided(seen(pending=1), window=OFFICE) == GO_ON
    assert decided(seen(pending=1), window=None, host=EVENING) == GO_ON
    assert decided(seen(pending=1), window=OFFICE, host=at("09:00:01")) == GO_ON
    expired = decided(seen(pending=1), window=OFFICE, host=EVENING, expires=at("23:00"))
    assert expired == Decision(skip=SkipReason.EXPIRED)


def test_a_window_that_is_open_by_one_clock_only() -> None:
    """The other one's opening is waited for, and its closing ends the run."""
    early, late = at("08:59:58"), at("09:00:03")
    assert decided(seen(pending=1), window=OFFICE, host=late, ledger=early) == GO_ON
    closing = decided(seen(pending=1), window=OFFICE, host=at("17:59:40"), ledger=at("17:59:55"))
    assert isinstance(closing.ending, OutsideWindow)


@pytest.mark.parametrize(
    ("silent", "told", "kind"),
    [(2.9, True, None), (3.1, True, StoppedInSilence), (59.0, False, None), (61.0, False, LedgerSilent)],
)
def test_a_ledger_that_says_nothing_is_given_up(
    silent: float, told: bool, kind: type[CampaignError] | None
) -> None:
    """After a lease, or soon after the run was told to stop."""
    ending = given_up_after(silent, 60.0, is_told_to_stop=told)
    assert (type(ending) if ending else None) is kind
