"""The operator: one campaign, from an audience to a ledger that says what became of each recipient."""

from __future__ import annotations

import logging
import shlex
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    BaseOperator,
    conf,
)
from airflow.sdk.exceptions import AirflowRescheduleException

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.compat import NOTSET, ArgNotSet
from airflow_provider_caixin.operators.links import CampaignLink, TemplateMediaLink, campaign_page
from airflow_provider_caixin.rules import FrequencyCap, SendWindow
from airflow_provider_caixin.session.arguments import TEMPLATE_FIELDS, Arguments, read_early
from airflow_provider_caixin.session.readers import check_choice, read_campaign_id, read_column
from airflow_provider_caixin.session.rendering import GuardedTemplater
from airflow_provider_caixin.settings.options import DEFAULT_CONN_ID, read_flag

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk.types import Logger

    from airflow_provider_caixin.audience import Audience
    from airflow_provider_caixin.campaign import Campaign, Counts, OutsideWindow
    from airflow_provider_caixin.ledger import Ledger
    from airflow_provider_caixin.session.metrics import CampaignMetrics
    from airflow_provider_caixin.session.session import Session
    from airflow_provider_caixin.settings.connection import CaixinConnection

PAUSE_INTERVAL: Final = timedelta(seconds=60)


class CaixinSendOperator(GuardedTemplater, BaseOperator):
    """Send one template to an audience, once, inside the rules, and record what became of each recipient.

    The audience is loaded into the ledger first; then the task sends whatever is pending in its campaign. A
    retry, a cleared task or a second run with the same ``campaign_id`` goes on where the campaign stands and
    sends nothing twice. Where the send window is closed the task gives its slot back until it opens.

    Returns the campaign's counts as of its end: ``campaign_id``, ``tpl_id``, ``total``, ``sent``, ``skipped``
    (by reason), ``rejected`` (by code), ``unknown``, ``pending``, ``report_file``, and ``sid`` where the
    audience was a single number. The counts also go into the asset events of the task's outlets.

    What a template or an upstream task gives for ``dry_run``, ``max_messages``, ``expires_at`` and
    ``suppress_file`` is never nothing: that is refused, and the text ``off`` means that there is none.

    :param tpl_id: template id (templated).
    :param mobiles: one number, a list, or what an upstream task returned (templated).
    :param audience_file: path or URL of a .txt or .csv, also .gz; either this or ``mobiles`` (templated).
    :param audience_column: the column of a .csv; None: ``mobile``, else 手机号, 手机号码, 手机, else the
        only one (templated).
    :param campaign_id: same id: same campaign; None: dag_id/run_id/task_id, with /map_index when mapped
        (templated).
    :param caixin_conn_id: id of an Airflow connection of type ``caixin`` (templated).
    :param send_window: daily hours in Asia/Shanghai such as ``"09:00-18:00"``; None: any time. Not given: the
        connection's, else the configuration's, else 09:00-18:00 (the gateway's document: 早九晚六).
    :param outside_window: ``"wait"``; ``"fail"`` without a retry, the rest stays pending; ``"skip"`` the
        task, or half-way the rest of the campaign.
    :param deferrable: wait in the triggerer; False: rescheduled, which needs no triggerer.
    :param expires_at: a moment (no zone: Asia/Shanghai), a day until it ends there, a timedelta from the
        load, or ``"close"``, the first closing; what is left then is skipped. One that has passed before the
        load is refused (templated).
    :param frequency_cap: ``"member_marketing"`` (1 a day), ``"games_health"`` (1 a day, 3 a week), a
        ``FrequencyCap`` or None. Not given: the connection's, else the configuration's, else
        ``"member_marketing"``.
    :param blocked_regions: cities and provinces that get nothing; None: no region. Not given: the
        connection's, else the configuration's, else 北京 and 沈阳 (the document: 屏蔽：北京、沈阳).
    :param suppress_file: path or URL of a list of numbers that opted out, in the same forms as
        ``audience_file`` and with the columns that are found without a name: they are put on the ledger's
        suppression list before anything is sent, and stay on it for all campaigns (templated).
    :param allow_other_carriers: also send to numbers of other networks: a ported number keeps its prefix.
    :param allow_virtual_operators: also send to virtual operators' numbers.
    :param max_messages: at most so many billed or possibly billed messages in this campaign, of which one
        that ``on_unknown`` sent once more counts once; None: no limit (templated).
    :param on_unknown: ``"hold"``, or ``"resend"`` once what has been unknown for over 10 minutes (may bill
        twice).
    :param audience_change: of a source that changed under its campaign: ``"add"`` the new recipients, or
        ``"keep"`` to those that it gave first. Not given: the same recipients are no change, new ones alone
        are added with a WARNING, and where some are gone and others new, or some of those gone would still
        get the message, the task fails without a retry.
    :param max_failure_ratio: the task fails when this share of what was tried is rejected or unknown.
    :param max_consecutive_failures: failures of the channel in a row, over at least 30 s, that stop the run.
    :param check_template: look at the template before the first send.
    :param allow_backfill: let a backfill run send, too, and a scheduled one that was due more than 24 hours
        ago.
    :param dry_run: apply every rule, send nothing, keep nothing; ``would_send`` says how many, and
        ``had_template`` how many of the first ``had_template_among`` of them already got this template, or
        may have (templated).
    :param report_file: path or URL for a CSV with one line per recipient, full numbers in it; that it can be
        written is known before anything is billed (templated).
    """

    template_fields: Sequence[str] = TEMPLATE_FIELDS
    ui_color = "#d9efe3"
    operator_extra_links = (CampaignLink(), TemplateMediaLink())

    # What the links of this run lead to.
    campaign_page: str = ""
    template_media: str = ""

    # Made by whoever comes first, execute or on_kill: operators are copied, and a lock inside cannot be.
    _stop: threading.Event | None = None
    _looked = False

    def __init__(
        self,
        *,
        tpl_id: int | str,
        mobiles: Any = None,
        audience_file: Any = None,
        audience_column: str | None = None,
        campaign_id: str | None = None,
        caixin_conn_id: str = DEFAULT_CONN_ID,
        send_window: SendWindow | str | ArgNotSet | None = NOTSET,
        outside_window: Literal["wait", "fail", "skip"] = "wait",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        expires_at: datetime | timedelta | str | None = None,
        frequency_cap: FrequencyCap | str | Mapping[str, object] | ArgNotSet | None = NOTSET,
        blocked_regions: Sequence[str] | str | ArgNotSet | None = NOTSET,
        suppress_file: Any = None,
        allow_other_carriers: bool = False,
        allow_virtual_operators: bool = False,
        max_messages: int | str | None = None,
        on_unknown: Literal["hold", "resend"] = "hold",
        audience_change: Literal["add", "keep"] | None = None,
        max_failure_ratio: float | None = 0.5,
        max_consecutive_failures: int | None = 50,
        check_template: bool = True,
        allow_backfill: bool = False,
        dry_run: bool | str = False,
        report_file: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tpl_id = tpl_id
        self.mobiles = mobiles
        self.audience_file = audience_file
        self.audience_column = audience_column
        self.campaign_id = campaign_id
        self.caixin_conn_id = caixin_conn_id
        self.send_window = send_window
        self.outside_window = outside_window
        self.deferrable = read_flag("deferrable", deferrable)
        self.expires_at = expires_at
        self.frequency_cap = frequency_cap
        self.blocked_regions = blocked_regions
        self.suppress_file = suppress_file
        self.allow_other_carriers = allow_other_carriers
        self.allow_virtual_operators = allow_virtual_operators
        self.max_messages = max_messages
        self.on_unknown = on_unknown
        self.audience_change = audience_change
        self.max_failure_ratio = max_failure_ratio
        self.max_consecutive_failures = max_consecutive_failures
        self.check_template = check_template
        self.allow_backfill = allow_backfill
        self.dry_run = dry_run  # type: ignore[method-assign,assignment]  # `airflow tasks test -n` has to do without
        self.report_file = report_file
        check_choice("outside_window", outside_window, ("wait", "fail", "skip"))
        if isinstance(audience_column, (int, float)):
            read_column(audience_column)
        read_early(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Load the audience, send what is pending, return the counts.

        :raises AirflowFailException: when running again helps nothing before someone acted.
        :raises AirflowException: when running again may help; what is left stays pending.
        :raises AirflowSkipException: when the single number was skipped, or the closed window is a reason to.
        """
        from airflow_provider_caixin.session.airflow_errors import as_airflow_errors, bad_arguments_fail
        from airflow_provider_caixin.session.session import Session
        from airflow_provider_caixin.session.task_checks import origin_of

        self._refuse_empty()
        self._stop = self._stop or threading.Event()
        with as_airflow_errors():
            with bad_arguments_fail():
                given = Arguments.of(self)
                audience = self._audience(given, context)
                session = Session(
                    given,
                    campaign_id=lambda: self._campaign_id(context),
                    open_ledger=self._open_ledger,
                    origin=origin_of(context),
                )
            for warning in session.rules.warnings(given):
                self.log.warning("%s", warning)
            rate = session.settings.messages_per_second
            self.log.info("Rules: %s, at most %g messages a second.", session.rules, rate)
            with session:
                if given.dry_run:
                    result = self._result(session.dry_run(audience))
                else:
                    result = self._run(session, audience, context, self._stop)
                self._add_to_asset_events(result, context)
                return result

    def resume(self, context: Context, event: object = None) -> dict[str, Any]:  # noqa: ARG002
        """Go on after a deferral; the trigger's event says nothing that the clock and the ledger do not."""
        return self.execute(context)

    def on_kill(self) -> None:
        """Ask the run to stop; called inside a signal handler, so it does nothing else."""
        self._stop = self._stop or threading.Event()
        self._stop.set()

    # ------------------------------------------------------------------ what is given

    def _audience(self, given: Arguments, context: Context) -> Audience:  # noqa: ARG002  # of those who make one of it
        from airflow_provider_caixin.session.session import audience_of

        return audience_of(given)

    def _open_ledger(self, settings: CaixinConnection) -> closing[Ledger]:
        from airflow_provider_caixin.settings.ledgers import open_ledger

        return closing(open_ledger(settings.ledger_conn_id, executor=self.executor))

    def _campaign_id(self, context: Context) -> str:
        if self.campaign_id is not None:
            return read_campaign_id(self.campaign_id)
        ti = context["ti"]
        index = "" if ti.map_index is None or ti.map_index < 0 else f"/{ti.map_index}"
        return f"{ti.dag_id}/{ti.run_id}/{ti.task_id}{index}"

    # ------------------------------------------------------------------ the run

    def _run(
        self, session: Session, audience: Audience, context: Context, stop: threading.Event
    ) -> dict[str, Any]:
        from airflow_provider_caixin.campaign import is_new
        from airflow_provider_caixin.session.metrics import CampaignMetrics

        source = self._check_task(session, context)
        new = session.import_opt_outs()
        if new is not None:
            self.log.info("%s: %d numbers are new on the suppression list.", session.opted_out, new)
        if self._must_look_at_template(stop) and is_new(session.ledger, session.plan):
            # Before the campaign is bound to it: a wrong one is corrected, and the task cleared.
            self._look_early(session, context)
        campaign = session.open_campaign()
        self._offer_page(session.plan.campaign_id, context)
        with CampaignMetrics(campaign, self.caixin_conn_id, self.log) as metrics:
            self._load_and_send(session, campaign, audience, source, context, stop, metrics)
        report_file = None if session.report is None else str(self.report_file)
        result = self._result(campaign.counts(), report_file)
        self._write_report(session, campaign)
        campaign.check_ratio()
        if getattr(audience, "single", False) and result["total"] == sum(result["skipped"].values()) == 1:
            reason = next(iter(result["skipped"]))
            raise AirflowSkipException(f"The number got no message: skipped as {reason}.")
        return result

    def _check_task(self, session: Session, context: Context) -> str:
        """Check what tells whether this run may send at all; return under which name it loads an audience."""
        from airflow_provider_caixin.campaign import loaded, refuse_expired
        from airflow_provider_caixin.session import task_checks

        if not self.allow_backfill:
            task_checks.refuse_backfill(context)
        if session.report:
            session.report.check()
        task_checks.refuse_another_ledger(session.ledger, context, self.log)
        source = "/".join(map(str, task_checks.origin_of(context)))
        so_far = loaded(session.ledger, session.plan, source)
        if not so_far.by_loader:
            if not self.allow_backfill:
                task_checks.refuse_old_run(context)
            refuse_expired(session.plan, time.time(), so_far.first_at, waits=self.outside_window != "skip")
        return source

    def _load_and_send(
        self,
        session: Session,
        campaign: Campaign,
        audience: Audience,
        source: str,
        context: Context,
        stop: threading.Event,
        metrics: CampaignMetrics,
    ) -> None:
        from airflow_provider_caixin.campaign import errors
        from airflow_provider_caixin.session.progress import ProgressLog

        opens_at = campaign.plan.opening(time.time())
        if opens_at is not None and self.outside_window == "skip" and not _tried(campaign.counts()):
            metrics.window_closed(opens_at)
            # Before the load: what is in the ledger would be sent by whoever runs this campaign next.
            raise AirflowSkipException(f"The send window is closed; it opens {opens_at:%Y-%m-%d %H:%M}.")
        with metrics.timed("load"):
            campaign.load(audience, source, stop.is_set, audience_change=session.given.audience_change)
        try:
            if opens_at is None and self._must_look_at_template(stop) and campaign.counts().pending:
                self._look_at_template(session, context)
            progress = ProgressLog(self.log, context.get("task_state_store"))
            with metrics.timed("send"):
                campaign.send(stop, metrics.beside(progress))
        except errors.OutsideWindow as closed:
            metrics.window_closed(closed.opens_at)
            self._leave_until(closed, campaign)
        except errors.CampaignPaused as paused:
            self.log.warning("%s Looking again in a minute.", paused)
            raise _later(datetime.now(UTC) + PAUSE_INTERVAL) from None
        except (errors.CampaignCancelled, errors.CampaignFatal, errors.CampaignInterrupted):
            with _only_logged(self.log, "The counts of the campaign"):
                self._result(campaign.counts())
            with _only_logged(self.log, "The report"):
                self._write_report(session, campaign)
            raise

    def _leave_until(self, closed: OutsideWindow, campaign: Campaign) -> None:
        """Wait, fail or skip the rest; returns when the rest was skipped."""
        counts = campaign.counts()
        opens_at = f"{closed.opens_at.astimezone(CHINA):%Y-%m-%d %H:%M} (Asia/Shanghai)"
        if self.outside_window == "fail":
            raise AirflowFailException(
                f"{closed} {counts.pending} recipients stay pending; clear the task after {opens_at} to go on."
            ) from None
        if self.outside_window == "skip":
            campaign.skip_rest("window_closed")
            if not _tried(counts):
                raise AirflowSkipException(str(closed)) from None
            return
        self.log.info("%s %d recipients wait until %s.", closed, counts.pending, opens_at)
        moment = closed.opens_at.astimezone(UTC)
        if self.deferrable:
            from airflow.providers.standard.triggers.temporal import DateTimeTrigger

            self.defer(trigger=DateTimeTrigger(moment=moment), method_name="resume")
        raise _later(moment)

    # ------------------------------------------------------------------ the template

    def _must_look_at_template(self, stop: threading.Event) -> bool:
        return self.check_template and not self._looked and not stop.is_set()

    def _look_early(self, session: Session, context: Context) -> None:
        """Look at the template at any hour; while nothing can be sent, a silent gateway is no hindrance."""
        from airflow_provider_caixin.juhe import AccountRefused, CaixinError, WrongEndpoint

        try:
            self._look_at_template(session, context)
        except (AccountRefused, WrongEndpoint):
            raise
        except CaixinError as error:
            if session.plan.opening(time.time()) is None:
                raise
            self.log.warning("The template is looked at when the window opens, and cannot be now: %s", error)

    def _look_at_template(self, session: Session, context: Context) -> None:
        from airflow.providers.common.compat.sdk import AirflowNotFoundException

        from airflow_provider_caixin.session import template as templates

        try:
            template = templates.available_template(session.hook, session.plan.tpl_id)
        except AirflowNotFoundException as error:
            raise AirflowFailException(str(error)) from None
        except templates.TemplateUnavailable as error:
            wait = "Put a CaixinTemplateSensor before this task to wait for it."
            raise AirflowFailException(f"{error} {wait}") from None
        self._looked = True
        self.log.info("%s", templates.availability(template.tpl_id, template))
        if warning := templates.missing_opt_out(template):
            self.log.warning("%s", warning)
        self.template_media = template.media_url
        self._offer(TemplateMediaLink(), self.template_media, context)

    # ------------------------------------------------------------------ what is told

    def _result(self, counts: Counts, report_file: str | None = None) -> dict[str, Any]:
        """Log the counts and return them as the task's result."""
        from airflow_provider_caixin.session.progress import log_counts

        log_counts(self.log, counts)
        return counts.as_result(report_file)

    def _add_to_asset_events(self, result: dict[str, Any], context: Context) -> None:
        """Add the counts to the asset events of the task's outlets."""
        from airflow.providers.common.compat.sdk import Asset

        extra = {name: value for name, value in result.items() if name not in ("report_file", "sid")}
        for outlet in self.outlets:
            # An alias has no event of its own.
            if isinstance(outlet, Asset):
                context["outlet_events"][outlet].extra.update(extra)

    def _write_report(self, session: Session, campaign: Campaign) -> None:
        from airflow_provider_caixin.session.report_file import ReportError

        try:
            session.write_report(campaign)
        except ReportError as error:
            conn_id = "" if self.caixin_conn_id == DEFAULT_CONN_ID else f" --conn-id {self.caixin_conn_id}"
            raise AirflowException(
                f"{error} The counts above hold, and the outcomes are in the ledger: a retry, or the task cleared, writes the report "
                "and sends no recipient anything twice. Without any send it is had by: airflow caixin campaign report "
                f"{shlex.quote(campaign.plan.campaign_id)}{conn_id} --file FILE"
            ) from None

    def _offer_page(self, campaign_id: str, context: Context) -> None:
        self.campaign_page = campaign_page(campaign_id)
        self._offer(CampaignLink(), self.campaign_page, context)

    def _offer(self, link: CampaignLink | TemplateMediaLink, address: str, context: Context) -> None:
        """Show the link in the task view now: Airflow pushes it after the end, when the view asks no more."""
        with _only_logged(self.log, f"The link {link.name!r}"):
            context["ti"].xcom_push(key=link.xcom_key, value=address)


@contextmanager
def _only_logged(log: logging.Logger | Logger, what: str) -> Iterator[None]:
    """Let an error that came first be the one that is seen."""
    try:
        yield
    except Exception as error:  # noqa: BLE001
        log.warning("%s could not be given: %s", what, error)


def _later(moment: datetime) -> AirflowRescheduleException:
    return AirflowRescheduleException(moment)  # type: ignore[no-untyped-call]  # as Airflow wrote it


def _tried(counts: Counts) -> int:
    return counts.sent + counts.rejected.total() + counts.unknown
