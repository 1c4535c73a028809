"""The notifier: a video SMS to the few people who have to know what became of a run."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from copy import copy
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, BaseNotifier

from airflow_provider_caixin.compat import NOTSET, ArgNotSet
from airflow_provider_caixin.session.arguments import check_rules, object_path, one_of, read_campaign_id
from airflow_provider_caixin.session.masking import Covering, uncovered
from airflow_provider_caixin.settings.options import DEFAULT_CONN_ID, read_flag

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_caixin.audience import Audience
    from airflow_provider_caixin.campaign import Counts, Plan
    from airflow_provider_caixin.rules import FrequencyCap, SendWindow
    from airflow_provider_caixin.settings.connection import CaixinConnection

_PATIENCE = 30.0


class CaixinNotifier(Covering, BaseNotifier):
    """
    Send a template to a few people, as a callback of a Dag or task, or when a deadline is missed.

    It is a small campaign: the rules, the gate and the ledger are those of all others, so nobody is billed twice for one
    occasion however often Airflow calls, and the frequency cap counts these messages, too: with the usual cap whoever had one
    today gets none. Outside the send window nothing is sent, nothing waits, and the log says so.

    It sends for half a minute at the most; who has got nothing by then is told by the error. Other errors are raised as well:
    Airflow logs them, and they change nothing about the task. For a deadline keep numbers out of the callback's ``kwargs``,
    which Airflow stores and logs: give ``audience_file``.

    :param tpl_id: template id (templated).
    :param mobiles: one number or a list (templated).
    :param audience_file: path or URL of a .txt or .csv; either this or ``mobiles`` (templated).
    :param campaign_id: same id: same campaign; None: one for each run, task and state, or deadline (templated).
    :param caixin_conn_id: id of an Airflow connection of type ``caixin`` (templated).
    :param outside_window: ``"log"``, or ``"fail"`` to raise an error.
    :param send_window: as in :class:`~airflow_provider_caixin.operators.caixin.CaixinSendOperator`, like all that follow.
    :param frequency_cap: see there.
    :param blocked_regions: see there.
    :param allow_other_carriers: see there.
    :param allow_virtual_operators: see there.
    :param context: what Airflow's callbacks are about; Airflow gives it.
    """

    template_fields: Sequence[str] = ("tpl_id", "mobiles", "audience_file", "campaign_id", "caixin_conn_id")

    on_unknown: Literal["hold"] = "hold"

    def __init__(
        self,
        *,
        tpl_id: int | str,
        mobiles: Any = None,
        audience_file: Any = None,
        campaign_id: str | None = None,
        caixin_conn_id: str = DEFAULT_CONN_ID,
        outside_window: Literal["log", "fail"] = "log",
        send_window: SendWindow | str | ArgNotSet | None = NOTSET,
        frequency_cap: FrequencyCap | str | Mapping[str, object] | ArgNotSet | None = NOTSET,
        blocked_regions: Sequence[str] | str | ArgNotSet | None = NOTSET,
        allow_other_carriers: bool = False,
        allow_virtual_operators: bool = False,
        context: Context | None = None,
    ) -> None:
        super().__init__(context)
        self.tpl_id = tpl_id
        self.mobiles = mobiles
        self.audience_file = audience_file
        self.campaign_id = campaign_id
        self.caixin_conn_id = caixin_conn_id
        self.outside_window = outside_window
        self.send_window = send_window
        self.frequency_cap = frequency_cap
        self.blocked_regions = blocked_regions
        self.allow_other_carriers = read_flag("allow_other_carriers", allow_other_carriers)
        self.allow_virtual_operators = read_flag("allow_virtual_operators", allow_virtual_operators)
        # Now, and not when something has failed already.
        one_of("outside_window", outside_window, ("log", "fail"))
        check_rules(send_window, frequency_cap, blocked_regions)
        if (mobiles is None) == (audience_file is None):
            raise ValueError("mobiles and audience_file: expected exactly one of the two.")

    def __call__(self, *args: Any) -> None:
        """
        Send, from a copy: Airflow renders in place, and one notifier serves many runs.

        :param args: the callback's context.
        """
        super(CaixinNotifier, copy(self)).__call__(*args)

    async def async_notify(self, context: Context) -> None:
        """
        Send, in a thread: gateway and ledger take their time, and the triggerer has other things to do meanwhile.

        :param context: what the callback is about.
        """
        await asyncio.to_thread(self.notify, context)

    def notify(self, context: Context) -> None:
        """
        Send.

        :param context: what the callback is about.
        :raises AirflowException: when somebody got nothing because something does not work, or most of it failed; outside
            the window only where ``outside_window`` is ``"fail"``.
        """
        from airflow_provider_caixin.campaign import Campaign, OutsideWindow
        from airflow_provider_caixin.hooks.caixin import CaixinHook
        from airflow_provider_caixin.ledger.rows.campaign import Origin
        from airflow_provider_caixin.session.airflow_errors import as_airflow_errors
        from airflow_provider_caixin.settings.ledgers import open_ledger

        self._refuse_lost()
        with as_airflow_errors(), CaixinHook(self.caixin_conn_id) as hook:
            try:
                occasion = _Occasion.of(context)
                audience, plan = self._audience(), self._plan(occasion, hook.settings)
            except ValueError as error:
                raise AirflowFailException(str(error)) from None
            opens_at = plan.opening(time.time())
            if opens_at is not None:
                self._closed(f"The send window {plan.window} is closed; it opens {opens_at:%Y-%m-%d %H:%M}.")
                return
            stop = threading.Event()
            # Dags' callbacks run in the Dag processor and deadlines in the triggerer. Where these are containers of their own, a
            # ledger made there would know of nobody's messages.
            make = bool(occasion.task_id)
            with closing(open_ledger(hook.settings.ledger_conn_id, make=make)) as ledger:
                origin = Origin(occasion.dag_id, occasion.run_id, occasion.task_id, occasion.map_index)
                campaign = Campaign(plan, ledger, hook.client, origin=origin)
                patience = threading.Timer(_PATIENCE, stop.set)
                patience.daemon = True
                patience.start()
                try:
                    # Two notifiers of one occasion are one source: each with people of its own.
                    source = f"notifier/{'/'.join(map(str, occasion))}"
                    campaign.load(audience, source, stop.is_set, audience_change="add")
                    campaign.send(stop)
                except OutsideWindow as closed:
                    campaign.skip_rest("window_closed")
                    self._closed(str(closed))
                finally:
                    patience.cancel()
                self._tell(campaign.counts())
                campaign.check_ratio()

    def _audience(self) -> Audience:
        from airflow_provider_caixin.audience import FileAudience, audience_from

        if self.mobiles is not None:
            return audience_from(uncovered(self.mobiles))
        return FileAudience(object_path(self.audience_file))

    def _plan(self, occasion: _Occasion, settings: CaixinConnection) -> Plan:
        from airflow_provider_caixin.hooks.caixin import template_id
        from airflow_provider_caixin.session.rules import TaskRules

        rules = TaskRules.of(self, settings)
        for sentence in rules.warnings(self):
            self.log.warning("A rule is loosened: %s.", sentence)
        tpl_id = template_id(self.tpl_id)
        return rules.plan(
            settings,
            campaign_id="/".join(["notify", *occasion.parts(), str(tpl_id)])
            if self.campaign_id is None
            else read_campaign_id(self.campaign_id),
            tpl_id=tpl_id,
        )

    def _closed(self, why: str) -> None:
        sentence = f"{why} Who is not notified now will not be."
        if self.outside_window == "fail":
            raise AirflowException(sentence)
        self.log.warning("%s", sentence)

    def _tell(self, counts: Counts) -> None:
        details = {**counts.skipped, **counts.rejected}
        self.log.info(
            "Campaign %s: %d of %d people are notified%s.",
            counts.campaign_id,
            counts.sent,
            counts.total,
            "".join(f", {number} not: {reason}" for reason, number in details.items() if number),
        )


class _Occasion(NamedTuple):
    """What a callback is about, the same for one that is called twice."""

    dag_id: str
    run_id: str
    task_id: str = ""
    map_index: int = -1
    event: str = ""

    @classmethod
    def of(cls, context: Context) -> _Occasion:
        """
        Read it from what Airflow gives: to tasks' callbacks all, to Dags' some, to deadlines' a few plain values.

        :param context: Airflow's context.
        :raises ValueError: when there is no run in it.
        """
        given: Mapping[str, Any] = context  # more kinds of it than Airflow's type knows
        run, ti, deadline = given.get("dag_run"), given.get("ti"), given.get("deadline")
        if isinstance(run, Mapping):
            name = f"deadline/{deadline['id']}" if deadline else ""
            return cls(str(run["dag_id"]), str(run["dag_run_id"]), event=name)
        if "reason" in given:
            return cls(given["dag"].dag_id, str(given["run_id"]), event=str(given["reason"]))
        if ti is None:
            raise ValueError(
                "context: expected that of a Dag's, task's or deadline's callback, which names a run."
            )
        state = getattr(ti, "state", None)
        index = -1 if ti.map_index is None else ti.map_index
        return cls(ti.dag_id, ti.run_id, ti.task_id, index, str(getattr(state, "value", state) or "running"))

    def parts(self) -> list[str]:
        """Give what is known of it, from the outside in."""
        index = "" if self.map_index < 0 else str(self.map_index)
        return [part for part in (self.dag_id, self.run_id, self.task_id, index, self.event) if part]
