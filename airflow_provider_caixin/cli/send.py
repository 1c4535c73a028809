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
    CampaignError,
    CampaignStopped,
    Counts,
    DamagedRows,
    LedgerSilent,
    OutsideWindow,
    Plan,
    StoppedInSilence,
    dry_run,
    import_suppressions,
    loaded,
    numbers_of,
    refuse_expired,
)
from airflow_provider_caixin.campaign.report import report_pieces
from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.cli.lookup import open_hook, open_ledger, read_number
from airflow_provider_caixin.cli.output import csv_file, show_one
from airflow_provider_caixin.cli.terminal import Exit, Refused, StatusLine, confirm, note, usage_errors
from airflow_provider_caixin.compat import NOTSET
from airflow_provider_caixin.hooks.caixin import CaixinHook, template_id
from airflow_provider_caixin.ledger import Ledger, LedgerError
from airflow_provider_caixin.ledger.rows.account_names import name_in_force
from airflow_provider_caixin.ledger.views import campaigns as campaign_views
from airflow_provider_caixin.ledger.views.reports import ReportRow
from airflow_provider_caixin.session.arguments import check_rules, object_path, read_column, read_expiry
from airflow_provider_caixin.session.guards import came_to_nothing, is_nothing
from airflow_provider_caixin.session.progress import duration, sentence
from airflow_provider_caixin.session.report_file import ReportError, ReportFile
from airflow_provider_caixin.session.rules import TaskRules
from airflow_provider_caixin.settings.ledgers import embedded_path
from airflow_provider_caixin.vocabulary import UNFINISHED

if TYPE_CHECKING:
    from types import FrameType

    from airflow_provider_caixin.settings.connection import CaixinConnection


@dataclass(frozen=True)
class Rules:
    """The rules that were given on the command line, for :meth:`.TaskRules.of`."""

    send_window: Any
    frequency_cap: Any
    blocked_regions: Any
    allow_other_carriers: bool
    allow_virtual_operators: bool
    on_unknown: str

    @classmethod
    def of(cls, args: argparse.Namespace) -> Rules:
        """
        Read them: what is not given is the connection's.

        :param args: the command's.
        :raises ValueError: for one that cannot be right.
        """
        window, cap, regions = (
            _rule(getattr(args, name)) for name in ("send_window", "frequency_cap", "blocked_regions")
        )
        check_rules(window, cap, regions)
        return cls(
            window,
            cap,
            regions,
            args.allow_other_carriers,
            args.allow_virtual_operators,
            getattr(args, "on_unknown", "hold"),
        )


def check(args: argparse.Namespace) -> Exit:
    """
    Say what would happen to an audience now.

    :param args: the command's.
    """
    with usage_errors():
        audience, opted_out = _audience(args), _opted_out(args)
        _report_file(args, audience)
    with open_hook(args) as hook:
        plan = _plan(args, hook.settings, audience)
        with open_ledger(args, hook.settings, make=True) as ledger:
            plan, beside = _known(args, plan, ledger, audience)
            if beside:
                note(str(beside))
            counts = _preview(args, plan, ledger, audience, opted_out, args.report_file)
    show_one(counts.as_result(args.report_file), args.output, _rows(counts))
    _foretell(plan, counts)
    return Exit.DONE if counts.would_send else Exit.NOTHING


def send(args: argparse.Namespace) -> Exit:
    """
    Send a template to an audience.

    :param args: the command's.
    """
    if args.dry_run:
        return check(args)
    with usage_errors():
        audience, opted_out = _audience(args), _opted_out(args)
        report = _report_file(args, audience)
    files = _Unchanged(audience, opted_out)
    with open_hook(args) as hook:
        plan = _plan(args, hook.settings, audience)
        opens_at = plan.opening(time.time())
        if opens_at is not None:
            raise OutsideWindow(
                f"The send window {plan.window} is closed; it opens {opens_at:%Y-%m-%d %H:%M} (Asia/Shanghai). Nothing was sent.",
                opens_at,
            )
        if args.ledger not in (None, hook.settings.ledger_conn_id):
            note(
                f"{args.ledger!r} is not the ledger of the connection: what was sent by that one is not known here, and caps, rate "
                "and volume are counted apart."
            )
        with open_ledger(args, hook.settings, make=True) as ledger:
            if report:
                report.check()
            plan, beside = _known(args, plan, ledger, audience)
            if beside and beside.forbids:
                raise Refused(f"{beside} Nothing was sent.", Exit.FAILED)
            if beside:
                note(str(beside))
            so_far = loaded(ledger, plan, _loader(plan))
            if not so_far.by_loader:
                refuse_expired(plan, time.time(), so_far.first_at)
            try:
                preview = _preview(args, plan, ledger, audience, opted_out)
            except DamagedRows:
                # What can be read of it holds whatever comes of the rest.
                import_suppressions(ledger, opted_out, str(opted_out))
                raise
            _ask(args, hook, plan, ledger, preview)
            files.check()
            if args.suppress_file:
                import_suppressions(ledger, opted_out, str(opted_out))
                files.check()
            return _send(args, Campaign(plan, ledger, hook.client), audience, files)


def _ask(args: argparse.Namespace, hook: CaixinHook, plan: Plan, ledger: Ledger, preview: Counts) -> None:
    """Say what is about to be billed, and ask."""
    again = preview.unknown if plan.on_unknown == "resend" else 0
    if not preview.would_send and not again:
        why = ", ".join(f"{reason}: {number:,}" for reason, number in preview.skipped.most_common() if number)
        hint = ""
        if preview.skipped["duplicate"]:
            hint = " duplicate is also who got it in this campaign: to send it once more give another --campaign-id."
        raise Refused(
            f"Campaign {plan.campaign_id!r} has nobody to send to: of {preview.total:,} recipients none would get the message "
            f"({why or 'the audience is empty'}; rejected: {preview.rejected.total():,}, unknown: {preview.unknown:,}).{hint}",
            Exit.FAILED if preview.skipped["cancelled"] else Exit.NOTHING,
        )
    with StatusLine("Asking the gateway for the template"):
        template = hook.get_template(plan.tpl_id)
    if not template.available:
        raise Refused(
            f"Template {plan.tpl_id} is not available (tpl_state 0): Juhe has not approved it yet, or took it out of use.",
            Exit.FAILED,
        )
    note(f"Template {plan.tpl_id}: {template.content}")
    if not template.names_opt_out:
        note("It names no way to opt out, such as 拒收请回复R: marketing messages have to.")
    with ledger.reading() as connection:
        account = name_in_force(connection, plan.account, plan.known_app_key)
    say(f"Campaign {plan.campaign_id!r}, account {account!r}, window {plan.window or 'off'}.")
    _foretell(plan, preview)
    twice = f" and up to {again:,} in doubt once more" if again else ""
    confirm(f"Send {preview.would_send:,} messages{twice}, each of which is billed?", yes=args.yes)


def _send(args: argparse.Namespace, campaign: Campaign, audience: Audience, files: _Unchanged) -> Exit:
    stop = threading.Event()
    with _stopped_by_signals(stop) as caught:
        try:
            with StatusLine("Loading the audience") as busy:
                counted = _Counted(audience, busy, files.check)
                source = _loader(campaign.plan)
                # Typed numbers are another audience each time, which a person has just said yes to.
                place: str = "numbers"
                change: Literal["add", "keep"] | None = "add"
                if isinstance(audience, FileAudience):
                    place, change = audience.place, args.audience_change
                where = f"{source}/{place}"
                campaign.load(counted, where, stop.is_set, audience_change=change, formerly=source)
                campaign.send(stop, lambda progress: setattr(busy, "text", sentence(progress)))
        except CampaignStopped as stopped:
            if not isinstance(stopped, StoppedInSilence):
                with suppress(LedgerError):
                    _tell(args, campaign.counts(), None)
            note(f"{stopped} The same command goes on where the campaign stands.")
            # At its end the interpreter looks through all of Airflow for garbage: seconds on a busy host, which are not left.
            gc.freeze()
            return Exit.TERMINATED if signal.SIGTERM in caught else Exit.INTERRUPTED
        except LedgerSilent:
            raise
        except CampaignError:
            # What came first is the error that people see.
            with suppress(LedgerError, OSError, Refused):
                _end(args, campaign)
            raise
    counts = _end(args, campaign)
    campaign.check_ratio()
    return Exit.DONE if counts.sent else Exit.NOTHING


def _end(args: argparse.Namespace, campaign: Campaign) -> Counts:
    """Say what became of whom, and write the report."""
    counts = campaign.counts()
    _tell(args, counts, args.report_file)
    if args.report_file:
        try:
            with StatusLine("Writing the report"), csv_file(args.report_file) as file:
                campaign.write_report(file)
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
    """
    Holds a person's yes to the files that it was given to.

    :param audience: who is to get the message.
    :param opted_out: who is not.
    """

    def __init__(self, audience: Audience, opted_out: Audience) -> None:
        self._seen = [(one, one.fingerprint) for one in (audience, opted_out)]

    def check(self) -> None:
        """
        Make sure that nobody is sent anything whom the question did not count.

        :raises Refused: when a file is another by now.
        """
        for one, fingerprint in self._seen:
            if one.fingerprint != fingerprint:
                raise Refused(
                    f"{one} changed after its rows were counted. Nothing was sent; give the command again.",
                    Exit.FAILED,
                )


class _Counted:
    """
    An audience that says how far it was read.

    :param audience: the audience.
    :param busy: whom it tells.
    :param at_end: called behind the last row; a load has merged nothing yet then.
    """

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


def _audience(args: argparse.Namespace) -> Audience:
    """Take numbers, or one file."""
    given: list[str] = args.audience
    if len(given) == 1 and normalise(given[0]) is None and not given[0].strip("+-() ").isdigit():
        return FileAudience(object_path(given[0]), read_column(args.column))
    # A person typed them, so one that is none is a mistake to mend and no row to skip.
    return ListAudience([read_number(one) for one in given])


def _opted_out(args: argparse.Namespace) -> Audience:
    if args.suppress_file is None:
        return ListAudience([])
    # An empty variable of a shell is no list of nobody.
    if is_nothing(args.suppress_file):
        raise ValueError(came_to_nothing("suppress_file", args.suppress_file))
    return FileAudience(object_path(args.suppress_file), argument="suppress_file")


def _report_file(args: argparse.Namespace, audience: Audience) -> ReportFile | None:
    """Take where the report goes, unless it is where the audience or the opt-outs come from."""
    if args.report_file is None:
        return None
    if is_nothing(args.report_file):
        raise ValueError(f"report_file {args.report_file!r}: expected a path or URL.")
    report = ReportFile(object_path(args.report_file))
    report.refuse_inputs(
        audience_file=object_path(args.audience[0]) if isinstance(audience, FileAudience) else None,
        suppress_file=object_path(args.suppress_file) if args.suppress_file else None,
        ledger=object_path(embedded_path()),
    )
    return report


def _plan(args: argparse.Namespace, settings: CaixinConnection, audience: Audience) -> Plan:
    with usage_errors():
        tpl_id = template_id(args.tpl_id) if args.tpl_id else 0
        rules = TaskRules.of(Rules.of(args), settings, "in this command")
        for one in rules.loosened:
            note(f"A rule is loosened: {one}.")
        return rules.plan(
            settings,
            campaign_id=_campaign_id(args, tpl_id, audience),
            tpl_id=tpl_id,
            expires_at=read_expiry(getattr(args, "expires_at", None)),
            max_messages=args.max_messages,
            on_unknown=getattr(args, "on_unknown", "hold"),
            max_failure_ratio=getattr(args, "max_failure_ratio", 0.5),
        )


def _campaign_id(args: argparse.Namespace, tpl_id: int, audience: Audience) -> str:
    """Give the same name to the same command, so that nobody is billed twice for a repetition."""
    if args.campaign_id is not None:
        return str(args.campaign_id)
    if isinstance(audience, FileAudience):
        with StatusLine("Reading the file"):
            return f"{_of_file(tpl_id, audience)}{audience.content[:12]}"
    # A hash of few numbers would give them away to whoever tries all.
    return f"cli/{tpl_id}/{datetime.now(CHINA):%Y-%m-%d}"


def _loader(plan: Plan) -> str:
    return f"cli/{plan.campaign_id}"


def _of_file(tpl_id: int, audience: FileAudience) -> str:
    return f"cli/{tpl_id}/{audience.path.name}/"


@dataclass(frozen=True)
class _Beside:
    """
    A campaign of the same template and file name that is not finished.

    :param found: the campaign.
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
        """Whether another campaign beside it could reach people for the second time."""
        return self.is_by_time or self.reached > 0

    def __str__(self) -> str:
        """Say which it is, and what a person may do."""
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


def _known(
    args: argparse.Namespace, plan: Plan, ledger: Ledger, audience: Audience
) -> tuple[Plan, _Beside | None]:
    """
    Find the campaign of a file that was given no name: by content, or by time of change as earlier versions named it.

    :return: the plan, of the campaign that is there; else also what else of the file's name is not finished.
    """
    if args.campaign_id is not None or not isinstance(audience, FileAudience):
        return plan, None
    prefix = _of_file(plan.tpl_id, audience)
    earlier = prefix + audience.fingerprint[:8]
    with ledger.reading() as connection:
        now = ledger.now(connection)
        if campaign_views.find(connection, plan.campaign_id, now):
            return plan, None
        if campaign_views.find(connection, earlier, now):
            note(
                f"Campaign {earlier!r} has this file's time and size: it goes on under that name, which an earlier version gave it."
            )
            return replace(plan, campaign_id=earlier), None
        unfinished = campaign_views.campaigns(connection, now, search=prefix, status=UNFINISHED, most=1_000)
    given = (("--conn-id", args.conn_id), ("--ledger", args.ledger))
    options = "".join(f" {flag} {shlex.quote(value)}" for flag, value in given if value)
    beside = [
        _Beside(one, len(kind[1]) == 8, options)
        for one in unfinished
        if (kind := re.fullmatch(re.escape(prefix) + "([0-9a-f]{8}|[0-9a-f]{12})", one.campaign_id))
        and (one.left or one.loading_until is not None)
    ]
    return plan, max(beside, key=lambda one: one.forbids, default=None)


def _preview(
    args: argparse.Namespace,
    plan: Plan,
    ledger: Ledger,
    audience: Audience,
    opted_out: Audience,
    report_file: str | None = None,
) -> Counts:
    with StatusLine("Reading the audience") as busy:
        if args.suppress_file:
            plan = replace(plan, suppressed=frozenset(numbers_of(opted_out)))
        audience = _Counted(audience, busy)
        if report_file is None:
            return dry_run(plan, ledger, audience)
        rows: list[ReportRow] = []
        counts = dry_run(plan, ledger, audience, rows.append)
        with csv_file(report_file) as file:
            file.writelines(report_pieces(rows))
        return counts


def _foretell(plan: Plan, counts: Counts) -> None:
    """Say what the numbers alone do not."""
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


def _tell(args: argparse.Namespace, counts: Counts, report_file: str | None) -> None:
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


def _rule(text: str | None) -> Any:
    if text is None:
        return NOTSET
    return None if text.strip().lower() == "none" else text
