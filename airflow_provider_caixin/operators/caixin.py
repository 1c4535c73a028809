"""The operator: one campaign, from an audience to a ledger in which everybody has an outcome."""

from __future__ import annotations

import logging
import shlex
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

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
from airflow_provider_caixin.session.arguments import (
    check_rules,
    object_path,
    one_of,
    read_budget,
    read_campaign_id,
    read_column,
    read_expiry,
    read_report_file,
    read_suppress_file,
    refuse_place,
)
from airflow_provider_caixin.session.masking import Covering, uncovered
from airflow_provider_caixin.settings.options import DEFAULT_CONN_ID, read_flag

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk.types import Logger

    from airflow_provider_caixin.audience import Audience
    from airflow_provider_caixin.campaign import Campaign, Counts, OutsideWindow, Plan
    from airflow_provider_caixin.hooks.caixin import CaixinHook
    from airflow_provider_caixin.ledger import Ledger
    from airflow_provider_caixin.ledger.rows.campaign import Origin
    from airflow_provider_caixin.session.metrics import CampaignMetrics
    from airflow_provider_caixin.session.report_file import ReportFile
    from airflow_provider_caixin.settings.connection import CaixinConnection

PAUSE_INTERVAL = timedelta(seconds=60)
# Of a scheduled run that begins nothing any more.
OLD = timedelta(hours=24)
LEDGER_KEY = "ledger"


class CaixinSendOperator(Covering, BaseOperator):
    """
    Send one template to an audience, once, inside the rules, and record what became of each recipient.

    The audience is loaded into the ledger first; then the task sends whatever is pending in its campaign. A retry, a cleared
    task or a second run with the same ``campaign_id`` goes on where the campaign stands and sends nothing twice. Where the
    send window is closed the task gives its slot back until it opens.

    Returns the campaign's counts as of its end: ``campaign_id``, ``tpl_id``, ``total``, ``sent``, ``skipped`` (by reason),
    ``rejected`` (by code), ``unknown``, ``pending``, ``report_file``, and ``sid`` where the audience was a single number. The
    counts also go into the asset events of the task's outlets.

    What a template or an upstream task gives for ``dry_run``, ``max_messages``, ``expires_at`` and ``suppress_file`` is never
    nothing: that is refused, and the text ``off`` means that there is none.

    :param tpl_id: template id (templated).
    :param mobiles: one number, a list, or what an upstream task returned (templated).
    :param audience_file: path or URL of a .txt or .csv, also .gz; either this or ``mobiles`` (templated).
    :param audience_column: the column of a .csv; None: ``mobile``, else 手机号, 手机号码, 手机, else the only one (templated).
    :param campaign_id: same id: same campaign; None: dag_id/run_id/task_id, with /map_index when mapped (templated).
    :param caixin_conn_id: id of an Airflow connection of type ``caixin`` (templated).
    :param send_window: daily hours in Asia/Shanghai such as ``"09:00-18:00"``; None: any time. Not given: the
        connection's, else the configuration's, else 09:00-18:00 (the gateway's document: 早九晚六).
    :param outside_window: ``"wait"``; ``"fail"`` without a retry, the rest stays pending; ``"skip"`` the task, or half-way the
        rest of the campaign.
    :param deferrable: wait in the triggerer; False: rescheduled, which needs no triggerer.
    :param expires_at: a moment (no zone: Asia/Shanghai), a day until it ends there, a timedelta from the load, or ``"close"``,
        the first closing; what is left then is skipped. One that has passed before the load is refused (templated).
    :param frequency_cap: ``"member_marketing"`` (1 a day), ``"games_health"`` (1 a day, 3 a week), a ``FrequencyCap`` or None.
        Not given: the connection's, else the configuration's, else ``"member_marketing"``.
    :param blocked_regions: cities and provinces that get nothing; None: no region. Not given: the connection's, else the
        configuration's, else 北京 and 沈阳 (the document: 屏蔽：北京、沈阳).
    :param suppress_file: path or URL of a list of people who opted out, in the same forms as ``audience_file`` and with the
        columns that are found without a name: they are put on the ledger's suppression list before anything is
        sent, and stay on it for all campaigns (templated).
    :param allow_other_carriers: also send to numbers of other networks: a ported number keeps its prefix.
    :param allow_virtual_operators: also send to virtual operators' numbers.
    :param max_messages: at most so many billed or possibly billed messages in this campaign, of which one that ``on_unknown`` sent
        once more counts once; None: no limit (templated).
    :param on_unknown: ``"hold"``, or ``"resend"`` once what has been unknown for over 10 minutes (may bill twice).
    :param audience_change: of a source that changed under its campaign: ``"add"`` who is new, or ``"keep"`` to the people whom it
        gave first. Not given: the same people are no change, people who are only new are added with a WARNING, and where people
        are gone and others new, or some of those gone would still get the message, the task fails without a retry.
    :param max_failure_ratio: the task fails when this share of what was tried is rejected or unknown.
    :param max_consecutive_failures: failures of the channel in a row, over at least 30 s, that stop the run.
    :param check_template: look at the template before the first send.
    :param allow_backfill: let a backfill run send, too, and a scheduled one that was due more than 24 hours ago.
    :param dry_run: apply every rule, send nothing, keep nothing; ``would_send`` says how many, and ``had_template`` how many
        of the first ``had_template_among`` of them already got this template, or may have (templated).
    :param report_file: path or URL for a CSV with one line per recipient, full numbers in it; that it can be written is known
        before anything is billed (templated).
    """

    template_fields: Sequence[str] = (
        "tpl_id",
        "mobiles",
        "audience_file",
        "audience_column",
        "campaign_id",
        "caixin_conn_id",
        "suppress_file",
        "expires_at",
        "max_messages",
        "dry_run",
        "report_file",
    )
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
        self.allow_other_carriers = read_flag("allow_other_carriers", allow_other_carriers)
        self.allow_virtual_operators = read_flag("allow_virtual_operators", allow_virtual_operators)
        self.max_messages = max_messages
        self.on_unknown = on_unknown
        self.audience_change = audience_change
        self.max_failure_ratio = max_failure_ratio
        self.max_consecutive_failures = max_consecutive_failures
        self.check_template = read_flag("check_template", check_template)
        self.allow_backfill = read_flag("allow_backfill", allow_backfill)
        self.dry_run = dry_run  # type: ignore[method-assign,assignment]  # `airflow tasks test -n` has to do without
        self.report_file = report_file
        # What is no template is known now: a mistake in it is the Dag's import error and not tomorrow's failure.
        refuse_place(audience_column)
        one_of("outside_window", outside_window, ("wait", "fail", "skip"))
        one_of("on_unknown", on_unknown, ("hold", "resend"))
        if audience_change is not None:
            one_of("audience_change", audience_change, ("add", "keep"))
        check_rules(send_window, frequency_cap, blocked_regions)

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Load the audience, send what is pending, return the counts.

        :raises AirflowFailException: when running again helps nothing before a person acted.
        :raises AirflowException: when running again may help; what is left stays pending.
        :raises AirflowSkipException: when the single number was skipped, or the window is closed and
            ``outside_window`` is ``"skip"``.
        """
        from airflow_provider_caixin.campaign import (
            Campaign,
            dry_run,
            is_new,
            loaded,
            numbers_of,
            refuse_expired,
        )
        from airflow_provider_caixin.hooks.caixin import CaixinHook
        from airflow_provider_caixin.session.airflow_errors import as_airflow_errors
        from airflow_provider_caixin.session.metrics import CampaignMetrics
        from airflow_provider_caixin.settings.ledgers import open_ledger

        self._refuse_lost()
        stop = self._stop = self._stop or threading.Event()
        with as_airflow_errors(), CaixinHook(self.caixin_conn_id) as hook:
            try:
                is_dry = self.dry_run is not None and read_flag("dry_run", self.dry_run)
                audience, opted_out = self._audience(context), self._opted_out()
                plan = self._plan(context, hook.settings)
                report = self._report_file()
            except ValueError as error:
                raise AirflowFailException(str(error)) from None
            if not is_dry:
                self._refuse_backfill(context)
                if report:
                    report.check()
            with closing(open_ledger(hook.settings.ledger_conn_id, executor=self.executor)) as ledger:
                if is_dry:
                    plan = replace(plan, suppressed=frozenset(numbers_of(opted_out)))
                    return self._into_events(self._tell(dry_run(plan, ledger, audience)), context)
                self._refuse_another_ledger(ledger, context)
                so_far = loaded(ledger, plan, _source(context))
                if not so_far.by_loader:
                    self._refuse_old_run(context)
                    refuse_expired(plan, time.time(), so_far.first_at, waits=self.outside_window != "skip")
                self._suppress(ledger, opted_out)
                if self._is_to_look_at_template(stop) and is_new(ledger, plan):
                    # Before the campaign is bound to it: a wrong one is corrected, and the task cleared.
                    self._look_early(hook, plan, context)
                campaign = Campaign(plan, ledger, hook.client, origin=_origin(context))
                self._offer_page(plan.campaign_id, context)
                with CampaignMetrics(campaign, self.caixin_conn_id, self.log) as metrics:
                    result = self._run(campaign, audience, hook, context, stop, metrics)
                return self._into_events(result, context)

    def resume(self, context: Context, event: object = None) -> dict[str, Any]:  # noqa: ARG002
        """
        Go on after a deferral; the trigger's event says nothing that the clock and the ledger do not.

        :param event: what the trigger fired.
        """
        return self.execute(context)

    def on_kill(self) -> None:
        """Ask the run to stop; called inside a signal handler, so it does nothing else."""
        self._stop = self._stop or threading.Event()
        self._stop.set()

    # ------------------------------------------------------------------ the run

    def _run(
        self,
        campaign: Campaign,
        audience: Audience,
        hook: CaixinHook,
        context: Context,
        stop: threading.Event,
        metrics: CampaignMetrics,
    ) -> dict[str, Any]:
        from airflow_provider_caixin.campaign import (
            CampaignCancelled,
            CampaignFatal,
            CampaignInterrupted,
            CampaignPaused,
            OutsideWindow,
        )
        from airflow_provider_caixin.session.progress import ProgressLog

        opens_at = campaign.plan.opening(time.time())
        if opens_at is not None and self.outside_window == "skip" and not _tried(campaign.counts()):
            metrics.window_closed(opens_at)
            # Before the load: what is in the ledger would be sent by whoever runs this campaign next.
            raise AirflowSkipException(f"The send window is closed; it opens {opens_at:%Y-%m-%d %H:%M}.")
        with metrics.timed("load"):
            campaign.load(audience, _source(context), stop.is_set, audience_change=self.audience_change)
        try:
            if opens_at is None and self._is_to_look_at_template(stop) and campaign.counts().pending:
                self._look_at_template(hook, campaign.plan.tpl_id, context)
            progress = ProgressLog(self.log, context.get("task_state_store"))
            with metrics.timed("send"):
                campaign.send(stop, metrics.beside(progress))
        except OutsideWindow as closed:
            metrics.window_closed(closed.opens_at)
            self._leave_until(closed, campaign)
        except CampaignPaused as paused:
            self.log.warning("%s Looking again in a minute.", paused)
            raise _later(datetime.now(UTC) + PAUSE_INTERVAL) from None
        except (CampaignCancelled, CampaignFatal, CampaignInterrupted):
            with _only_logged(self.log, "The counts of the campaign"):
                self._tell(campaign.counts())
            with _only_logged(self.log, "The report"):
                self._write_report(campaign)
            raise
        given = read_report_file(self.report_file)
        result = self._tell(campaign.counts(), None if given is None else str(self.report_file))
        self._write_report(campaign)
        campaign.check_ratio()
        if getattr(audience, "single", False) and result["total"] == sum(result["skipped"].values()) == 1:
            raise AirflowSkipException(
                f"The number got no message: skipped as {next(iter(result['skipped']))}."
            )
        return result

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

    def _is_to_look_at_template(self, stop: threading.Event) -> bool:
        return self.check_template and not self._looked and not stop.is_set()

    def _look_early(self, hook: CaixinHook, plan: Plan, context: Context) -> None:
        """Look at the template at any hour; while nothing can be sent a gateway that does not answer is no hindrance."""
        from airflow_provider_caixin.juhe import AccountRefused, CaixinError, WrongEndpoint

        try:
            self._look_at_template(hook, plan.tpl_id, context)
        except (AccountRefused, WrongEndpoint):
            raise
        except CaixinError as error:
            if plan.opening(time.time()) is None:
                raise
            self.log.warning("The template is looked at when the window opens, and cannot be now: %s", error)

    def _look_at_template(self, hook: CaixinHook, tpl_id: int, context: Context) -> None:
        from airflow.providers.common.compat.sdk import AirflowNotFoundException

        try:
            template = hook.get_template(tpl_id)
        except AirflowNotFoundException as error:
            raise AirflowFailException(str(error)) from None
        if not template.available:
            raise AirflowFailException(
                f"Template {tpl_id} is not available (tpl_state 0): Juhe has not approved it yet, or took it out of use. "
                "Put a CaixinTemplateSensor before this task to wait for it."
            )
        self._looked = True
        self.log.info("Template %s is available: 【%s】", tpl_id, template.signature)
        if not template.names_opt_out:
            self.log.warning(
                "Template %s names no way to opt out, such as 拒收请回复R: marketing messages have to, and people who find "
                "none complain. Ask Juhe for a template that ends with it, unless this one is no marketing.",
                tpl_id,
            )
        self.template_media = template.media_url
        self._offer(TemplateMediaLink(), self.template_media, context)

    def _tell(self, counts: Counts, report_file: str | None = None) -> dict[str, Any]:
        """Log the counts in a line and give them as the task's result."""
        result: dict[str, Any] = counts.as_result(report_file)
        self.log.info(
            "Campaign %s, %d recipients: %d sent, %s rejected, %d unknown, %s skipped, %d pending.",
            counts.campaign_id,
            counts.total,
            counts.sent,
            _by_reason(counts.rejected),
            counts.unknown,
            _by_reason(counts.skipped),
            counts.pending,
        )
        if counts.mostly_invalid:
            self.log.warning("%s", counts.mostly_invalid)
        if counts.would_send is not None:
            self.log.info(
                "Dry run: nothing was sent; %d recipients would get the message.", counts.would_send
            )
        elif not counts.sent and counts.total != 1:
            self.log.warning("None of the %d recipients got the message.", counts.total)
        return result

    def _into_events(self, result: dict[str, Any], context: Context) -> dict[str, Any]:
        """Add the counts to the asset events of the task's outlets, and give the result."""
        from airflow.providers.common.compat.sdk import Asset

        extra = {name: value for name, value in result.items() if name not in ("report_file", "sid")}
        for outlet in self.outlets:
            # An alias has no event of its own.
            if isinstance(outlet, Asset):
                context["outlet_events"][outlet].extra.update(extra)
        return result

    def _report_file(self) -> ReportFile | None:
        from airflow_provider_caixin.session.report_file import ReportFile
        from airflow_provider_caixin.settings.ledgers import embedded_path

        path = read_report_file(self.report_file)
        if path is None:
            return None
        report = ReportFile(path)
        report.refuse_inputs(
            audience_file=object_path(self.audience_file) if self.audience_file else None,
            suppress_file=read_suppress_file(self.suppress_file),
            ledger=object_path(embedded_path()),
        )
        return report

    def _write_report(self, campaign: Campaign) -> None:
        from airflow_provider_caixin.session.report_file import ReportError

        report = self._report_file()
        if report is None:
            return
        try:
            with report.open() as file:
                campaign.write_report(file)
        except ReportError as error:
            place = "" if self.caixin_conn_id == DEFAULT_CONN_ID else f" --conn-id {self.caixin_conn_id}"
            raise AirflowException(
                f"{error} The counts above hold, and the outcomes are in the ledger: a retry, or the task cleared, writes the report and "
                "sends nobody anything twice. Without any send it is had by: airflow caixin campaign report "
                f"{shlex.quote(campaign.plan.campaign_id)}{place} --file FILE"
            ) from None

    # ------------------------------------------------------------------ before the run

    def _audience(self, context: Context) -> Audience:  # noqa: ARG002  # of those who make one of it
        from airflow_provider_caixin.audience import FileAudience, audience_from

        mobiles = uncovered(self.mobiles)
        if (mobiles is None) == (not self.audience_file):
            raise ValueError(
                f"mobiles and audience_file: {'neither' if mobiles is None else 'both'} given, expected exactly one of the two."
            )
        if mobiles is not None:
            return audience_from(mobiles)
        return FileAudience(object_path(self.audience_file), read_column(self.audience_column))

    def _opted_out(self) -> Audience:
        from airflow_provider_caixin.audience import FileAudience, ListAudience

        path = read_suppress_file(self.suppress_file)
        return FileAudience(path, argument="suppress_file") if path else ListAudience([])

    def _suppress(self, ledger: Ledger, opted_out: Audience) -> None:
        from airflow_provider_caixin.campaign import import_suppressions

        if read_suppress_file(self.suppress_file):
            new = import_suppressions(ledger, opted_out, str(opted_out))
            self.log.info("%s: %d numbers are new on the suppression list.", opted_out, new)

    def _plan(self, context: Context, settings: CaixinConnection) -> Plan:
        from airflow_provider_caixin.hooks.caixin import template_id
        from airflow_provider_caixin.session.rules import TaskRules

        rules = TaskRules.of(self, settings)
        for sentence in rules.warnings(self):
            self.log.warning("A rule is loosened: %s.", sentence)
        self.log.info("Rules: %s, at most %g messages a second.", rules, settings.messages_per_second)
        return rules.plan(
            settings,
            campaign_id=self._campaign_id(context),
            tpl_id=template_id(self.tpl_id),
            expires_at=read_expiry(self.expires_at),
            max_messages=read_budget(self.max_messages),
            on_unknown=self.on_unknown,
            max_failure_ratio=self.max_failure_ratio,
            max_consecutive_failures=self.max_consecutive_failures,
        )

    def _campaign_id(self, context: Context) -> str:
        if self.campaign_id is None:
            dag_id, run_id, task_id, map_index = _origin(context)
            return f"{dag_id}/{run_id}/{task_id}" + (f"/{map_index}" if map_index >= 0 else "")
        return read_campaign_id(self.campaign_id)

    def _refuse_backfill(self, context: Context) -> None:
        dag_run = context.get("dag_run")
        kind = getattr(dag_run, "run_type", None)
        if not self.allow_backfill and getattr(kind, "value", kind) == "backfill":
            raise AirflowFailException(
                "This is a backfill run, which would send old campaigns to people today. Set allow_backfill=True on the task "
                "if that is what you want."
            )

    def _refuse_old_run(self, context: Context) -> None:
        """Stop a run that catch-up made, or that a scheduler was late for, like a backfill, which it is in all but name."""
        dag_run = context.get("dag_run")
        kind, due = getattr(dag_run, "run_type", None), getattr(dag_run, "run_after", None)
        if self.allow_backfill or due is None or getattr(kind, "value", kind) != "scheduled":
            return
        if datetime.now(UTC) - due > OLD:
            raise AirflowFailException(
                f"This scheduled run was due {due.astimezone(CHINA):%Y-%m-%d %H:%M} (Asia/Shanghai), more than 24 hours ago, and has "
                "not loaded its audience yet: it would send an old campaign to people today. Set allow_backfill=True on the task "
                "if that is what you want, also where a sensor before it may wait for so long."
            )

    def _offer_page(self, campaign_id: str, context: Context) -> None:
        self.campaign_page = campaign_page(campaign_id)
        self._offer(CampaignLink(), self.campaign_page, context)

    def _offer(self, link: CampaignLink | TemplateMediaLink, address: str, context: Context) -> None:
        """Let the task's view lead there from now on: what Airflow pushes itself comes after the end, when that view asks no more."""
        with _only_logged(self.log, f"The link {link.name!r}"):
            context["ti"].xcom_push(key=link.xcom_key, value=address)

    def _refuse_another_ledger(self, ledger: Ledger, context: Context) -> None:
        """Stop where the ledger is not the one of an earlier attempt: in a container made anew it is empty."""
        store = context.get("task_state_store")
        if store is None:
            return
        try:
            known = store.get(LEDGER_KEY)
            if known is None:
                from airflow.sdk.execution_time.context import NEVER_EXPIRE

                store.set(LEDGER_KEY, ledger.uuid, retention=NEVER_EXPIRE)
        except Exception as error:  # noqa: BLE001  # the store is a second net and not a condition
            self.log.warning("The ledger's id cannot be kept in the task state store: %s", error)
            return
        if known not in (None, ledger.uuid):
            raise AirflowFailException(
                f"An earlier attempt of this task used the ledger {known}, and this is {ledger.uuid}: what was sent then is not "
                "known here and would be sent again. Give this task the earlier ledger back ([caixin] ledger_conn_id, or "
                f"caixin_ledger.db in AIRFLOW_HOME). If that is not wanted, delete the key {LEDGER_KEY!r} in the task's state "
                "store and clear the task: it then starts anew."
            )


@contextmanager
def _only_logged(log: logging.Logger | Logger, what: str) -> Iterator[None]:
    """Let an error that came first be the one that people see."""
    try:
        yield
    except Exception as error:  # noqa: BLE001
        log.warning("%s could not be given: %s", what, error)


def _later(moment: datetime) -> AirflowRescheduleException:
    return AirflowRescheduleException(moment)  # type: ignore[no-untyped-call]  # as Airflow wrote it


def _by_reason(counts: Counter[str]) -> str:
    details = ", ".join(f"{reason}: {number}" for reason, number in counts.most_common())
    return f"{counts.total()} ({details})" if details else "0"


def _tried(counts: Counts) -> int:
    return counts.sent + counts.rejected.total() + counts.unknown


def _origin(context: Context) -> Origin:
    from airflow_provider_caixin.ledger.rows.campaign import Origin

    ti = context["ti"]
    return Origin(ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index)


def _source(context: Context) -> str:
    return "/".join(map(str, _origin(context)))
