"""Sensors: wait until a template may be sent, or until the send window is open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_caixin.compat import NOTSET, ArgNotSet
from airflow_provider_caixin.rules import SendWindow
from airflow_provider_caixin.settings.options import DEFAULT_CONN_ID, read_flag

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_CHOICES = ("wait", "fail")
# The trigger ends the wait itself and names what it saw last; Airflow does where no triggerer ran in time.
_GRACE = timedelta(minutes=1)
_LEAST_INTERVAL_SECONDS = 1.0


class CaixinTemplateSensor(BaseSensorOperator):
    """Wait until a template exists and is available.

    Returns the template as a dict (``tpl_id``, ``content``, ``url``, ``available``, ``created_at``). Each
    poke is one call that is not billed as far as the gateway's document says. A gateway that is busy or out
    of reach is asked again at the next poke; one that refuses the account, or is not there, fails the task
    without a retry.

    :param tpl_id: template id (templated).
    :param caixin_conn_id: id of an Airflow connection of type ``caixin`` (templated).
    :param missing: what to do while the account has no such template: ``"wait"`` or ``"fail"`` without a
        retry.
    :param unavailable: the same while it is there and not available (``tpl_state`` 0).
    :param deferrable: look once, then wait in the triggerer, where sensors of one connection and
        ``poke_interval`` share their polls (Airflow 3.3); ``mode`` and ``exponential_backoff`` do not count
        there.
    """

    template_fields: Sequence[str] = ("tpl_id", "caixin_conn_id")
    ui_color = "#e8f4ea"

    def __init__(
        self,
        *,
        tpl_id: int | str,
        caixin_conn_id: str = DEFAULT_CONN_ID,
        missing: Literal["wait", "fail"] = "wait",
        unavailable: Literal["wait", "fail"] = "wait",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("missing", missing), ("unavailable", unavailable)):
            if value not in _CHOICES:
                raise ValueError(f'{name} {value!r} is not known: expected "wait" or "fail".')
        self.tpl_id = tpl_id
        self.caixin_conn_id = caixin_conn_id
        self.missing = missing
        self.unavailable = unavailable
        self.deferrable = read_flag("deferrable", deferrable)

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002  # Airflow's signature
        """Check the template once; a deferrable sensor that has to wait defers from here.

        :raises AirflowFailException: when waiting cannot help, or is not wanted.
        """
        from airflow_provider_caixin.hooks.caixin import template_id
        from airflow_provider_caixin.session.template_check import TemplateCheck

        try:
            tpl_id = template_id(self.tpl_id)
        except ValueError as error:
            raise AirflowFailException(str(error)) from None
        check = TemplateCheck.of(self.caixin_conn_id)
        finding = check.find(tpl_id, self.missing, self.unavailable)
        if finding.hopeless:
            raise AirflowFailException(finding.sentence)
        if finding.template:
            self.log.info("%s", finding.sentence)
            return PokeReturnValue(is_done=True, xcom_value=finding.template.as_dict())
        if check.error:
            self.log.warning("The template cannot be looked at for now, asking again: %s", check.error)
        else:
            self.log.info("%s; waiting.", finding.sentence)
        if self.deferrable:
            self._defer(tpl_id)
        return PokeReturnValue(is_done=False)

    def resume(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """Go on after a deferral.

        :param event: what the trigger fired; None or one that is not known: the template is looked at again.
        :raises AirflowFailException: when waiting could not help, or was not wanted.
        :raises AirflowSensorTimeout: when the time was over.
        """
        event = event or {}
        status, message = event.get("status"), str(event.get("message"))
        if status == "success":
            return event["template"]
        if status == "failed":
            raise AirflowFailException(message)
        if status == "timeout":
            raise AirflowSensorTimeout(message)
        return self.execute(context)

    def _defer(self, tpl_id: int) -> None:
        from airflow_provider_caixin.triggers.caixin import CaixinTemplateTrigger

        wait = timedelta(seconds=self.timeout)
        self.defer(
            trigger=CaixinTemplateTrigger(
                tpl_id,
                self.caixin_conn_id,
                max(float(self.poke_interval), _LEAST_INTERVAL_SECONDS),
                missing=self.missing,
                unavailable=self.unavailable,
                ends_at=datetime.now(UTC) + wait,
            ),
            method_name="resume",
            timeout=wait + _GRACE,
        )


class CaixinWindowSensor(BaseSensorOperator):
    """Wait until the send window is open; true at once inside it.

    For what has to happen within the hours of sending and is no
    :class:`~airflow_provider_caixin.operators.caixin.CaixinSendOperator`, which waits by itself. In
    reschedule mode it comes back at the opening and not every minute. Deferrable, it starts and ends in the
    triggerer, without a worker, from Airflow 3.3 on (a task with ``inlets``, ``outlets`` or something to call
    around it needs a worker for these).

    :param send_window: daily hours in Asia/Shanghai such as ``"09:00-18:00"``; None: any time. Not given: the
        connection's, else the configuration's, else 09:00-18:00, as the operator has it.
    :param caixin_conn_id: id of an Airflow connection of type ``caixin``, read only where ``send_window`` is
        not given (templated).
    :param deferrable: wait in the triggerer; ``mode`` does not count there.
    """

    template_fields: Sequence[str] = ("caixin_conn_id",)
    ui_color = "#e8f4ea"

    _opens_at: datetime

    def __init__(
        self,
        *,
        send_window: SendWindow | str | ArgNotSet | None = NOTSET,
        caixin_conn_id: str = DEFAULT_CONN_ID,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(send_window, ArgNotSet | None):
            send_window = SendWindow.parse(send_window)
        self.send_window = send_window
        self.caixin_conn_id = caixin_conn_id
        self.deferrable = read_flag("deferrable", deferrable)
        if self.deferrable:
            self._start_in_triggerer()

    def poke(self, context: Context) -> bool:  # noqa: ARG002  # Airflow's signature
        """Check whether the window is open; a deferrable sensor that has to wait defers from here.

        :raises AirflowFailException: for a connection that cannot be right.
        """
        window, now = self._window(), datetime.now(UTC)
        if window.contains(now):
            self.log.info("The send window %s is open.", window)
            return True
        self._opens_at = window.next_opening(now)
        self.log.info(
            "The send window %s opens %s (Asia/Shanghai).", window, f"{self._opens_at:%Y-%m-%d %H:%M:%S}"
        )
        if self.deferrable:
            self.defer(trigger=self._trigger(), method_name="resume", timeout=timedelta(seconds=self.timeout))
        return False

    def resume(self, context: Context, event: object = None) -> Any:
        """Go on after a deferral, and check again: a worker may come late, and after the closing.

        :raises AirflowFailException: for a connection that cannot be right.
        :raises RuntimeError: where the triggerer did not get the connection.
        """
        event = event if isinstance(event, dict) else {}
        status, message = event.get("status"), str(event.get("message"))
        if status == "failed":
            raise AirflowFailException(message)
        if status == "error":
            # Not Airflow's: soft_fail is for a window that does not open.
            raise RuntimeError(message)
        return self.execute(context)

    def _window(self) -> SendWindow:
        from airflow_provider_caixin.session.template_check import window_of

        try:
            return window_of(self.send_window, self.caixin_conn_id)
        except ValueError as error:
            raise AirflowFailException(str(error)) from None

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        """Return the seconds to the opening or the end; at most the interval, where the process sleeps."""
        to_opening = max((self._opens_at - datetime.now(UTC)).total_seconds(), 0.0)
        usual = super()._get_next_poke_interval(started_at, run_duration, poke_count)
        # Past the end by a moment: Airflow asks whether it has been exceeded.
        to_end = max(self.timeout - run_duration(), 0.0) + 0.1
        return min(to_opening, to_end if self.reschedule else usual)

    def _trigger(self) -> Any:
        from airflow_provider_caixin.triggers.caixin import CaixinWindowTrigger

        return CaixinWindowTrigger(
            self.send_window, self.caixin_conn_id, end_from_trigger=not self._needs_worker()
        )

    def _needs_worker(self) -> bool:
        """Check whether Airflow does something around the task that only a worker does."""
        around = (
            self.inlets,
            self.outlets,
            self.on_execute_callback,
            self._pre_execute_hook,
            self._post_execute_hook,
        )
        return any(around) or not isinstance(self.caixin_conn_id, str)

    def _start_in_triggerer(self) -> None:
        from airflow.triggers.base import BaseEventTrigger, StartTriggerArgs

        # Airflow 3.2 stores this and does not act on it. Shared streams came with the version that does.
        if not hasattr(BaseEventTrigger, "shared_stream_key") or self._needs_worker():
            return
        classpath, arguments = self._trigger().serialize()
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls=classpath,
            trigger_kwargs=arguments,
            next_method="resume",
            timeout=timedelta(seconds=self.timeout),
        )
        self.start_from_trigger = True
