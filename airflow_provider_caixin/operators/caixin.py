"""The operator: one campaign, from an audience to a ledger in which everybody has an outcome."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSkipException,
    BaseOperator,
    conf,
)
from airflow.sdk.definitions._internal.types import NOTSET, ArgNotSet
from airflow.sdk.exceptions import AirflowRescheduleException

from airflow_provider_caixin.connection import DEFAULT_CONN_ID, regions_of
from airflow_provider_caixin.operators.rendered import Recipients
from airflow_provider_caixin.rules import CHINA, FrequencyCap, SendWindow

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath
    from airflow.sdk.types import Logger

    from airflow_provider_caixin.audience import Audience
    from airflow_provider_caixin.campaign import Campaign, Counts, OutsideWindow, Plan
    from airflow_provider_caixin.connection import CaixinConnection
    from airflow_provider_caixin.hooks.caixin import CaixinHook
    from airflow_provider_caixin.ledger import Ledger

PAUSE_INTERVAL = timedelta(seconds=60)
LEDGER_KEY = "ledger"


class CaixinSendOperator(BaseOperator):
    """
    Send one template to an audience, once, inside the rules, and record what became of each recipient.

    The audience is loaded into the ledger first; then the task sends whatever is pending in its campaign. A retry, a cleared
    task or a second run with the same ``campaign_id`` goes on where the campaign stands and sends nothing twice. Where the
    send window is closed the task gives its slot back until it opens.

    Returns the campaign's counts as of its end: ``campaign_id``, ``tpl_id``, ``total``, ``sent``, ``skipped`` (by reason),
    ``rejected`` (by code), ``unknown``, ``pending``, ``report_file``, and ``sid`` where the audience was a single number.

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
    :param expires_at: a moment (no zone: Asia/Shanghai), a timedelta from the load, or ``"close"``, the first closing; what is
        left then is skipped (templated).
    :param frequency_cap: ``"member_marketing"`` (1 a day), ``"games_health"`` (1 a day, 3 a week), a ``FrequencyCap`` or None.
        Not given: the connection's, else the configuration's, else ``"member_marketing"``.
    :param blocked_regions: cities and provinces that get nothing; None: no region. Not given: the connection's, else the
        configuration's, else 北京 and 沈阳 (the document: 屏蔽：北京、沈阳).
    :param allow_other_carriers: also send to numbers of other networks: a ported number keeps its prefix.
    :param allow_virtual_operators: also send to virtual operators' numbers.
    :param max_messages: at most so many billed or possibly billed messages in this campaign; None: no limit.
    :param on_unknown: ``"hold"``, or ``"resend"`` once what has been unknown for over 10 minutes (may bill twice).
    :param max_failure_ratio: the task fails when this share of what was tried is rejected or unknown.
    :param max_consecutive_failures: failures of the channel in a row, over at least 30 s, that stop the run.
    :param check_template: look at the template before the first send.
    :param allow_backfill: let a backfill run send, too.
    :param dry_run: apply every rule, send nothing, keep nothing; ``would_send`` says how many (templated).
    :param report_file: path or URL for a CSV with one line per recipient, full numbers in it (templated).
    """

    template_fields: Sequence[str] = (
        "tpl_id",
        "mobiles",
        "audience_file",
        "audience_column",
        "campaign_id",
        "caixin_conn_id",
        "expires_at",
        "dry_run",
        "report_file",
    )
    ui_color = "#d9efe3"

    # Made by whoever comes first, execute or on_kill: operators are copied, and a lock inside cannot be.
    _stop: threading.Event | None = None

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
        allow_other_carriers: bool = False,
        allow_virtual_operators: bool = False,
        max_messages: int | None = None,
        on_unknown: Literal["hold", "resend"] = "hold",
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
        self.deferrable = deferrable
        self.expires_at = expires_at
        self.frequency_cap = frequency_cap
        self.blocked_regions = blocked_regions
        self.allow_other_carriers = allow_other_carriers
        self.allow_virtual_operators = allow_virtual_operators
        self.max_messages = max_messages
        self.on_unknown = on_unknown
        self.max_failure_ratio = max_failure_ratio
        self.max_consecutive_failures = max_consecutive_failures
        self.check_template = check_template
        self.allow_backfill = allow_backfill
        self.dry_run = dry_run  # type: ignore[method-assign,assignment]  # `airflow tasks test -n` has to do without
        self.report_file = report_file
        # What is no template is known now: a mistake in it is the Dag's import error and not tomorrow's failure.
        _one_of("outside_window", outside_window, ("wait", "fail", "skip"))
        _one_of("on_unknown", on_unknown, ("hold", "resend"))
        if not isinstance(send_window, ArgNotSet | None):
            SendWindow.parse(send_window)
        if not isinstance(frequency_cap, ArgNotSet | None):
            FrequencyCap.parse(frequency_cap)
        if not isinstance(blocked_regions, ArgNotSet | None):
            regions_of(blocked_regions)

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Any,
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """Render as ever, and cover the numbers: Airflow stores and logs a count and masked samples of them."""
        given = self.mobiles
        if parent is self and given is not None and not isinstance(given, Recipients):

            def covered(*, context: Context, jinja_env: jinja2.Environment) -> Recipients:
                if callable(given):
                    return Recipients(given(context=context, jinja_env=jinja_env))
                return Recipients(self.render_template(given, context, jinja_env, seen_oids))

            # As a function, because Airflow logs the whole of a value that it cannot render, and of a function its name.
            self.mobiles = covered
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Load the audience, send what is pending, return the counts.

        :raises AirflowFailException: when running again helps nothing before a person acted.
        :raises AirflowException: when running again may help; what is left stays pending.
        :raises AirflowSkipException: when the single number was skipped, or the window is closed and
            ``outside_window`` is ``"skip"``.
        """
        from airflow_provider_caixin.campaign import Campaign, dry_run
        from airflow_provider_caixin.hooks.caixin import CaixinHook
        from airflow_provider_caixin.ledgers import open_ledger
        from airflow_provider_caixin.operators.errors import as_airflow_errors

        stop = self._stop = self._stop or threading.Event()
        with as_airflow_errors(), CaixinHook(self.caixin_conn_id) as hook:
            try:
                is_dry = _flag("dry_run", self.dry_run)
                audience = self._audience()
                plan = self._plan(context, hook.settings)
            except ValueError as error:
                raise AirflowFailException(str(error)) from None
            if not is_dry:
                self._refuse_backfill(context)
            with closing(open_ledger(hook.settings.ledger_conn_id, executor=self.executor)) as ledger:
                if is_dry:
                    return self._tell(dry_run(plan, ledger, audience))
                self._refuse_another_ledger(ledger, context)
                return self._run(Campaign(plan, ledger, hook.client), audience, hook, context, stop)

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
    ) -> dict[str, Any]:
        from airflow_provider_caixin.campaign import (
            CampaignCancelled,
            CampaignFatal,
            CampaignInterrupted,
            CampaignPaused,
            OutsideWindow,
        )
        from airflow_provider_caixin.operators.progress import ProgressLog

        opens_at = _opening(campaign.plan)
        if opens_at is not None and self.outside_window == "skip" and not _tried(campaign.counts()):
            # Before the load: what is in the ledger would be sent by whoever runs this campaign next.
            raise AirflowSkipException(f"The send window is closed; it opens {opens_at:%Y-%m-%d %H:%M}.")
        campaign.load(audience, _source(context), stop.is_set)
        try:
            if self.check_template and opens_at is None and not stop.is_set() and campaign.counts().pending:
                self._look_at_template(hook, campaign.plan.tpl_id)
            campaign.send(stop, ProgressLog(self.log, context.get("task_state_store")))
        except OutsideWindow as closed:
            self._leave_until(closed, campaign)
        except CampaignPaused as paused:
            self.log.warning("%s Looking again in a minute.", paused)
            raise _later(datetime.now(UTC) + PAUSE_INTERVAL) from None
        except (CampaignCancelled, CampaignFatal, CampaignInterrupted):
            with _only_logged(self.log, "The counts and the report of the campaign"):
                self._tell(campaign.counts(), self._report(campaign))
            raise
        result = self._tell(campaign.counts(), self._report(campaign))
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

    def _look_at_template(self, hook: CaixinHook, tpl_id: int) -> None:
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
        self.log.info("Template %s is available: 【%s】", tpl_id, template.signature)

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
        if counts.would_send is not None:
            self.log.info(
                "Dry run: nothing was sent; %d recipients would get the message.", counts.would_send
            )
        elif not counts.sent and counts.total != 1:
            self.log.warning("None of the %d recipients got the message.", counts.total)
        return result

    def _report(self, campaign: Campaign) -> str | None:
        if not self.report_file:
            return None
        path = _path(self.report_file)
        path.parent.mkdir(parents=True, exist_ok=True)
        # A byte order mark, because Excel takes a CSV without one for the local code page.
        with path.open("w", encoding="utf-8-sig", newline="") as file:  # type: ignore[no-untyped-call]
            campaign.write_report(file)
        return str(self.report_file)

    # ------------------------------------------------------------------ before the run

    def _audience(self) -> Audience:
        from airflow_provider_caixin.audience import FileAudience, audience_from

        mobiles = self.mobiles.value if isinstance(self.mobiles, Recipients) else self.mobiles
        if (mobiles is None) == (not self.audience_file):
            raise ValueError(
                f"mobiles and audience_file: {'neither' if mobiles is None else 'both'} given, expected exactly one of the two."
            )
        if mobiles is not None:
            return audience_from(mobiles)
        return FileAudience(_path(self.audience_file), self.audience_column or None)

    def _plan(self, context: Context, settings: CaixinConnection) -> Plan:
        from airflow_provider_caixin.campaign import Plan
        from airflow_provider_caixin.hooks.caixin import template_id
        from airflow_provider_caixin.operators.rules import TaskRules

        rules = TaskRules.of(self, settings)
        for sentence in rules.loosened:
            self.log.warning("A rule is loosened: %s.", sentence)
        self.log.info("Rules: %s, at most %g messages a second.", rules, settings.messages_per_second)
        return Plan(
            campaign_id=self._campaign_id(context),
            tpl_id=template_id(self.tpl_id),
            account=settings.account,
            rate=settings.messages_per_second,
            window=rules.window,
            cap=rules.cap,
            classifier=rules.classifier,
            expires_at=_expiry(self.expires_at),
            max_messages=self.max_messages,
            max_per_day=settings.max_per_day,
            on_unknown=self.on_unknown,
            max_failure_ratio=self.max_failure_ratio,
            max_consecutive_failures=self.max_consecutive_failures,
            timeout=settings.timeout,
        )

    def _campaign_id(self, context: Context) -> str:
        if self.campaign_id is None:
            ti = context["ti"]
            index = "" if (ti.map_index or 0) < 0 else f"/{ti.map_index}"
            return f"{ti.dag_id}/{ti.run_id}/{ti.task_id}{index}"
        text = str(self.campaign_id).strip()
        if text in ("", "None"):
            raise ValueError(
                f"campaign_id {self.campaign_id!r} is what its template came to: expected a name; leave the argument out for "
                "dag_id/run_id/task_id."
            )
        return text

    def _refuse_backfill(self, context: Context) -> None:
        dag_run = context.get("dag_run")
        kind = getattr(dag_run, "run_type", None)
        if not self.allow_backfill and getattr(kind, "value", kind) == "backfill":
            raise AirflowFailException(
                "This is a backfill run, which would send old campaigns to people today. Set allow_backfill=True on the task "
                "if that is what you want."
            )

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


def _opening(plan: Plan) -> datetime | None:
    """Say when a closed window opens; None: it is open, or will be in a moment."""
    from airflow_provider_caixin.rules.window import OPENING_GUARD

    now = time.time()
    if plan.window is None or plan.window.seconds_to_post(now, plan.timeout) <= OPENING_GUARD:
        return None
    return plan.window.next_opening(datetime.fromtimestamp(now, UTC))


def _by_reason(counts: Counter[str]) -> str:
    details = ", ".join(f"{reason}: {number}" for reason, number in counts.most_common())
    return f"{counts.total()} ({details})" if details else "0"


def _tried(counts: Counts) -> int:
    return counts.sent + counts.rejected.total() + counts.unknown


def _source(context: Context) -> str:
    ti = context["ti"]
    return f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.map_index}"


def _path(value: Any) -> ObjectStoragePath:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    return value if isinstance(value, ObjectStoragePath) else ObjectStoragePath(str(value))


def _one_of(name: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{name} {value!r} is not known: expected one of {', '.join(map(repr, choices))}.")


def _flag(name: str, value: object) -> bool:
    """Read a truth value that a template may have made a text of."""
    text = str(value).strip().lower()
    if text in ("true", "1", "yes"):
        return True
    if text in ("false", "0", "no", "none", ""):
        return False
    raise ValueError(f"{name} {value!r} is neither true nor false: expected True or False.")


def _expiry(value: object) -> datetime | timedelta | Literal["close"] | None:
    """Read a moment, which a template makes a text of; without a zone it is Asia/Shanghai."""
    if isinstance(value, str):
        text = value.strip()
        if text in ("", "None"):
            return None
        if text == "close":
            return "close"
        try:
            value = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(
                f'expires_at {value!r} is not a moment: expected one such as "2026-11-23 18:00", a timedelta or "close".'
            ) from None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=CHINA)
    if value is None or isinstance(value, timedelta):
        return value
    raise ValueError(f'expires_at {value!r} is not known: expected a moment, a timedelta, "close" or None.')
