"""Triggers: waiting for a template and for the send window, in the triggerer."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.compat import NOTSET, ArgNotSet
from airflow_provider_caixin.rules import SendWindow
from airflow_provider_caixin.settings.options import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow_provider_caixin.juhe import Template
    from airflow_provider_caixin.session.template_check import TemplateCheck

T = TypeVar("T")

DEFAULT_POLL_SECONDS = 60.0
# Polls that began together, when a triggerer started say, drift apart.
_JITTER_SHARE = 0.1
# A host's clock may be set while a trigger sleeps.
_LONGEST_SLEEP_SECONDS = 60.0
# For all polls of a triggerer: a gateway that does not answer holds these threads, and no other trigger's.
_THREADS = 4


class CaixinTemplateTrigger(BaseEventTrigger):
    """Fire when a template becomes available.

    For an ``AssetWatcher`` it fires each time the template turns from missing or not available into
    available, with the template as a dict as its payload, and goes on watching. What was available at the
    first check is no news. From Airflow 3.3 the watched asset's state store keeps what was seen last, so that
    what happens while no triggerer runs is noticed, and once; before 3.3 each start of a triggerer is a first
    check. It never fires for an error, which would start a run.

    With ``ends_at`` it waits for a task: it fires once, as soon as the template is available, when waiting
    cannot help, or at that moment. The payload has ``status``, ``template`` or ``message``.

    Triggers of one connection and interval share their polls where Airflow can (3.3). A poll is one call that
    is not billed as far as the gateway's document says.

    :param caixin_conn_id: id of an Airflow connection of type ``caixin``, read at every poll.
    :param poll_interval: seconds from one poll to the next, give or take a tenth.
    :param missing: for a task: ``"wait"`` or ``"fail"`` while the account has no such template.
    :param unavailable: the same while it is there and not available.
    :param ends_at: for a task: until when to wait; None: watch without end.
    :raises ValueError: for an argument that cannot be right; names it and what was expected.
    """

    def __init__(
        self,
        tpl_id: int | str,
        caixin_conn_id: str = DEFAULT_CONN_ID,
        poll_interval: float = DEFAULT_POLL_SECONDS,
        *,
        missing: Literal["wait", "fail"] = "wait",
        unavailable: Literal["wait", "fail"] = "wait",
        ends_at: datetime | None = None,
    ) -> None:
        from airflow_provider_caixin.hooks.caixin import template_id

        super().__init__()  # type: ignore[no-untyped-call]  # as Airflow wrote it
        self.tpl_id = template_id(tpl_id)
        self.caixin_conn_id = caixin_conn_id
        self.poll_interval = _interval(poll_interval)
        self.missing = missing
        self.unavailable = unavailable
        self.ends_at = ends_at
        for name, value in (("missing", missing), ("unavailable", unavailable)):
            if value not in ("wait", "fail"):
                raise ValueError(f'{name} {value!r} is not known: expected "wait" or "fail".')
        if ends_at is not None and ends_at.tzinfo is None:
            raise ValueError(
                f"ends_at {ends_at!r} has no time zone: expected a moment such as datetime.now(UTC)."
            )

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what it takes to make this trigger again; nothing in it changes while it waits."""
        waiting = {"missing": self.missing, "unavailable": self.unavailable, "ends_at": self.ends_at}
        return _path(self), {
            "tpl_id": self.tpl_id,
            "caixin_conn_id": self.caixin_conn_id,
            "poll_interval": self.poll_interval,
            **(waiting if self.ends_at else {}),
        }

    def shared_stream_key(self) -> Hashable:
        """Return what triggers of one gateway and interval have in common: one answer lists all templates."""
        return "caixin.templates", self.caixin_conn_id, self.poll_interval

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncGenerator[TemplateCheck, None]:
        """Check the templates again and again.

        An error is a check that saw nothing: raised, it would end every trigger that shares this stream.

        :param kwargs: the arguments of one of these triggers.
        """
        while True:
            yield await _in_thread(_check_templates, kwargs["caixin_conn_id"])
            jitter = random.uniform(1 - _JITTER_SHARE, 1 + _JITTER_SHARE)  # noqa: S311  # nothing to guess
            await asyncio.sleep(kwargs["poll_interval"] * jitter)

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[TemplateCheck]
    ) -> AsyncGenerator[TriggerEvent, None]:
        """Turn checks, which come without end, into this trigger's events."""
        if self.ends_at is not None:
            yield _event(await self._wait(shared_stream, self.ends_at))
            return
        async for template in self._became_available(shared_stream):
            yield _event(template.as_dict())

    async def run(self) -> AsyncGenerator[TriggerEvent, None]:
        """Yield the same events without sharing, as Airflow before 3.3 and ``dags test`` have it."""
        checks = type(self).open_shared_stream(self.serialize()[1])
        async with aclosing(checks), aclosing(self.filter_shared_stream(checks)) as events:
            async for event in events:
                yield event

    async def _wait(self, checks: AsyncIterator[TemplateCheck], ends_at: datetime) -> dict[str, Any]:
        """Check until there is something that ends the wait of the task."""
        last = "The gateway was not asked yet"
        failures = _Failures(self)
        try:
            async with asyncio.timeout((ends_at - datetime.now(UTC)).total_seconds()):
                async for check in checks:
                    finding = check.find(self.tpl_id, self.missing, self.unavailable)
                    failures.count(check)
                    if finding.template:
                        return {"status": "success", "template": finding.template.as_dict()}
                    if finding.hopeless:
                        return {"status": "failed", "message": finding.sentence}
                    last = finding.sentence
        except TimeoutError:
            pass
        return {"status": "timeout", "message": f"The time to wait is over. At the last look: {last}"}

    async def _became_available(self, checks: AsyncIterator[TemplateCheck]) -> AsyncGenerator[Template, None]:
        """Yield the template each time that it was not available before."""
        failures, memory = _Failures(self), _Memory(self)
        seen: bool | None = None
        async for check in checks:
            failures.count(check)
            if check.error is not None:
                continue
            template = check.find(self.tpl_id).template
            if seen is (template is not None):
                continue
            try:
                # Asked also when this trigger knows: another triggerer may have gone on with the same one
                # meanwhile.
                before = await memory.recall()
                # Kept before the event: a triggerer that dies in between starts no run rather than two.
                await memory.keep(template is not None)
            except Exception as error:  # noqa: BLE001  # Airflow's API; without it nothing is lost, only later
                self.log.warning("What was seen last cannot be looked up for now, trying again: %s", error)
                continue
            seen = template is not None
            if template is None or before is None:
                self.log.info(
                    "Template %s is %s; watching.",
                    self.tpl_id,
                    "not available" if template is None else "available",
                )
            elif not before:
                yield template


class CaixinWindowTrigger(BaseTrigger):
    """Fire when the send window is open, at once where it is.

    The opening is computed here and not by who makes the trigger: arguments that Airflow read with the Dag
    hours ago stay right, and so do those of a triggerer that starts again.

    :param send_window: daily hours in Asia/Shanghai such as ``"09:00-18:00"``; None: any time. Not given: the
        connection's, else the configuration's, else 09:00-18:00.
    :param caixin_conn_id: id of an Airflow connection of type ``caixin``, read only where ``send_window`` is
        not given.
    :param end_from_trigger: end the task as a success from here, without a worker.
    :raises ValueError: for a window that is none.
    """

    def __init__(
        self,
        send_window: SendWindow | str | ArgNotSet | None = NOTSET,
        caixin_conn_id: str = DEFAULT_CONN_ID,
        *,
        end_from_trigger: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as Airflow wrote it
        if not isinstance(send_window, ArgNotSet | None):
            send_window = str(SendWindow.parse(send_window))
        self.send_window = send_window
        self.caixin_conn_id = caixin_conn_id
        self.end_from_trigger = end_from_trigger

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what it takes to make this trigger again."""
        given = {} if isinstance(self.send_window, ArgNotSet) else {"send_window": self.send_window}
        return _path(self), {
            **given,
            "caixin_conn_id": self.caixin_conn_id,
            "end_from_trigger": self.end_from_trigger,
        }

    async def run(self) -> AsyncGenerator[TriggerEvent, None]:
        """Sleep until the window opens; a connection that cannot be used is an event for the task."""
        while True:
            try:
                window = await _in_thread(_window, self.send_window, self.caixin_conn_id)
            except Exception as error:  # noqa: BLE001  # the task raises it, where soft_fail and retries count
                yield _event(
                    {"status": "failed" if isinstance(error, ValueError) else "error", "message": str(error)}
                )
                return
            now = datetime.now(UTC)
            if window.contains(now):
                break
            # Read again at the opening: someone may have changed the connection.
            await self._sleep_until(window.next_opening(now))
        self.log.info("The send window %s is open.", window)
        yield TaskSuccessEvent() if self.end_from_trigger else _event({"status": "success"})

    async def _sleep_until(self, moment: datetime) -> None:
        self.log.info("The send window opens %s.", moment.astimezone(CHINA).isoformat(" ", "seconds"))
        while (left := (moment - datetime.now(UTC)).total_seconds()) > 0:  # noqa: ASYNC110  # a clock has no event
            await asyncio.sleep(min(left, _LONGEST_SLEEP_SECONDS))


class _Failures:
    """Checks in a row that saw nothing, logged when their number doubles: a night is ten lines."""

    def __init__(self, trigger: CaixinTemplateTrigger) -> None:
        self._log = trigger.log
        self._number = 0

    def count(self, check: TemplateCheck) -> None:
        if check.error is None:
            self._number = 0
            return
        self._number += 1
        if self._number & (self._number - 1) == 0:
            self._log.warning(
                "The templates cannot be looked at for now (%d in a row), asking again: %s",
                self._number,
                check.error,
            )


class _Memory:
    """Whether the template was available when last seen, in the asset's state store where there is one."""

    def __init__(self, trigger: CaixinTemplateTrigger) -> None:
        self._log = trigger.log
        # Airflow 3.2 has none, and a trigger that no asset watches gets none.
        self._store: Any = getattr(trigger, "asset_state_store", None)
        self._key = f"caixin_template.{trigger.caixin_conn_id}.{trigger.tpl_id}"
        self._seen: bool | None = None

    async def recall(self) -> bool | None:
        """Return what was kept last; None: nothing yet."""
        if self._store is not None:
            try:
                return cast("bool | None", await self._ask("get", self._key))
            except ValueError:
                self._store = None
                self._log.warning(
                    "Two assets watch the same template with the same arguments, and Airflow keeps nothing for such a "
                    "trigger: what becomes available while no triggerer runs goes unnoticed. Give their triggers "
                    "different poll_intervals."
                )
        return self._seen

    async def keep(self, seen: bool) -> None:
        """Keep what is seen now."""
        if self._store is not None:
            await self._ask("set", self._key, seen)
        self._seen = seen

    async def _ask(self, name: str, *arguments: object) -> object:
        # The asynchronous methods came with 3.3.2.
        asynchronous = getattr(self._store, f"a{name}", None)
        if asynchronous is not None:
            return await asynchronous(*arguments)
        return await _in_thread(getattr(self._store, name), *arguments)


# Imported in the thread, too: the HTTP client behind it would hold up the triggerer's loop.
def _check_templates(caixin_conn_id: str) -> TemplateCheck:
    from airflow_provider_caixin.session.template_check import TemplateCheck

    try:
        return TemplateCheck.of(caixin_conn_id)
    except Exception as error:  # noqa: BLE001  # Airflow does not give the connection: it may later
        return TemplateCheck(error=f"Connection {caixin_conn_id!r} cannot be read: {error}")


def _window(send_window: SendWindow | str | ArgNotSet | None, caixin_conn_id: str) -> SendWindow:
    from airflow_provider_caixin.session.template_check import window_of

    return window_of(send_window, caixin_conn_id)


async def _in_thread(function: Callable[..., T], *arguments: object) -> T:
    """Call what blocks, be it the gateway or Airflow's own API, in one of a few threads."""
    from asgiref.sync import sync_to_async

    return await sync_to_async(function, thread_sensitive=False, executor=_threads())(*arguments)


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="caixin-trigger")


def _event(payload: dict[str, Any]) -> TriggerEvent:
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]  # as Airflow wrote it


def _path(trigger: BaseTrigger) -> str:
    return f"{type(trigger).__module__}.{type(trigger).__qualname__}"


def _interval(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError(f"poll_interval {value!r} is not a number of seconds above 0.")
    return float(value)
