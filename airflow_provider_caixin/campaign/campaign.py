"""A campaign: its audience loaded once, then sent until every recipient is settled."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import IO, Final

import pendulum

from airflow_provider_caixin.audience import Audience
from airflow_provider_caixin.campaign import errors
from airflow_provider_caixin.campaign.counts import Counts, Outcome
from airflow_provider_caixin.campaign.dispatcher import Dispatcher
from airflow_provider_caixin.campaign.load import AudienceChange, AudienceLoad
from airflow_provider_caixin.campaign.plan import Plan
from airflow_provider_caixin.campaign.progress import Progress
from airflow_provider_caixin.campaign.reopen import reopen_skipped
from airflow_provider_caixin.campaign.report import write_report
from airflow_provider_caixin.campaign.senders import Client
from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.queue import history
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.rows import recipient as recipient_rows
from airflow_provider_caixin.ledger.rows import tally as tallies
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow, Origin
from airflow_provider_caixin.ledger.views import reports
from airflow_provider_caixin.rules import CLOSING_GUARD_SECONDS
from airflow_provider_caixin.vocabulary import SkipReason, State

log = logging.getLogger(__name__)

LEASE_SECONDS: Final = 60.0
SENDERS: Final = 384


class Campaign:
    """One template sent to one audience, once, under the rules of a plan.

    Making one opens or makes the campaign in the ledger.

    :param plan: the arguments of this run.
    :param lease: seconds after which a request without an answer in the ledger counts as unknown; longer than
        three timeouts.
    :param senders: how many requests may be out at once.
    :param origin: the task that runs it; None: the command line.
    :raises CampaignPurged: when the campaign is over and its recipients were forgotten.
    :raises CampaignMismatch: when the id belongs to a campaign with another template or account.
    :raises KeyOfAnotherAccount: when the AppKey has sent under another account's name.
    :raises ValueError: when the lease is too short for the timeout.
    """

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        client: Client,
        *,
        lease: float = LEASE_SECONDS,
        senders: int = SENDERS,
        origin: Origin | None = None,
    ) -> None:
        if lease <= 3 * plan.timeout:
            raise ValueError(
                f"timeout {plan.timeout:g} s: expected less than a third of the lease ({lease:g} s)."
            )
        self.plan = plan
        #: What this process itself brought about, so that attempts and tasks of one campaign can be added up.
        self.outcomes: Counter[Outcome] = Counter()
        self._ledger = ledger
        self._client = client
        self._lease = lease
        self._senders = senders
        with ledger.writing() as connection:
            account = account_names.open_account(ledger, connection, plan.account, plan.known_app_key)
            self._key = campaign_rows.find_campaign(
                ledger, connection, plan.campaign_id, account, plan.tpl_id, ledger.machine.clock()
            )
            campaign_rows.note_run(connection, self._key, origin, plan.rate, plan.loosened)

    def load(
        self,
        audience: Audience,
        source: str,
        give_up: Callable[[], bool] = lambda: False,
        *,
        audience_change: AudienceChange | None = None,
        formerly: str | None = None,
    ) -> bool:
        """Merge an audience into the campaign, once per source and content.

        A file that is gone is no hindrance when this source loaded that file before: the ledger is the
        audience. Where this source loaded something else before, its recipients decide and not a file's time
        or a query's text: the same ones are silently the same audience, and ones that are only new are added
        with a WARNING.

        :param audience: the rows; not opened when this source was loaded before.
        :param source: who loads: dag, run, task and map index, or a call of the command line.
        :param give_up: asked now and then; True ends the load.
        :param audience_change: what someone said of a source that changed: ``"add"`` who is new, also where
            others are gone, or ``"keep"`` what was loaded first and add nobody.
        :param formerly: what the source was called by earlier versions; what it loaded then is its own.
        :return: whether the audience was merged now.
        :raises AudienceError: it cannot be read, or not one of its rows is a number; nothing of it is kept.
        :raises CampaignStopped: when ``give_up`` said so.
        :raises AudienceChanged: when recipients are gone from the source and others are new, or some of those
            gone would still get the message, and ``audience_change`` says nothing; the campaign stays as it
            is.
        """
        load = AudienceLoad(
            self._ledger, self.plan, self._key, audience, source, self._lease, audience_change, formerly
        )
        skipped = load.run(give_up)
        if skipped is None:
            return False
        self.outcomes.update({(State.SKIPPED, reason): number for reason, number in skipped.items()})
        return True

    def send(
        self,
        stop: threading.Event | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        *,
        every: float = 1.0,
    ) -> None:
        """Send what is pending, until every recipient of the campaign is settled.

        :param stop: set it, from any thread or signal handler, to end the run within four seconds.
        :param on_progress: called in this thread about once every ``every`` seconds.
        :raises CampaignError: when the run ends otherwise; see :mod:`.errors`.
        :raises KeyOfAnotherAccount: when the AppKey was given to another account since this was made.
        """
        self._refuse_if_stopped()
        with self._ledger.reading() as connection:
            account_names.refuse_if_separated(connection, self._key, self.plan.known_app_key)
        reopen_skipped(self._ledger, self.plan, self._key)
        _log_forecast(self._ledger, self.plan, self._key, self._ledger.machine.clock())
        run = Dispatcher(
            self.plan,
            self._ledger,
            self._client,
            campaign_key=self._key,
            lease=self._lease,
            senders=self._senders,
            stop=stop or threading.Event(),
            note=self.outcomes.update,
        )
        try:
            run.run(on_progress, every)
        except errors.OutsideWindow:
            tallies.keep(self._ledger, self._key)
            raise
        tallies.keep(self._ledger, self._key)

    def counts(self) -> Counts:
        """Count the campaign's recipients by what became of them so far."""
        counts = Counts(self.plan.campaign_id, self.plan.tpl_id)
        with self._ledger.reading() as connection:
            counts.add(tallies.tally(connection, self._key, self._ledger.now(connection)))
            if counts.total == counts.sent == 1:
                counts.sid = reports.read_only_sid(connection, self._key)
        return counts

    def skip_rest(self, reason: SkipReason | str) -> None:
        """Skip what is pending."""
        skip = SkipReason(reason)
        self.outcomes[State.SKIPPED, skip.value] += recipient_rows.skip_pending(self._ledger, self._key, skip)

    def check_ratio(self) -> None:
        """Fail a campaign of which too much failed.

        :raises FailureRatioReached: when (rejected + unknown) / (sent + rejected + unknown) is that much.
        """
        counts, most = self.counts(), self.plan.max_failure_ratio
        if most is not None and counts.failure_ratio >= most:
            codes = ", ".join(f"{code}: {number}" for code, number in counts.rejected.most_common())
            raise errors.FailureRatioReached(
                f"{counts.failure_ratio:.0%} of the messages failed (max_failure_ratio {most:.0%}): "
                f"{counts.rejected.total()} rejected ({codes or 'none'}), {counts.unknown} unknown, {counts.sent} sent."
            )

    def write_report(self, file: IO[str]) -> None:
        """Write what became of each recipient as CSV, in the audience's order, with full numbers.

        :param file: open for text with ``newline=""``.
        """
        with self._ledger.reading() as connection:
            write_report(file, reports.read_report(connection, self._key, self._ledger.now(connection)))

    def _refuse_if_stopped(self) -> None:
        with self._ledger.reading() as connection:
            row = CampaignRow.read(connection, self._key)
        if row.cancelled:
            self.skip_rest(SkipReason.CANCELLED)
            raise errors.CampaignCancelled(f"Campaign {self.plan.campaign_id!r} was cancelled.")
        if row.paused:
            raise errors.CampaignPaused(f"Campaign {self.plan.campaign_id!r} is paused.")


def _log_forecast(ledger: Ledger, plan: Plan, campaign_key: int, now: float) -> None:
    """Log how long a run will take, how many had the template before, and what falls behind today's closing.

    :param now: the host's clock, in seconds since the epoch.
    """
    with ledger.reading() as connection:
        row = CampaignRow.read(connection, campaign_key)
        had, looked_at = history.count_had_template(
            ledger.machine, connection, campaign_key, row.account, plan.tpl_id
        )
    pending = row.counts[State.PENDING]
    log.info(
        "%d recipients to send, about %s at %g a second.", pending, _duration(pending / plan.rate), plan.rate
    )
    if had:
        log.info("%d of the first %d already had template %d, or may have.", had, looked_at, plan.tpl_id)
    late, closes_at = behind_closing(plan, pending, now)
    if late:
        log.warning("About %d of them fall behind today's closing at %s.", late, f"{closes_at:%H:%M}")


def behind_closing(plan: Plan, pending: int, now: float) -> tuple[int, pendulum.DateTime | None]:
    """Return how many recipients today's window has no time for, and when it closes; closed: 0 and None.

    :param now: the host's clock, in seconds since the epoch.
    """
    moment, window = pendulum.from_timestamp(now, tz=CHINA), plan.window
    if window is None or window.all_day or not window.contains(moment):
        return 0, None
    closes_at = window.closes_at(moment)
    left = (closes_at - moment).total_seconds() - plan.timeout - CLOSING_GUARD_SECONDS
    return round(max(0.0, pending / plan.rate - left) * plan.rate), closes_at


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
