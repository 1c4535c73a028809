from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
import time_machine
from airflow.models.trigger import Trigger
from airflow.sdk import Asset
from airflow.sdk.execution_time import context as sdk_context
from airflow.sdk.serde import deserialize, serialize
from airflow.serialization.encoders import encode_trigger
from airflow.serialization.serialized_objects import BaseSerialization
from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TaskSuccessEvent

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.rules import SendWindow
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.triggers.caixin import CaixinTemplateTrigger, CaixinWindowTrigger

REVIEWED = 65538
needs_3_3 = pytest.mark.skipif(
    not hasattr(BaseEventTrigger, "shared_stream_key"),
    reason="Airflow 3.2 has no shared streams and asset state",
)


def waiting(seconds: float = 20, **arguments: Any) -> CaixinTemplateTrigger:
    """Make a trigger that waits for a task."""
    ends_at = datetime.now(UTC) + timedelta(seconds=seconds)
    return CaixinTemplateTrigger(
        **{"tpl_id": REVIEWED, "poll_interval": 0.05, "ends_at": ends_at, **arguments}
    )


def watching(tpl_id: int = REVIEWED, store: Any = None) -> CaixinTemplateTrigger:
    """Make a trigger as an asset's watcher has it."""
    trigger = CaixinTemplateTrigger(tpl_id, poll_interval=0.05)
    trigger.asset_state_store = store
    return trigger


async def next_event(trigger: BaseTrigger) -> Any:
    """Run a trigger up to its first event."""
    async with aclosing(trigger.run()) as events:  # type: ignore[type-var]  # an async generator, as all are
        return await asyncio.wait_for(anext(events), 30)


def fired(trigger: BaseTrigger) -> Any:
    """Return the payload of a trigger's first event."""
    return asyncio.run(next_event(trigger)).payload


@asynccontextmanager
async def running(*triggers: BaseTrigger) -> AsyncIterator[list[Any]]:
    """Run triggers side by side as the triggerer does, and collect their payloads."""
    found: list[Any] = []

    async def run(trigger: BaseTrigger) -> None:
        async for event in trigger.run():
            found.append(event.payload)  # noqa: PERF401  # one by one, as they come

    tasks = [asyncio.create_task(run(trigger)) for trigger in triggers]
    try:
        yield found
        assert not [task for task in tasks if task.done()], "a watcher goes on without end"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def looked(sandbox: SandboxServer, more: int = 3) -> None:
    """Wait until the gateway has been asked some more times."""

    def calls() -> int:
        return int(sandbox.state()["template_calls"])

    goal = await asyncio.to_thread(calls) + more
    async with asyncio.timeout(30):
        while await asyncio.to_thread(calls) < goal:  # noqa: ASYNC110  # another process's event
            await asyncio.sleep(0.02)


async def until(condition: Callable[[], Any]) -> None:
    """Wait until something is the case."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.02)


class Store:
    """What Airflow 3.3.0 keeps of an asset: the asynchronous methods came later."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.is_down = False

    def get(self, key: str) -> Any:
        """Read."""
        if self.is_down:
            raise RuntimeError("no api-server")
        return self.kept.get(key)

    def set(self, key: str, value: Any) -> None:
        """Write."""
        if self.is_down:
            raise RuntimeError("no api-server")
        self.kept[key] = value


class AsynchronousStore(Store):
    """What Airflow keeps of an asset since 3.3.2."""

    async def aget(self, key: str) -> Any:
        """Read."""
        return self.get(key)

    async def aset(self, key: str, value: Any) -> None:
        """Write."""
        self.set(key, value)


# ------------------------------------------------------------------ for a task


@pytest.mark.usefixtures("to_sandbox")
def test_a_template_that_becomes_available_ends_the_wait(sandbox: SandboxServer) -> None:
    """The event has the template as a dict, once it is available."""

    async def wait() -> Any:
        event = asyncio.create_task(next_event(waiting()))
        await looked(sandbox)
        assert not event.done()
        await asyncio.to_thread(sandbox.set_template, REVIEWED, available=True)
        return (await event).payload

    payload = asyncio.run(wait())
    assert payload["status"] == "success"
    assert (payload["template"]["tpl_id"], payload["template"]["available"]) == (REVIEWED, True)


@pytest.mark.usefixtures("to_sandbox")
def test_an_event_and_the_end() -> None:
    """For a task there is one event."""

    async def all_of_it() -> list[Any]:
        return [event.payload["status"] async for event in waiting(tpl_id=65535).run()]

    assert asyncio.run(all_of_it()) == ["success"]


@pytest.mark.usefixtures("to_sandbox")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"tpl_id": 1, "missing": "fail"}, "Template 1 does not exist"),
        ({"unavailable": "fail"}, f"Template {REVIEWED} is not available"),
    ],
)
def test_what_is_not_waited_for(arguments: dict[str, Any], sentence: str) -> None:
    """A choice to fail ends the wait with a sentence."""
    payload = fired(waiting(**arguments))
    assert payload["status"] == "failed"
    assert sentence in payload["message"]


def test_a_refused_account(sandbox: SandboxServer, connect: Any) -> None:
    """An AppKey that is refused ends the wait, and is not shown."""
    connect(host=sandbox.host, port=sandbox.port, schema="http", password="sandbox-10003")
    payload = fired(waiting())
    assert payload["status"] == "failed"
    assert "10003" in payload["message"]
    assert "sandbox-10003" not in payload["message"]


@pytest.mark.usefixtures("to_sandbox")
def test_an_end_in_time(sandbox: SandboxServer) -> None:
    """At its end the trigger says what it saw last."""
    payload = fired(waiting(0.4))
    assert payload["status"] == "timeout"
    assert f"Template {REVIEWED} is not available" in payload["message"]
    sandbox.configure(maintenance=True)
    assert "10020" in fired(waiting(0.4))["message"]


def test_an_end_while_the_gateway_is_silent(sandbox: SandboxServer, to_sandbox: Any) -> None:
    """An answer that takes too long holds up neither the end nor other triggers."""
    to_sandbox(timeout=5)
    sandbox.configure(latency_ms=(3000, 3000))
    started = time.monotonic()
    assert fired(waiting(0.3))["message"].endswith("The gateway was not asked yet")
    # The loop is closed when its threads are done; the event came before.
    assert time.monotonic() - started < 30


@pytest.mark.usefixtures("to_sandbox")
def test_failures_in_a_row_are_counted(sandbox: SandboxServer, logged: Callable[[], str]) -> None:
    """A gateway in maintenance is asked again, and told of at the first, second, fourth time."""
    sandbox.configure(maintenance=True)

    async def wait() -> Any:
        event = asyncio.create_task(next_event(waiting(tpl_id=65535)))
        await looked(sandbox, 6)
        await asyncio.to_thread(sandbox.configure, maintenance=False)
        return (await event).payload["status"]

    assert asyncio.run(wait()) == "success"
    told = re.findall(r"\((\d+) in a row\)", logged())
    assert told[:3] == ["1", "2", "4"]
    assert len(told) <= 4


def test_a_connection_that_comes_later(sandbox: SandboxServer, connect: Any) -> None:
    """The connection is read at each poll: one that is not there yet is waited for."""

    async def wait() -> Any:
        event = asyncio.create_task(next_event(waiting(tpl_id=65535, caixin_conn_id="later")))
        await asyncio.sleep(0.2)
        assert not event.done()
        connect("later", host=sandbox.host, port=sandbox.port, schema="http")
        return (await event).payload["status"]

    assert asyncio.run(wait()) == "success"


# ------------------------------------------------------------------ for an asset


@pytest.mark.usefixtures("to_sandbox")
def test_one_event_for_each_time_it_becomes_available(sandbox: SandboxServer) -> None:
    """What stays available is no news, and what is taken out of use and comes back is."""

    async def watch() -> list[Any]:
        async with running(watching()) as events:
            for is_available, expected in ((False, 0), (True, 1), (False, 1), (True, 2)):
                await asyncio.to_thread(sandbox.set_template, REVIEWED, available=is_available)
                await looked(sandbox)
                assert len(events) == expected
            return events

    events = asyncio.run(watch())
    assert {(event["tpl_id"], event["available"]) for event in events} == {(REVIEWED, True)}


@pytest.mark.usefixtures("to_sandbox")
def test_what_was_available_before_is_no_news(sandbox: SandboxServer) -> None:
    """A watcher that begins with an available template starts nothing; nor does an error or a missing one."""

    async def watch() -> None:
        async with running(watching(65535), watching(1)) as events:
            await looked(sandbox, 4)
            await asyncio.to_thread(sandbox.configure, maintenance=True)
            await looked(sandbox, 4)
            await asyncio.to_thread(sandbox.configure, maintenance=False)
            await looked(sandbox, 4)
            assert events == []

    asyncio.run(watch())


def test_a_watcher_is_not_ended_by_errors(sandbox: SandboxServer, connect: Any) -> None:
    """A refused account starts no run and ends no watch: a person may put it right."""
    connect(host=sandbox.host, port=sandbox.port, schema="http", password="sandbox-10003")

    async def watch() -> None:
        async with running(watching()) as events:
            await looked(sandbox)
            assert events == []
            connect(host=sandbox.host, port=sandbox.port, schema="http")
            await looked(sandbox)
            await asyncio.to_thread(sandbox.set_template, REVIEWED, available=True)
            await until(lambda: events)

    asyncio.run(watch())


@pytest.mark.usefixtures("to_sandbox")
@pytest.mark.parametrize("kind", [Store, AsynchronousStore])
def test_what_happened_while_no_triggerer_ran(sandbox: SandboxServer, kind: type[Store]) -> None:
    """With the asset's state store it is noticed by the next triggerer, once."""
    store = kind()

    async def watch() -> list[int]:
        numbers = []
        for _ in range(3):
            async with running(watching(store=store)) as events:
                await looked(sandbox)
            numbers.append(len(events))
            await asyncio.to_thread(sandbox.set_template, REVIEWED, available=True)
        return numbers

    assert asyncio.run(watch()) == [0, 1, 0]
    assert store.kept == {f"caixin_template.caixin_default.{REVIEWED}": True}


@pytest.mark.usefixtures("to_sandbox")
def test_a_state_store_that_is_out_of_reach(sandbox: SandboxServer) -> None:
    """While it cannot be kept that a run was started, none is; later it is."""
    store = Store()

    async def watch() -> None:
        async with running(watching(store=store)) as events:
            await until(lambda: store.kept)
            store.is_down = True
            await asyncio.to_thread(sandbox.set_template, REVIEWED, available=True)
            await looked(sandbox)
            assert events == []
            store.is_down = False
            await until(lambda: events)
            await looked(sandbox)
            assert len(events) == 1

    asyncio.run(watch())


@needs_3_3
@pytest.mark.usefixtures("to_sandbox")
def test_two_assets_with_one_trigger(sandbox: SandboxServer, logged: Callable[[], str]) -> None:
    """Airflow keeps nothing for these; the trigger says so and works from its own memory."""
    accessors: Any = sdk_context.AssetStateStoreAccessors  # type: ignore[attr-defined,unused-ignore]  # from 3.3 on

    async def watch() -> None:
        async with running(watching(store=accessors(inlets=[Asset("one"), Asset("two")]))) as events:
            await looked(sandbox)
            await asyncio.to_thread(sandbox.set_template, REVIEWED, available=True)
            await until(lambda: events)
            await looked(sandbox)
            assert len(events) == 1

    asyncio.run(watch())
    assert logged().count("Two assets watch the same template") == 1


@needs_3_3
@pytest.mark.usefixtures("to_sandbox")
def test_one_poll_serves_all(sandbox: SandboxServer) -> None:
    """In Airflow's own fan-out, watchers and tasks of one connection ask the gateway together."""
    from airflow.triggers.shared_stream import SharedStreamManager

    triggers = [
        watching(),
        CaixinTemplateTrigger(65537, poll_interval=0.05),
        *(waiting(poll_interval=0.05) for _ in range(6)),
    ]

    async def share() -> tuple[list[Any], int]:
        import structlog

        manager = SharedStreamManager(log=structlog.get_logger())
        events: list[Any] = []

        async def follow(number: int, trigger: CaixinTemplateTrigger) -> None:
            key = trigger.shared_stream_key()
            stream = manager.subscribe(trigger_id=number, trigger=trigger, key=key)
            async for event in trigger.filter_shared_stream(stream):
                events.append(event.payload)  # noqa: PERF401  # one by one, as they come
            await manager.unsubscribe(number, key)

        tasks = [asyncio.create_task(follow(*pair)) for pair in enumerate(triggers)]
        started = time.monotonic()
        before = sandbox.state()["template_calls"]
        await looked(sandbox, 5)
        await asyncio.to_thread(sandbox.set_template, REVIEWED, available=True)
        await until(lambda: len(events) == 7)
        calls = sandbox.state()["template_calls"] - before
        # One poll in at least nine tenths of the interval.
        most = (time.monotonic() - started) / 0.045 + 2
        assert calls <= most
        for task in tasks:
            task.cancel()
        await manager.stop_all()
        await asyncio.gather(*tasks, return_exceptions=True)
        return events, calls

    events, _ = asyncio.run(share())
    assert sum("status" in event for event in events) == 6


# ------------------------------------------------------------------ the window


def fleeting(seconds: float) -> tuple[datetime, SendWindow]:
    """Return a window that opens in so many seconds, by the real clock."""
    now = datetime.now(CHINA)
    opens = now + timedelta(seconds=seconds + 1)
    if opens.date() != now.date() or f"{opens:%H:%M}" >= "23:58":
        pytest.skip("midnight in China is too close")
    return opens.replace(microsecond=0), SendWindow(f"{opens:%H:%M:%S}", "24:00")


def test_a_window_that_opens() -> None:
    """The trigger fires at the opening and not before."""
    opens, window = fleeting(1)
    assert fired(CaixinWindowTrigger(window)) == {"status": "success"}
    assert 0 <= (datetime.now(CHINA) - opens).total_seconds() < 10


def test_a_window_that_is_open() -> None:
    """It fires at once; on request it ends the task by itself."""
    assert fired(CaixinWindowTrigger(None)) == {"status": "success"}
    assert fired(CaixinWindowTrigger("00:00-24:00")) == {"status": "success"}
    event = asyncio.run(next_event(CaixinWindowTrigger("00:00-24:00", end_from_trigger=True)))
    assert isinstance(event, TaskSuccessEvent)


def test_a_window_of_the_connection(connect: Any) -> None:
    """Not given, it is the connection's, which is read again at the opening."""
    _, window = fleeting(1)
    connect(extra={"send_window": str(window)})

    async def wait() -> Any:
        event = asyncio.create_task(next_event(CaixinWindowTrigger()))
        await asyncio.sleep(0.3)
        assert not event.done()
        return (await event).payload

    assert asyncio.run(wait()) == {"status": "success"}
    connect(extra={"send_window": "none"})
    assert fired(CaixinWindowTrigger()) == {"status": "success"}


def test_a_connection_that_cannot_be_used(connect: Any) -> None:
    """The task is told, and whether a retry may help."""
    assert fired(CaixinWindowTrigger(caixin_conn_id="nowhere"))["status"] == "error"
    connect(extra={"send_window": "18:00-09:00"})
    payload = fired(CaixinWindowTrigger(end_from_trigger=True))
    assert payload["status"] == "failed"
    assert "18:00-09:00" in payload["message"]


def test_a_clock_that_is_set_while_it_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sleeps are short enough to notice that the opening has come by the clock on the wall."""
    monkeypatch.setattr("airflow_provider_caixin.triggers.caixin._LONGEST_SLEEP_SECONDS", 0.05)

    async def wait() -> Any:
        with time_machine.travel(datetime(2025, 5, 6, 23, 0, tzinfo=CHINA)):
            event = asyncio.create_task(next_event(CaixinWindowTrigger("09:00-18:00")))
            await asyncio.sleep(0.2)
            assert not event.done()
        with time_machine.travel(datetime(2025, 5, 7, 9, 0, 1, tzinfo=CHINA)):
            return (await event).payload

    assert asyncio.run(wait()) == {"status": "success"}


# ------------------------------------------------------------------ stored and made again

TRIGGERS = [
    CaixinTemplateTrigger(REVIEWED),
    CaixinTemplateTrigger(
        "65538", "other", 5, missing="fail", ends_at=datetime(2025, 5, 6, 9, 30, tzinfo=CHINA)
    ),
    CaixinWindowTrigger(),
    CaixinWindowTrigger(None, "other"),
    CaixinWindowTrigger(SendWindow("10:00-11:30"), end_from_trigger=True),
]


@pytest.mark.parametrize("trigger", TRIGGERS, ids=repr)
def test_it_is_made_again_exactly(trigger: BaseTrigger) -> None:
    """Both ways Airflow stores arguments lead to the same trigger, with only ids, numbers and moments."""
    classpath, arguments = trigger.serialize()
    module, _, name = classpath.rpartition(".")
    assert {type(value) for value in arguments.values()} <= {int, float, str, bool, type(None), datetime}
    deferred: Any = deserialize(serialize(arguments))
    watched = Trigger._decrypt_kwargs(Trigger.encrypt_kwargs(arguments))
    encoded = encode_trigger({"classpath": classpath, "kwargs": arguments})["kwargs"]
    decoded = {key: BaseSerialization.deserialize(value) for key, value in encoded.items()}
    for stored in (deferred, watched, decoded):
        made = getattr(import_module(module), name)(**stored)
        assert made.serialize() == trigger.serialize()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"tpl_id": "x"}, "tpl_id 'x' is not a template id"),
        ({"poll_interval": 0}, "poll_interval 0 is not a number of seconds"),
        ({"missing": "explode"}, "missing 'explode' is not known"),
        ({"unavailable": "explode"}, "unavailable 'explode' is not known"),
        ({"ends_at": datetime(2025, 5, 6)}, "has no time zone"),  # noqa: DTZ001  # which is the point
    ],
)
def test_bad_arguments(arguments: dict[str, Any], sentence: str) -> None:
    """A Dag with such a watcher is an import error that says what to write."""
    with pytest.raises(ValueError, match=sentence):
        CaixinTemplateTrigger(**{"tpl_id": REVIEWED, **arguments})


def test_a_bad_window() -> None:
    """As everywhere else."""
    with pytest.raises(ValueError, match="ends before it begins"):
        CaixinWindowTrigger("18:00-09:00")
