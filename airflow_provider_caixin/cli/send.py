"""Sending: what would happen to an audience, and letting it happen, as the operator does."""

from __future__ import annotations

import argparse
import gc
import re
import shlex
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_caixin.audience import Audience, FileAudience, ListAudience, normalise
from airflow_provider_caixin.campaign import (
    Campaign,
    Counts,
    DamagedRows,
    Plan,
    errors,
    loaded,
    refuse_expired,
)
from airflow_provider_caixin.campaign.report import write_report
from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.cli.lookup import open_ledger, read_number
from airflow_provider_caixin.cli.output import show_one
from airflow_provider_caixin.cli.terminal import Exit, Refused, StatusLine, confirm, note, usage_errors
from airflow_provider_caixin.ledger import LedgerError
from airflow_provider_caixin.ledger.rows.account_names import name_in_force
from airflow_provider_caixin.ledger.views import campaigns as campaign_views
from airflow_provider_caixin.ledger.views.reports import ReportRow
from airflow_provider_caixin.session.arguments import Arguments
from airflow_provider_caixin.session.progress import duration, sentence
from airflow_provider_caixin.session.readers import object_path, read_template_id
from airflow_provider_caixin.session.report_file import ReportError
from airflow_provider_caixin.session.session import Session
from airflow_provider_caixin.session.template import TemplateUnavailable, available_template, missing_opt_out
from airflow_provider_caixin.settings.options import DEFAULT_CONN_ID
from airflow_provider_caixin.vocabulary import UNFINISHED

if TYPE_CHECKING:
    from types import FrameType

    from airflow.providers.common.compat.sdk import ObjectStoragePath


def check(args: argparse.Namespace) -> Exit:
    """Show what would happen to an audience now."""
    session, audience = _session(args)
    with session:
        beside = _find_campaign(args, session, audience)
        if beside:
            note(str(beside))
        rows: list[ReportRow] = []
        counts = _preview(session, audience, rows.append if session.report else lambda _: None)
        if session.report:
            with session.report.open() as file:
                write_report(file, rows)
    show_one(counts.as_result(vars(args).get("report_file")), args.output, _rows(counts))
    _foretell(session.plan, counts)
    return Exit.DONE if counts.would_send else Exit.NOTHING


def send(args: argparse.Namespace) -> Exit:
    """Send a template to an audience."""
    if args.dry_run:
        return check(args)
    files = _Unchanged()
    session, audience = _session(args, files.add)
    files.add(session.opted_out)
    opens_at = session.plan.opening(time.time())
    if opens_at is not None:
        raise errors.OutsideWindow(
            f"The send window {session.plan.window} is closed; it opens {opens_at:%Y-%m-%d %H:%M} (Asia/Shanghai). "
            "Nothing was sent.",
            opens_at,
        )
    if args.ledger not in (None, session.settings.ledger_conn_id):
        note(
            f"{args.ledger!r} is not the ledger of the connection: what was sent by that one is not known here, and caps, rate "
            "and volume are counted apart."
        )
    with session:
        ledger = session.ledger
        if session.report:
            session.report.check()
        beside = _find_campaign(args, session, audience)
        if beside and beside.forbids:
            raise Refused(f"{beside} Nothing was sent.", Exit.FAILED)
        if beside:
            note(str(beside))
        so_far = loaded(ledger, session.plan, _loader(session.plan))
        if not so_far.by_loader:
            refuse_expired(session.plan, time.time(), so_far.first_at)
        try:
            preview = _preview(session, audience)
        except DamagedRows:
            # What can be read of it holds whatever comes of the rest.
            session.import_opt_outs()
            raise
        _ask(args, session, preview)
        files.check()
        if session.import_opt_outs() is not None:
            files.check()
        return _send(args, session, audience, files)


def _session(
    args: argparse.Namespace, seen: Callable[[Audience], None] = lambda _: None
) -> tuple[Session, Audience]:
    """Read what a command was given, and show which rules it loosens.

    :param seen: called with the audience before anything is read of it, such as the campaign's name.
    """
    with usage_errors():
        file = _audience_file(args.audience)
        given = Arguments.of_command(
            vars(args),
            tpl_id=read_template_id(args.tpl_id) if args.tpl_id else 0,
            audience_file=file,
            caixin_conn_id=args.conn_id or DEFAULT_CONN_ID,
        )
        audience: Audience
        if file is not None:
            audience = FileAudience(file, given.audience_column)
        else:
            # They were typed, so one that is none is a mistake to mend and no row to skip.
            audience = ListAudience([read_number(one) for one in args.audience])
    seen(audience)
    with usage_errors():
        session = Session(
            given,
            campaign_id=lambda: _campaign_id(given, audience),
            open_ledger=lambda settings: open_ledger(args, settings, make=True),
            where="in this command",
        )
    for one in session.rules.loosened:
        note(f"A rule is loosened: {one}.")
    return session, audience


def _ask(args: argparse.Namespace, session: Session, preview: Counts) -> None:
    """Show what is about to be billed, and ask."""
    plan = session.plan
    again = preview.unknown if plan.on_unknown == "resend" else 0
    if not preview.would_send and not again:
        why = ", ".join(f"{reason}: {number:,}" for reason, number in preview.skipped.most_common() if number)
        hint = ""
        if preview.skipped["duplicate"]:
            hint = " duplicate is also who got it in this campaign: to send it once more give another --campaign-id."
        raise Refused(
            f"Campaign {plan.campaign_id!r} has no recipient to send to: of {preview.total:,} recipients none would get the message "
            f"({why or 'the audience is empty'}; rejected: {preview.rejected.total():,}, unknown: {preview.unknown:,}).{hint}",
            Exit.FAILED if preview.skipped["cancelled"] else Exit.NOTHING,
        )
    try:
        with StatusLine("Asking the gateway for the template"):
            template = available_template(session.hook, plan.tpl_id)
    except TemplateUnavailable as error:
        raise Refused(str(error), Exit.FAILED) from None
    note(f"Template {plan.tpl_id}: {template.content}")
    if warning := missing_opt_out(template):
        note(warning)
    with session.ledger.reading() as connection:
        account = name_in_force(connection, plan.account, plan.known_app_key)
    note(f"Campaign {plan.campaign_id!r}, account {account!r}, window {plan.window or 'off'}.")
    _foretell(plan, preview)
    twice = f" and up to {again:,} unknown ones once more" if again else ""
    confirm(f"Send {preview.would_send:,} messages{twice}, each of which is billed?", yes=args.yes)


def _send(args: argparse.Namespace, session: Session, audience: Audience, files: _Unchanged) -> Exit:
    stop = threading.Event()
    campaign = session.open_campaign()
    with _stopped_by_signals(stop) as caught:
        try:
            with StatusLine("Loading the audience") as busy:
                counted = _Counted(audience, busy, files.check)
                source = _loader(campaign.plan)
                # Typed numbers are another audience each time, which was just said yes to.
                place: str = "numbers"
                change: Literal["add", "keep"] | None = "add"
                if isinstance(audience, FileAudience):
                    place, change = audience.place, session.given.audience_change
                where = f"{source}/{place}"
                campaign.load(counted, where, stop.is_set, audience_change=change, formerly=source)
                campaign.send(stop, lambda progress: setattr(busy, "text", sentence(progress)))
        except errors.CampaignStopped as stopped:
            if not isinstance(stopped, errors.StoppedInSilence):
                with suppress(LedgerError):
                    _show_counts(args, campaign.counts(), None)
            note(f"{stopped} The same command goes on where the campaign stands.")
            # At its end the interpreter looks through all of Airflow for garbage: seconds that are not left.
            gc.freeze()
            return Exit.TERMINATED if signal.SIGTERM in caught else Exit.INTERRUPTED
        except errors.LedgerSilent:
            raise
        except errors.CampaignError:
            # The error that came first is the one that is shown.
            with suppress(LedgerError, OSError, Refused):
                _end(args, session, campaign)
            raise
    counts = _end(args, session, campaign)
    campaign.check_ratio()
    return Exit.DONE if counts.sent else Exit.NOTHING


def _end(args: argparse.Namespace, session: Session, campaign: Campaign) -> Counts:
    """Show what became of the recipients, and write the report."""
    counts = campaign.counts()
    _show_counts(args, counts, vars(args).get("report_file"))
    try:
        with StatusLine("Writing the report"):
            session.write_report(campaign)
    except ReportError as error:
        raise Refused(
            f"{error} The counts hold; without any send the report is had by: campaign report "
            f"{shlex.quote(campaign.plan.campaign_id)} --file FILE",
            Exit.FAILED,
        ) from None
    return counts


@contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[set[int]]:
    """Let Ctrl-C and SIGTERM end the run within four seconds, with what is in the air recorded."""
    caught: set[int] = set()

    def tell(number: int, _frame: FrameType | None) -> None:
        caught.add(number)
        stop.set()

    before = {number: signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Unchanged:
    """Hold a yes to the files that it was given to."""

    def __init__(self) -> None:
        self._seen: list[tuple[Audience, str]] = []

    def add(self, one: Audience) -> None:
        """Note how a file is now."""
        self._seen.append((one, one.fingerprint))

    def check(self) -> None:
        """Refuse to send to recipients that the question did not count: a file is another by now."""
        for one, fingerprint in self._seen:
            if one.fingerprint != fingerprint:
                raise Refused(
                    f"{one} changed after its rows were counted. Nothing was sent; give the command again.",
                    Exit.FAILED,
                )


class _Counted:
    """An audience that shows how far it was read; ``at_end`` is called before a load has merged anything."""

    def __init__(
        self, audience: Audience, busy: StatusLine, at_end: Callable[[], None] = lambda: None
    ) -> None:
        self._audience = audience
        self._busy = busy
        self._at_end = at_end

    def __str__(self) -> str:
        """Name the audience as messages do."""
        return str(self._audience)

    @property
    def fingerprint(self) -> str:
        """The audience's."""
        return self._audience.fingerprint

    def __iter__(self) -> Iterator[object]:
        """Stream its rows."""
        yield from self._busy.count(self._audience, "rows read")
        self._at_end()


def _audience_file(words: list[str]) -> ObjectStoragePath | None:
    """Return the file that an audience is; None: it is numbers."""
    if len(words) == 1 and normalise(words[0]) is None and not words[0].strip("+-() ").isdigit():
        return object_path(words[0])
    return None


def _campaign_id(given: Arguments, audience: Audience) -> str:
    """Return the same name for the same command, so that a repetition bills nothing twice."""
    if given.campaign_id is not None:
        return str(given.campaign_id)
    if isinstance(audience, FileAudience):
        with StatusLine("Reading the file"):
            return f"{_of_file(given.tpl_id, audience)}{audience.content[:12]}"
    # A hash of few numbers would give them away to whoever tries all.
    return f"cli/{given.tpl_id}/{datetime.now(CHINA):%Y-%m-%d}"


def _loader(plan: Plan) -> str:
    return f"cli/{plan.campaign_id}"


def _of_file(tpl_id: int, audience: FileAudience) -> str:
    return f"cli/{tpl_id}/{audience.path.name}/"


@dataclass(frozen=True)
class _Beside:
    """A campaign of the same template and file name that is not finished.

    :param is_by_time: it has its name from the file's time, so it may be of this very content.
    :param options: by which a command finds the same ledger.
    """

    found: campaign_views.Summary
    is_by_time: bool
    options: str

    @property
    def reached(self) -> int:
        """How many got the message or may have."""
        return self.found.sent + self.found.unknown + self.found.in_flight

    @property
    def forbids(self) -> bool:
        """Whether another campaign beside it could reach recipients for the second time."""
        return self.is_by_time or self.reached > 0

    def __str__(self) -> str:
        """Return which it is, and what may be done."""
        name = shlex.quote(self.found.campaign_id)
        if not self.forbids:
            return (
                f"Campaign {self.found.campaign_id!r} of a file of this name is not finished: nobody got the message, {self.found.left:,} "
                f"recipients are left. This file is a campaign of its own beside it. If the earlier one is not wanted: airflow caixin "
                f"campaign cancel {name}{self.options}"
            )
        return (
            f"Campaign {self.found.campaign_id!r} of a file of this name is not finished: {self.found.left:,} recipients are left, "
            f"{self.reached:,} got the message or may have. To go on with it add --campaign-id {name}; to send this file as a "
            f"campaign of its own add another --campaign-id, or first: airflow caixin campaign cancel {name}{self.options}"
        )


def _find_campaign(args: argparse.Namespace, session: Session, audience: Audience) -> _Beside | None:
    """Find the campaign of a file without a given name: by content, or by time as earlier versions did.

    :return: where it is new, what else of the file's name is not finished.
    """
    plan = session.plan
    if session.given.campaign_id is not None or not isinstance(audience, FileAudience):
        return None
    prefix = _of_file(plan.tpl_id, audience)
    earlier = prefix + audience.fingerprint[:8]
    with session.ledger.reading() as connection:
        now = session.ledger.now(connection)
        if campaign_views.find(connection, plan.campaign_id, now):
            return None
        if campaign_views.find(connection, earlier, now):
            note(
                f"Campaign {earlier!r} has this file's time and size: it goes on under that name, which an earlier version gave it."
            )
            session.plan = replace(plan, campaign_id=earlier)
            return None
        unfinished = campaign_views.campaigns(connection, now, search=prefix, status=UNFINISHED, most=1_000)
    given = (("--conn-id", args.conn_id), ("--ledger", args.ledger))
    options = "".join(f" {flag} {shlex.quote(value)}" for flag, value in given if value)
    beside = [
        _Beside(one, len(kind[1]) == 8, options)
        for one in unfinished
        if (kind := re.fullmatch(re.escape(prefix) + "([0-9a-f]{8}|[0-9a-f]{12})", one.campaign_id))
        and (one.left or one.loading_until is not None)
    ]
    return max(beside, key=lambda one: one.forbids, default=None)


def _preview(
    session: Session, audience: Audience, tell: Callable[[ReportRow], None] = lambda _: None
) -> Counts:
    with StatusLine("Reading the audience") as busy:
        return session.dry_run(_Counted(audience, busy), tell)


def _foretell(plan: Plan, counts: Counts) -> None:
    """Show what the counts alone do not."""
    if counts.mostly_invalid:
        note(counts.mostly_invalid)
    if not counts.would_send:
        return
    had, among = counts.had_template
    if had:
        note(f"{had:,} of the first {among:,} already had this template, or may have.")
    seconds = counts.would_send / plan.rate
    if seconds >= 1:
        note(f"At {plan.rate:g} a second it takes about {duration(seconds)}.")
    opens_at = plan.opening(time.time())
    if opens_at is not None:
        note(f"The send window {plan.window} is closed; it opens {opens_at:%Y-%m-%d %H:%M} (Asia/Shanghai).")


def _show_counts(args: argparse.Namespace, counts: Counts, report_file: str | None) -> None:
    show_one(counts.as_result(report_file), args.output, _rows(counts))
    if counts.mostly_invalid:
        note(counts.mostly_invalid)


def _rows(counts: Counts) -> list[dict[str, Any]]:
    found: list[tuple[str, str, int]] = []
    if counts.would_send is not None:
        found.append(("would be sent", "", counts.would_send))
    found += [("sent", "", counts.sent), ("unknown", "", counts.unknown), ("pending", "", counts.pending)]
    for state, by_reason in (("rejected", counts.rejected), ("skipped", counts.skipped)):
        found += [(state, str(reason), number) for reason, number in Counter(by_reason).most_common()]
    rows = [
        {"state": state, "reason": reason, "recipients": number} for state, reason, number in found if number
    ]
    return [*rows, {"state": "total", "reason": "", "recipients": counts.total}]
