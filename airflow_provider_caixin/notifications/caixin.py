"""The notifier: a video SMS to the few who have to know what became of a run."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from copy import copy
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from airflow.providers.common.compat.sdk import AirflowException, BaseNotifier

from airflow_provider_caixin.compat import NOTSET, ArgNotSet
from airflow_provider_caixin.session.arguments import Arguments, read_early
from airflow_provider_caixin.session.readers import check_choice, read_campaign_id
from airflow_provider_caixin.session.rendering import GuardedTemplater
from airflow_provider_caixin.settings.options import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_caixin.campaign import Counts
    from airflow_provider_caixin.rules import FrequencyCap, SendWindow

_LONGEST_SECONDS: Final = 30.0


class CaixinNotifier(GuardedTemplater, BaseNotifier):
    """Send a template to a few recipients, as a callback of a Dag or task, or when a deadline is missed.

    It is a small campaign: rules, pacer and ledger are those of all others, so no message is billed twice for
    one occasion however often Airflow calls, and the frequency cap counts these messages, too: with the usual
    cap a recipient who had one today gets none. Outside the send window nothing is sent, nothing waits, and
    the log says so.

    It sends for half a minute at the most; the error tells who has got nothing by then. Other errors are
    raised as well: Airflow logs them, and they change nothing about the task. For a deadline keep numbers out
    of the callback's ``kwargs``, which Airflow stores and logs: give ``audience_file``.

    :param tpl_id: template id (templated).
    :param mobiles: one number or a list (templated).
    :param audience_file: path or URL of a .txt or .csv; either this or ``mobiles`` (templated).
    :param campaign_id: same id: same campaign; None: one for each run, task and state, or deadline
        (templated).
    :param caixin_conn_id: id of an Airflow connection of type ``caixin`` (templated).
    :param outside_window: ``"log"``, or ``"fail"`` to raise an error.
    :param send_window: as in :class:`~airflow_provider_caixin.operators.caixin.CaixinSendOperator`, like all
        that follow.
    :param frequency_cap: see there.
    :param blocked_regions: see there.
    :param allow_other_carriers: see there.
    :param allow_virtual_operators: see there.
    :param context: what Airflow's callbacks are about; Airflow gives it.
    """

    template_fields: Sequence[str] = ("tpl_id", "mobiles", "audience_file", "campaign_id", "caixin_conn_id")

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
        self.send_window = send_window
        self.frequency_cap = frequency_cap
        self.blocked_regions = blocked_regions
        self.allow_other_carriers = allow_other_carriers
        self.allow_virtual_operators = allow_virtual_operators
        self.outside_window = outside_window
        # Now, and not when something has failed already.
        check_choice("outside_window", outside_window, ("log", "fail"))
        read_early(self)
        if (mobiles is None) == (audience_file is None):
            raise ValueError("mobiles and audience_file: expected exactly one of the two.")

    def __call__(self, *args: Any) -> None:
        """Send, from a copy: Airflow renders in place, and one notifier serves many runs."""
        super(CaixinNotifier, copy(self)).__call__(*args)

    async def async_notify(self, context: Context) -> None:
        """Send in a thread: gateway and ledger take time, and the triggerer has other work meanwhile."""
        await asyncio.to_thread(self.notify, context)

    def notify(self, context: Context) -> None:
        """Send.

        :raises AirflowException: when a recipient got nothing because something does not work, or most of it
            failed; outside the window only where ``outside_window`` is ``"fail"``.
        """
        from airflow_provider_caixin.campaign import OutsideWindow
        from airflow_provider_caixin.ledger.rows.campaign import Origin
        from airflow_provider_caixin.session.airflow_errors import as_airflow_errors, bad_arguments_fail
        from airflow_provider_caixin.session.session import Session, audience_of
        from airflow_provider_caixin.settings.ledgers import open_ledger

        self._refuse_empty()
        with as_airflow_errors():
            with bad_arguments_fail():
                occasion = _Occasion.of(context)
                given = Arguments.of(self)
                audience = audience_of(given)
                # Dags' callbacks run in the Dag processor and deadlines in the triggerer. Where these are
                # containers of their own, a ledger made there would know of no other campaign's messages.
                make = bool(occasion.task_id)
                session = Session(
                    given,
                    campaign_id=lambda: self._campaign_id(occasion, given.tpl_id),
                    open_ledger=lambda settings: closing(open_ledger(settings.ledger_conn_id, make=make)),
                    origin=Origin(occasion.dag_id, occasion.run_id, occasion.task_id, occasion.map_index),
                )
            for warning in session.rules.warnings(given):
                self.log.warning("%s", warning)
            opens_at = session.plan.opening(time.time())
            if opens_at is not None:
                window = session.plan.window
                self._closed(f"The send window {window} is closed; it opens {opens_at:%Y-%m-%d %H:%M}.")
                return
            stop = threading.Event()
            with session:
                campaign = session.open_campaign()
                # Two notifiers of one occasion are one source: each with recipients of its own.
                source = f"notifier/{'/'.join(map(str, occasion))}"
                try:
                    with _set_after(_LONGEST_SECONDS, stop):
                        campaign.load(audience, source, stop.is_set, audience_change="add")
                        campaign.send(stop)
                except OutsideWindow as closed:
                    campaign.skip_rest("window_closed")
                    self._closed(str(closed))
                self._log_counts(campaign.counts())
                campaign.check_ratio()

    def _campaign_id(self, occasion: _Occasion, tpl_id: int) -> str:
        if self.campaign_id is not None:
            return read_campaign_id(self.campaign_id)
        return "/".join(["notify", *occasion.parts(), str(tpl_id)])

    def _closed(self, why: str) -> None:
        sentence = f"{why} Who is not notified now will not be."
        if self.outside_window == "fail":
            raise AirflowException(sentence)
        self.log.warning("%s", sentence)

    def _log_counts(self, counts: Counts) -> None:
        details = {**counts.skipped, **counts.rejected}
        self.log.info(
            "Campaign %s: %d of %d recipients are notified%s.",
            counts.campaign_id,
            counts.sent,
            counts.total,
            "".join(f", {number} not: {reason}" for reason, number in details.items() if number),
        )


@contextmanager
def _set_after(seconds: float, stop: threading.Event) -> Iterator[None]:
    """Set an event when the block takes longer."""
    timer = threading.Timer(seconds, stop.set)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class _Occasion(NamedTuple):
    """What a callback is about, the same for one that is called twice."""

    dag_id: str
    run_id: str
    task_id: str = ""
    map_index: int = -1
    event: str = ""

    @classmethod
    def of(cls, context: Context) -> _Occasion:
        """Read it from a callback's context: full for tasks, less for Dags, a few plain values for deadlines.

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
        """Return what is known of it, from the outside in."""
        index = "" if self.map_index < 0 else str(self.map_index)
        return [part for part in (self.dag_id, self.run_id, self.task_id, index, self.event) if part]
