"""What one run of a campaign is to do, and under which rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

import pendulum

from airflow_provider_caixin.audience import Classifier
from airflow_provider_caixin.campaign.clocks import Moments
from airflow_provider_caixin.china_time import CHINA, DAY_SECONDS, china_midnight, in_china
from airflow_provider_caixin.ledger.rows.account_names import KnownAppKey
from airflow_provider_caixin.rules import (
    ANY_TIME,
    DEFAULT_RATE,
    GATEWAY_RATE,
    OPENING_GUARD_SECONDS,
    FrequencyCap,
    SendWindow,
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The arguments of one run.

    :param campaign_id: the campaign's name; the same name is the same campaign.
    :param account: what rate and caps are counted by.
    :param known_app_key: what the ledger may know of the AppKey, of which there is one account; None: the
        account's name decides alone.
    :param rate: messages a second of the account, above 0 and at most 300 (发送速度：300条/s); 2 % below
        it by default, because the gateway counts arrivals and arrivals jitter.
    :param window: the send window; None: any time.
    :param cap: the frequency cap; None: none.
    :param classifier: carrier and region rules.
    :param suppressed: numbers that get nothing in this run, besides those on the ledger's suppression list.
    :param expires_at: after this moment (no zone: Asia/Shanghai), or this long after the campaign's first
        load, or after its first closing (``"close"``), what is left is skipped.
    :param max_messages: at most so many billed or possibly billed in this campaign; one sent once more counts
        once.
    :param max_per_day: at most so many billed or possibly billed of the account in a China day.
    :param on_unknown: ``"hold"``, or ``"resend"`` what has been unknown for over 10 minutes, once.
    :param max_failure_ratio: see :meth:`~.counts.Counts.failure_ratio`; None: never fails for it.
    :param max_consecutive_failures: channel failures in a row, lasting at least 30 s, that stop the run;
        None: never.
    :param timeout: seconds that an answer may take.
    :param loosened: a sentence for each rule that this run loosens, for whoever looks at the campaign.
    :raises ValueError: when a field is none of these.
    """

    campaign_id: str
    tpl_id: int
    account: str
    rate: float = DEFAULT_RATE
    window: SendWindow | None = None
    cap: FrequencyCap | None = None
    classifier: Classifier = field(default_factory=Classifier)
    suppressed: frozenset[str] = frozenset()
    expires_at: datetime | timedelta | Literal["close"] | None = None
    max_messages: int | None = None
    max_per_day: int | None = None
    on_unknown: Literal["hold", "resend"] = "hold"
    max_failure_ratio: float | None = 0.5
    max_consecutive_failures: int | None = 50
    timeout: float = 10.0
    loosened: tuple[str, ...] = ()
    known_app_key: KnownAppKey | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.campaign_id, str) or not self.campaign_id.strip():
            raise ValueError(f"campaign_id {self.campaign_id!r}: expected a text that names the campaign.")
        if isinstance(self.tpl_id, bool) or not isinstance(self.tpl_id, int) or self.tpl_id < 0:
            raise ValueError(f"tpl_id {self.tpl_id!r}: expected the template's number, such as 65535.")
        if not 0 < self.rate <= GATEWAY_RATE:
            raise ValueError(
                f"messages_per_second {self.rate!r}: expected above 0 and at most 300, the gateway's limit."
            )
        for name in ("max_messages", "max_per_day", "max_consecutive_failures"):
            value = getattr(self, name)
            least = 1 if name == "max_consecutive_failures" else 0
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise ValueError(
                    f"{name} {value!r}: expected a whole number from {least}, or None for no limit."
                )
        if self.max_failure_ratio is not None and not 0 < self.max_failure_ratio <= 1:
            raise ValueError(
                f"max_failure_ratio {self.max_failure_ratio!r}: expected above 0 and at most 1, or None for no limit."
            )
        if self.on_unknown not in ("hold", "resend"):
            raise ValueError(f'on_unknown {self.on_unknown!r}: expected "hold" or "resend".')
        if self.window is not None and self.window.usable_seconds(self.timeout) <= 0:
            raise ValueError(
                f'send_window "{self.window}" is too short: 2 s after the opening and the timeout ({self.timeout:g} s) '
                "plus 5 s before the closing nothing leaves. Give a longer window or a shorter timeout."
            )
        if not isinstance(self.expires_at, datetime | timedelta | None) and self.expires_at != "close":
            raise ValueError(
                f'expires_at {self.expires_at!r}: expected a moment, a timedelta from the load, "close" or None.'
            )
        if self.expires_at == "close" and self.window is None:
            raise ValueError(
                'expires_at "close" needs a send_window; give a moment, a timedelta or a window.'
            )

    def expiry(self, loaded_at: float) -> float | None:
        """Return when what is left expires, in seconds since the epoch; None: never.

        :param loaded_at: when the campaign's first load was done, in seconds since the epoch.
        """
        if self.expires_at is None:
            return None
        loaded = pendulum.from_timestamp(loaded_at, tz=CHINA)
        if isinstance(self.expires_at, timedelta):
            return loaded_at + self.expires_at.total_seconds()
        if isinstance(self.expires_at, datetime):
            return float(in_china(self.expires_at).timestamp())
        # "close", which is refused where there is no window.
        return float(self.window.closes_at(loaded).timestamp()) if self.window else None

    def seconds_to_post(self, now: float) -> float:
        """Return in how many seconds a request may leave, to arrive in the window and on the same day."""
        return (self.window or ANY_TIME).seconds_to_post(now, self.timeout)

    def opening(self, now: float, patience: float = OPENING_GUARD_SECONDS) -> pendulum.DateTime | None:
        """Return when a closed window opens; None: open now or in a moment, as all-day windows at midnight.

        :param patience: how many seconds are a moment.
        """
        if self.window is None or self.window.all_day or self.seconds_to_post(now) <= patience:
            return None
        return self.window.next_opening(pendulum.from_timestamp(now, tz=CHINA))

    def next_day(self, now: float) -> pendulum.DateTime:
        """Return the first opening of another China day: what is used up today is not so before."""
        tomorrow = pendulum.from_timestamp(china_midnight(now), tz=CHINA).add(days=1)
        if self.window is None or self.window.contains(tomorrow):
            return tomorrow
        return self.window.next_opening(tomorrow)


@dataclass(frozen=True, slots=True)
class Hours:
    """The hours of a run; plain arithmetic, because every request asks.

    :param expires: after this moment by the host's clock what is left is skipped; None: never.
    """

    plan: Plan
    expires: float | None = None

    def have_expired(self, host: float) -> bool:
        """Return whether what is left is to be skipped at a moment of the host's clock."""
        return self.expires is not None and host >= self.expires

    def may_post(self, moments: Moments, within: float = 0.0) -> bool:
        """Return whether a request may leave now, or within some seconds."""
        return not self.have_expired(moments.host) and self.seconds_to_post(moments) <= within

    def seconds_to_post(self, moments: Moments) -> float:
        """Return in how many seconds both clocks let a request leave and name one China day."""
        wait = max(self.plan.seconds_to_post(moment) for moment in moments)
        # Caps and volume are that day's.
        if china_midnight(moments.host) == china_midnight(moments.ledger):
            return wait
        behind = min(moments)
        return max(wait, china_midnight(behind) + DAY_SECONDS + OPENING_GUARD_SECONDS - behind)
