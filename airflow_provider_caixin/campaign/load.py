"""Load an audience into a campaign, once per source and content."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy.engine import Connection

from airflow_provider_caixin.audience import Audience, AudienceError, require_numbers
from airflow_provider_caixin.campaign.errors import AudienceChanged, CampaignStopped
from airflow_provider_caixin.campaign.judge import judge
from airflow_provider_caixin.campaign.plan import Plan
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.errors import LoadGivenUp
from airflow_provider_caixin.ledger.queue.draw import Recipient
from airflow_provider_caixin.ledger.queue.load import load_audience
from airflow_provider_caixin.ledger.queue.revision import Change, LoadUnwanted, Revision
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.rows.campaign import CampaignRow
from airflow_provider_caixin.ledger.rows.load import is_known, is_of, skipped_by_load, was_loaded

log = logging.getLogger(__name__)

AudienceChange = Literal["add", "keep"]
"""What someone said of a source that changed under its campaign."""


@dataclass(frozen=True, slots=True)
class AudienceLoad:
    """One audience on its way into a campaign; see :meth:`.Campaign.load`.

    :param loader: who loads.
    :param lease: seconds of silence after which another process may take the load over.
    """

    ledger: Ledger
    plan: Plan
    campaign_key: int
    audience: Audience
    loader: str
    lease: float
    audience_change: AudienceChange | None
    formerly: str | None

    @property
    def _source(self) -> str:
        place = getattr(self.audience, "place", None)
        return f"{self.loader}/{place}" if place else self.loader

    def run(self, give_up: Callable[[], bool]) -> Mapping[str, int] | None:
        """Merge the audience; return whom it skipped, by reason; None: nothing was merged.

        :param give_up: asked now and then; True ends the load.
        """
        try:
            fingerprint = self.audience.fingerprint
        except AudienceError as missing:
            with self.ledger.reading() as connection:
                if not was_loaded(connection, self.campaign_key, self._source):
                    raise
            log.warning("%s It was loaded before, so the campaign goes on from the ledger.", missing)
            return None
        with self.ledger.reading() as connection:
            name = self._name(connection, fingerprint)
            is_cancelled = CampaignRow.read(connection, self.campaign_key).cancelled
        classifier, machine = self.plan.classifier, self.ledger.machine
        unknown_before, began = classifier.unknown_segments, machine.monotonic()
        try:
            fresh = load_audience(
                self.ledger,
                self.campaign_key,
                name,
                self._classified,
                lease=self.lease,
                give_up=give_up,
                revision=Revision(
                    self._is_same,
                    self._reached,
                    # Of a cancelled campaign there is nothing to decide.
                    lambda change: is_cancelled or self._heed(change),
                    resends=self.plan.on_unknown == "resend",
                ),
            )
        except LoadGivenUp as stopped:
            raise CampaignStopped(str(stopped)) from None
        except LoadUnwanted as unwanted:
            if self.audience_change == "keep":
                return None
            raise self._refusal(unwanted.change) from None
        if not fresh:
            return None
        campaign_rows.note_classifier(self.ledger, self.campaign_key, classifier.fingerprint)
        log.info(
            "Audience loaded in %.1f s; %d numbers are in segments that the data does not know and count as allowed.",
            machine.monotonic() - began,
            classifier.unknown_segments - unknown_before,
        )
        with self.ledger.reading() as connection:
            return skipped_by_load(connection, self.campaign_key, name)

    def _name(self, connection: Connection, fingerprint: str) -> str:
        """Return the name of the load: who loads what."""
        former = f"{self.formerly}/{fingerprint}"
        if self.formerly and is_known(connection, self.campaign_key, former):
            return former
        return f"{self._source}/{fingerprint}"

    def _classified(self) -> Iterable[tuple[str, str | None]]:
        """Open the audience and judge its rows as they stream by."""
        classifier = self.plan.classifier
        # Also before: what these rules skip is adopted as it is by a later load when this one is broken off.
        campaign_rows.note_classifier(self.ledger, self.campaign_key, classifier.fingerprint)
        return require_numbers(classifier.classify(self.audience), self.audience, warn=True)

    def _is_same(self, loaded: str) -> bool:
        """Return whether a load was this source's, also one of another file: a wrong path is corrected."""
        return is_of(loaded, self.loader) or loaded.rpartition("/")[0] == self.formerly

    def _reached(self, connection: Connection, numbers: Sequence[str]) -> int:
        """Count to whom a run under these rules would send, now or, where a cap holds it back, later."""
        account = CampaignRow.read(connection, self.campaign_key).account
        drawn = [Recipient(0, number, 0) for number in numbers]
        judged = judge(connection, replace(self.plan, cap=None), account, drawn, self.ledger.now(connection))
        return len(judged.passed) + len(judged.waiting)

    def _heed(self, change: Change) -> bool:
        """Log what changed, and return whether it is merged."""
        if not change.new and not change.gone:
            return True
        said, asked = self._told(change), self.audience_change
        if not change.recipients:
            log.warning("%s Nobody is in it now: the campaign goes on with the first list.", said)
            return True
        if change.new and asked == "keep":
            log.warning(
                "%s The campaign goes on with the first list: nobody is added (audience_change).", said
            )
            return False
        if asked is None and change.gone and (change.new or change.left):
            return False
        if change.new and asked is None:
            log.warning("%s They are added.", said)
        else:
            log.info("%s Who is new is added, and nobody is taken out.", said)
        return True

    def _refusal(self, change: Change) -> AudienceChanged:
        return AudienceChanged(
            f"{self._told(change)} Nobody was added, and nothing more was sent. If both lists are to get it, say "
            'audience_change="add" and clear the task (on the command line --audience-change add); if the first one alone, "keep"; '
            f"if the first one was wrong, airflow caixin campaign cancel {shlex.quote(self.plan.campaign_id)} and begin a new one."
        )

    def _told(self, change: Change) -> str:
        gone = f" and {change.gone} are gone, {change.left} of whom would still get the message"
        # Of those that have a name of their own: a file's is better known than its place.
        is_named = type(self.audience).__str__ is not object.__str__
        shown = f"{self.loader!r} ({self.audience})" if is_named else repr(self.loader)
        return (
            f"The audience of {shown} changed under campaign {self.plan.campaign_id!r}: of its recipients {change.new} are "
            f"new{gone * bool(change.gone)}."
        )
