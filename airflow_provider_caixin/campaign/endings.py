"""How a run goes on after a tick: a decision from what the tick saw, which the dispatcher carries out."""

from __future__ import annotations

from typing import Final, NamedTuple

from airflow_provider_caixin.campaign import errors
from airflow_provider_caixin.campaign.clocks import Moments
from airflow_provider_caixin.campaign.plan import Hours
from airflow_provider_caixin.campaign.tick import TickResult
from airflow_provider_caixin.china_time import china_midnight
from airflow_provider_caixin.vocabulary import SkipReason, State

# What opens in so many seconds is waited for: the two guards of midnight, and what the clocks may be apart.
SOON_SECONDS: Final = 60.0
# Told to stop, a run waits so long for answers, and for the ledger.
STOP_WAIT_SECONDS: Final = 3.0


class Decision(NamedTuple):
    """What is to be done.

    :param is_over: whether the run is over; else there is another tick.
    :param ending: what the run ends with, now or when what is out is settled; None: it goes on, or ends well.
    :param skip: for which reason what is pending is skipped first.
    """

    is_over: bool = False
    ending: errors.CampaignError | None = None
    skip: SkipReason | None = None


def decide(
    seen: TickResult,
    hours: Hours,
    moments: Moments,
    *,
    ending: errors.CampaignError | None,
    is_out: bool,
    is_told_to_stop: bool,
) -> Decision:
    """Decide whether a run goes on, ends, or first settles what is out.

    :param seen: the last tick's.
    :param ending: what ends the run already.
    :param is_out: requests are out whose answers are not settled.
    """
    ending = ending or _ordered(seen)
    if is_out:
        return Decision(ending=ending)
    may_resend = (
        seen.claim.known.may_resend and not seen.volume_used and hours.may_post(moments, SOON_SECONDS)
    )
    more = seen.counts[State.PENDING] or (may_resend and ending is None and not is_told_to_stop)
    if not more and not seen.counts[State.IN_FLIGHT]:
        # Nothing is left to do or to be run again, whatever would have ended the run.
        return Decision(
            True, ending if isinstance(ending, errors.CampaignCancelled | errors.CampaignFatal) else None
        )
    if ending is not None:
        return Decision(True, ending, SkipReason.CANCELLED if seen.cancelled else None)
    if not seen.counts[State.PENDING]:
        return Decision()
    if hours.have_expired(moments.host):
        return Decision(skip=SkipReason.EXPIRED)
    if seen.over_budget:
        return Decision(skip=SkipReason.OVER_BUDGET)
    if seen.volume_used:
        return _at_volume(seen, hours, moments)
    return _at_window(hours, moments)


def _ordered(seen: TickResult) -> errors.CampaignError | None:
    """Return the ending that someone has ordered."""
    if seen.cancelled:
        return errors.CampaignCancelled("The campaign was cancelled; what was left is skipped.")
    return errors.CampaignPaused("The campaign is paused.") if seen.paused else None


def _at_volume(seen: TickResult, hours: Hours, moments: Moments) -> Decision:
    """Decide where the day's volume is used up."""
    # Around midnight the new day's count is waited for here: by one of the clocks it may have begun already.
    days = {china_midnight(moment) for moment in (seen.now, *moments)}
    if seen.counts[State.IN_FLIGHT] or len(days) > 1:
        return Decision()
    sentence = f"max_per_day: {seen.volume} messages of this account have left today."
    return Decision(True, errors.DayVolumeUsedUp(sentence, hours.plan.next_day(seen.now)))


def _at_window(hours: Hours, moments: Moments) -> Decision:
    """Decide by the window."""
    plan = hours.plan
    if hours.have_expired(moments.host + hours.seconds_to_post(moments)):
        # Nobody needs to wait a night for that.
        return Decision(skip=SkipReason.EXPIRED)
    # An opening that has passed by the host's clock is no moment to come back at: wait for the ledger's here.
    opens_at = plan.opening(moments.host) or plan.opening(moments.ledger, SOON_SECONDS)
    if opens_at is None:
        return Decision()
    sentence = f"The send window {plan.window} is closed; it opens {opens_at:%Y-%m-%d %H:%M}."
    return Decision(True, errors.OutsideWindow(sentence, opens_at))


def given_up_after(silent: float, lease: float, *, is_told_to_stop: bool) -> errors.CampaignError | None:
    """Return what ends a run whose ledger neither answers nor fails; None: it is waited for.

    :param silent: for how many seconds.
    """
    if is_told_to_stop and silent > STOP_WAIT_SECONDS:
        return errors.StoppedInSilence("The task was told to stop while the ledger did not answer.")
    if silent > lease:
        return errors.LedgerSilent(f"The ledger has not answered for {silent:.0f} s.")
    return None
