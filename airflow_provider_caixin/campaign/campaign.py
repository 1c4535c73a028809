"""A campaign: its audience loaded once, then sent until every recipient is settled."""

from __future__ import annotations

import logging
import shlex
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import IO, Final, Literal

import pendulum
from sqlalchemy.engine import Connection

from airflow_provider_caixin.audience import Audience, AudienceError, require_numbers
from airflow_provider_caixin.campaign.counts import Counts, Outcome, Progress
from airflow_provider_caixin.campaign.dispatcher import Dispatcher
from airflow_provider_caixin.campaign.errors import (
    AudienceChanged,
    CampaignCancelled,
    CampaignPaused,
    CampaignStopped,
    FailureRatioReached,
    OutsideWindow,
)
from airflow_provider_caixin.campaign.judge import judge
from airflow_provider_caixin.campaign.plan import Plan
from airflow_provider_caixin.campaign.reopen import reopen_skipped
from airflow_provider_caixin.campaign.report import write_report
from airflow_provider_caixin.campaign.senders import Client
from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.errors import LoadGivenUp
from airflow_provider_caixin.ledger.queue import history
from airflow_provider_caixin.ledger.queue.draw import Drawn
from airflow_provider_caixin.ledger.queue.load import Change, LoadUnwanted, Revision, load_audience
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.rows import names as account_names
from airflow_provider_caixin.ledger.rows import recipient as recipient_rows
from airflow_provider_caixin.ledger.rows import tally as tallies
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow, Origin
from airflow_provider_caixin.ledger.rows.load import is_known, is_of, skipped_by_load, was_loaded
from airflow_provider_caixin.ledger.views import reports
from airflow_provider_caixin.rules import CLOSING_GUARD_SECONDS
from airflow_provider_caixin.vocabulary import SkipReason, State

log = logging.getLogger(__name__)

LEASE: Final = 60.0
SENDERS: Final = 384


class Campaign:
    """
    One template sent to one audience, once, under the rules of a plan.

    Making one opens or makes the campaign in the ledger.

    :param plan: the arguments of this run.
    :param ledger: the ledger.
    :param client: the gateway's client.
    :param clock: the host's clock, seconds since the epoch, for window and expiry.
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
        clock: Callable[[], float] = time.time,
        lease: float = LEASE,
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
        self._clock = clock
        self._lease = lease
        self._senders = senders
        with ledger.writing() as connection:
            account = account_names.open_account(ledger, connection, plan.account, plan.account_key)
            self._key = campaign_rows.find_campaign(
                ledger, connection, plan.campaign_id, account, plan.tpl_id, clock()
            )
            campaign_rows.note_run(connection, self._key, origin, plan.rate, plan.loosened)

    def load(
        self,
        audience: Audience,
        source: str,
        give_up: Callable[[], bool] = lambda: False,
        *,
        audience_change: Literal["add", "keep"] | None = None,
        formerly: str | None = None,
    ) -> bool:
        """
        Merge an audience into the campaign, once per source and content.

        A file that is gone is no hindrance when this source loaded that file before: the ledger is the audience. Where this
        source loaded something else before, people decide and not a file's time or a query's text: the same people are
        silently the same audience, and people who are only new are added with a WARNING.

        :param audience: the rows; not opened when this source was loaded before.
        :param source: who loads: dag, run, task and map index, or a call of the command line.
        :param give_up: asked now and then; True ends the load.
        :param audience_change: what a person said of a source that changed: ``"add"`` who is new, also where others are
            gone, or ``"keep"`` what was loaded first and add nobody.
        :param formerly: what the source was called by earlier versions; what it loaded then is its own.
        :return: whether the audience was merged now.
        :raises AudienceError: it cannot be read, or has rows and not one of them is a number; nothing of it is kept.
        :raises CampaignStopped: when ``give_up`` said so.
        :raises AudienceChanged: when people are gone from the source and others are new, or some of those gone would still
            get the message, and ``audience_change`` says nothing; the campaign stays as it is.
        """
        loader = source
        # Of those that have a name of their own: a file's is better known than its place.
        named = f"{source!r} ({audience})" if type(audience).__str__ is not object.__str__ else repr(source)
        if place := getattr(audience, "place", None):
            source = f"{source}/{place}"
        try:
            fingerprint = audience.fingerprint
        except AudienceError as missing:
            with self._ledger.reading() as connection:
                if not was_loaded(connection, self._key, source):
                    raise
            log.warning("%s It was loaded before, so the campaign goes on from the ledger.", missing)
            return False
        name = f"{source}/{fingerprint}"
        with self._ledger.reading() as connection:
            if formerly and is_known(connection, self._key, former := f"{formerly}/{fingerprint}"):
                name = former
            cancelled = CampaignRow.read(connection, self._key).cancelled
        classifier = self.plan.classifier
        unknown_before = classifier.unknown_segments
        began = time.monotonic()

        def judged() -> Iterable[tuple[str, str | None]]:
            # Also before: what these rules skip is adopted as it is by a later load when this one is broken off.
            campaign_rows.note_classifier(self._ledger, self._key, classifier.fingerprint)
            return require_numbers(classifier.classify(audience), audience, warn=True)

        def is_same(loaded: str) -> bool:
            # Also another file of the same task: the path was wrong, and is corrected.
            return is_of(loaded, loader) or loaded.rpartition("/")[0] == formerly

        def heed(change: Change) -> bool:
            # Of a cancelled campaign there is nothing to decide.
            return cancelled or self._heed(change, named, audience_change)

        try:
            fresh = load_audience(
                self._ledger,
                self._key,
                name,
                judged,
                lease=self._lease,
                give_up=give_up,
                revision=Revision(is_same, self._reached, heed, resends=self.plan.on_unknown == "resend"),
            )
        except LoadGivenUp as stopped:
            raise CampaignStopped(str(stopped)) from None
        except LoadUnwanted as unwanted:
            if audience_change == "keep":
                return False
            raise AudienceChanged(
                f"{self._told(unwanted.change, named)} Nobody was added, and nothing more was sent. If both lists are to get it, "
                'say audience_change="add" and clear the task (on the command line --audience-change add); if the first one alone, '
                '"keep"; if the first one was wrong, airflow caixin campaign cancel '
                f"{shlex.quote(self.plan.campaign_id)} and begin a new one."
            ) from None
        if fresh:
            with self._ledger.reading() as connection:
                skipped = skipped_by_load(connection, self._key, name)
            self.outcomes.update({(State.SKIPPED, reason): number for reason, number in skipped.items()})
            campaign_rows.note_classifier(self._ledger, self._key, classifier.fingerprint)
            log.info(
                "Audience loaded in %.1f s; %d numbers are in segments that the data does not know and count as allowed.",
                time.monotonic() - began,
                classifier.unknown_segments - unknown_before,
            )
        return fresh

    def _reached(self, connection: Connection, numbers: Sequence[str]) -> int:
        """Count to whom a run under these rules would send, now or, where a cap holds it back today, later."""
        account = CampaignRow.read(connection, self._key).account
        judged = judge(
            connection,
            replace(self.plan, cap=None),
            account,
            [Drawn(0, number, 0) for number in numbers],
            self._ledger.now(connection),
        )
        return len(judged.passed) + len(judged.waiting)

    def _heed(self, change: Change, named: str, audience_change: Literal["add", "keep"] | None) -> bool:
        """Say what changed and whether it is merged."""
        if not change.new and not change.gone:
            return True
        said = self._told(change, named)
        if not change.people:
            log.warning("%s Nobody is in it now: the campaign goes on with the first list.", said)
            return True
        if change.new and audience_change == "keep":
            log.warning(
                "%s The campaign goes on with the first list: nobody is added (audience_change).", said
            )
            return False
        if audience_change is None and change.gone and (change.new or change.left):
            return False
        if change.new and audience_change is None:
            log.warning("%s They are added.", said)
        else:
            log.info("%s Who is new is added, and nobody is taken out.", said)
        return True

    def _told(self, change: Change, named: str) -> str:
        gone = f" and {change.gone} are gone, {change.left} of whom would still get the message" * bool(
            change.gone
        )
        return (
            f"The audience of {named} changed under campaign {self.plan.campaign_id!r}: of its people {change.new} are "
            f"new{gone}."
        )

    def send(
        self,
        stop: threading.Event | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        *,
        every: float = 1.0,
    ) -> None:
        """
        Send what is pending, until every recipient of the campaign is settled.

        :param stop: set it, from any thread or signal handler, to end the run within four seconds.
        :param on_progress: called in this thread about once every ``every`` seconds.
        :param every: seconds.
        :raises CampaignError: when the run ends otherwise; see :mod:`.exceptions`.
        :raises KeyOfAnotherAccount: when the AppKey was given to another account since this was made.
        """
        self._refuse_if_stopped()
        with self._ledger.reading() as connection:
            account_names.refuse_if_separated(connection, self._key, self.plan.account_key)
        reopen_skipped(self._ledger, self.plan, self._key)
        self._forecast()
        run = Dispatcher(
            self.plan,
            self._ledger,
            self._client,
            campaign=self._key,
            clock=self._clock,
            lease=self._lease,
            senders=self._senders,
            stop=stop or threading.Event(),
            outcomes=self.outcomes,
        )
        try:
            run.run(on_progress, every)
        except OutsideWindow:
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
        """
        Skip what is pending.

        :param reason: the skip reason.
        """
        skip = SkipReason(reason)
        self.outcomes[State.SKIPPED, skip.value] += recipient_rows.skip_pending(self._ledger, self._key, skip)

    def check_ratio(self) -> None:
        """
        Fail a campaign of which too much failed.

        :raises FailureRatioReached: when (rejected + unknown) / (sent + rejected + unknown) reaches the limit.
        """
        counts, most = self.counts(), self.plan.max_failure_ratio
        if most is not None and counts.failure_ratio >= most:
            codes = ", ".join(f"{code}: {number}" for code, number in counts.rejected.most_common())
            raise FailureRatioReached(
                f"{counts.failure_ratio:.0%} of the messages failed (max_failure_ratio {most:.0%}): "
                f"{counts.rejected.total()} rejected ({codes or 'none'}), {counts.unknown} unknown, {counts.sent} sent."
            )

    def write_report(self, file: IO[str]) -> None:
        """
        Write what became of each recipient as CSV, in the audience's order, with full numbers.

        :param file: open for text with ``newline=""``.
        """
        with self._ledger.reading() as connection:
            write_report(file, reports.read_report(connection, self._key, self._ledger.now(connection)))

    # ------------------------------------------------------------------ the start of a run

    def _refuse_if_stopped(self) -> None:
        with self._ledger.reading() as connection:
            row = CampaignRow.read(connection, self._key)
        if row.cancelled:
            self.skip_rest(SkipReason.CANCELLED)
            raise CampaignCancelled(f"Campaign {self.plan.campaign_id!r} was cancelled.")
        if row.paused:
            raise CampaignPaused(f"Campaign {self.plan.campaign_id!r} is paused.")

    def _forecast(self) -> None:
        """Say how long the run will take and what of it falls behind today's closing."""
        with self._ledger.reading() as connection:
            row = CampaignRow.read(connection, self._key)
            had, looked_at = history.count_had_template(connection, self._key, row.account, self.plan.tpl_id)
        pending = row.counts[State.PENDING]
        seconds = pending / self.plan.rate
        log.info(
            "%d recipients to send, about %s at %g a second.", pending, _duration(seconds), self.plan.rate
        )
        if had:
            log.info(
                "%d of the first %d already had template %d, or may have.", had, looked_at, self.plan.tpl_id
            )
        window = self.plan.window
        if window is not None and not window.all_day:
            now = pendulum.from_timestamp(self._clock(), tz=CHINA)
            if window.contains(now):
                left = (
                    (window.closes_at(now) - now).total_seconds() - self.plan.timeout - CLOSING_GUARD_SECONDS
                )
                late = round(max(0.0, seconds - left) * self.plan.rate)
                if late:
                    log.warning(
                        "About %d of them fall behind today's closing at %s.",
                        late,
                        f"{window.closes_at(now):%H:%M}",
                    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
