from __future__ import annotations

import json
import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from airflow_provider_caixin.sandbox import SandboxServer, magic_mobile
from airflow_provider_caixin.sandbox.sandbox import Sandbox
from airflow_provider_caixin.sandbox.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sandbox.conftest import Caller


FORM_TYPE = "application/x-www-form-urlencoded"


def _codes(caller: Caller, count: int) -> list[int]:
    return [json.loads(caller.send(f"139{number:08d}"))["error_code"] for number in range(count)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return a clock whose ``now`` is both of the sandbox's clocks."""
    clock = SimpleNamespace(now=1_700_000_000.0)
    fake = SimpleNamespace(time=lambda: clock.now, monotonic=lambda: clock.now)
    monkeypatch.setattr("airflow_provider_caixin.sandbox.sandbox.time", fake)
    return clock


def _send(sandbox: Sandbox, mobile: str, key: str = "k") -> int:
    verdict = sandbox.send(key, "65535", mobile)
    sandbox.landed(mobile)
    code: int = json.loads(verdict.body)["error_code"]
    return code


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"nope": 1}, "nope: Extra inputs are not permitted"),
        (
            {"latency_ms": [2, 1]},
            "latency_ms: expected [least, most] milliseconds with the smaller one first",
        ),
        ({"latency_ms": [-1, 1]}, "latency_ms.0: Input should be greater than or equal to 0"),
        (
            {"answer": 7},
            "answer: expected 236300-236399, 10001-10099 or a fault's number of sandbox.magic.MAGIC",
        ),
        ({"window": "18:00-09:00"}, "window: expected HH:MM-HH:MM within one day, 09:00-18:00 for instance"),
        ({"window": "25:99"}, "window: expected HH:MM-HH:MM within one day, 09:00-18:00 for instance"),
        ({"answer_share": 2}, "answer_share: Input should be less than or equal to 1"),
        ({"quota": -1}, "quota: Input should be greater than or equal to 0"),
        ({"rate_limit": 0}, "rate_limit: Input should be greater than or equal to 1"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_sentence(
    server: SandboxServer, settings: dict[str, object], sentence: str
) -> None:
    """The answer names the field and what was expected, nothing is changed, and a sandbox does not start with it either."""
    with pytest.raises(ValueError, match="sandbox: ") as refused:
        server.configure(**settings, maintenance=True)
    assert sentence in str(refused.value)
    assert server.state()["settings"]["maintenance"] is False
    with pytest.raises(ValueError, match=r".") as refused:
        SandboxServer(**settings)  # type: ignore[arg-type]
    assert sentence in str(refused.value)


def test_maintenance_answers_every_call(caller: Caller, server: SandboxServer) -> None:
    """10020 comes before everything, at both endpoints, until it is over."""
    server.configure(maintenance=True)
    assert _codes(caller, 1) == [10020]
    assert json.loads(caller.post("/caixinv2/myTpls", key=""))["error_code"] == 10020
    server.configure(maintenance=False)
    assert _codes(caller, 1) == [0]


def test_a_quota_lets_so_many_through(caller: Caller, server: SandboxServer) -> None:
    """What is rejected costs no quota, and the setting says what is left."""
    server.configure(quota=2)
    caller.send("12345")
    assert _codes(caller, 4) == [0, 0, 10012, 10012]
    state = server.state()
    assert (state["settings"]["quota"], state["billed"]) == (0, 2)


def test_an_answer_for_all_sends(caller: Caller, server: SandboxServer) -> None:
    """``answer`` holds for valid sends; a magic number goes before it, and templates are not concerned."""
    server.configure(answer=236305)
    assert _codes(caller, 2) == [236305, 236305]
    assert json.loads(caller.send(magic_mobile(236308)))["error_code"] == 236308
    assert json.loads(caller.post("/caixinv2/myTpls", key="k"))["error_code"] == 0


def test_an_answer_for_some_sends(caller: Caller, server: SandboxServer) -> None:
    """``answer_count`` counts down, and those after it are accepted."""
    server.configure(answer=10014, answer_count=2)
    assert _codes(caller, 4) == [10014, 10014, 0, 0]
    assert server.state()["settings"]["answer_count"] == 0


def test_an_answer_for_a_share_of_the_sends(caller: Caller, server: SandboxServer) -> None:
    """``answer_share`` 0 gives it to none; between 0 and 1 both kinds come up."""
    server.configure(answer=236300, answer_share=0)
    assert _codes(caller, 3) == [0, 0, 0]
    server.configure(answer_share=0.5)
    assert set(_codes(caller, 100)) == {0, 236300}


def test_a_fault_as_the_answer_for_all(caller: Caller, server: SandboxServer) -> None:
    """``answer`` takes a fault's number, and bills as the fault does."""
    server.configure(answer=99020)
    assert caller.send() == b""
    assert server.state()["billed"] == 1


def test_every_nth_answer_gets_lost(caller: Caller, server: SandboxServer) -> None:
    """With ``lose_answers`` 3 the third and sixth messages are billed without an answer."""
    server.configure(lose_answers=3)
    outcomes = []
    for number in range(6):
        try:
            outcomes.append(json.loads(caller.send(f"139{number:08d}"))["error_code"])
        except ConnectionResetError:
            outcomes.append(None)
    assert outcomes == [0, 0, None, 0, 0, None]
    state = server.state()
    assert (state["billed"], state["lost"]) == (6, 2)


@pytest.mark.parametrize(("share", "lost"), [(0, 0), (1, 5)])
def test_a_share_of_the_answers_gets_lost(
    caller: Caller, server: SandboxServer, share: float, lost: int
) -> None:
    """``lose_answers`` up to 1 is a share: none and all are certain."""
    server.configure(lose_answers=share)
    for number in range(5):
        try:
            caller.send(f"139{number:08d}")
        except ConnectionResetError:
            continue
    state = server.state()
    assert (state["billed"], state["lost"]) == (5, lost)


def test_above_the_rate_messages_are_billed_and_counted(clock: SimpleNamespace) -> None:
    """The document names a rate and no answer: by default the 4th of 3 a second is accepted, and noted."""
    sandbox = Sandbox(settings=Settings(rate_limit=3))
    assert [_send(sandbox, f"139{number:08d}") for number in range(4)] == [0, 0, 0, 0]
    clock.now += 0.999
    _send(sandbox, "13800000004")
    clock.now += 0.001
    _send(sandbox, "13800000005")
    found = sandbox.record.summary()
    assert (found["billed"], found["over_rate"], found["worst_second"]) == (6, 2, 5)


def test_above_the_rate_messages_can_be_refused(clock: SimpleNamespace) -> None:
    """With ``rate_limit_answer`` a message too many gets that code, unbilled, until the second has slid on."""
    sandbox = Sandbox(settings=Settings(rate_limit=2, rate_limit_answer=10011))
    assert [_send(sandbox, f"139{number:08d}") for number in range(3)] == [0, 0, 10011]
    clock.now += 1
    assert _send(sandbox, "13800000003") == 0
    found = sandbox.record.summary()
    assert (found["billed"], found["over_rate"], found["worst_second_billed"]) == (3, 1, 2)


@pytest.mark.usefixtures("clock")
def test_each_key_has_a_rate_of_its_own() -> None:
    """Two accounts do not share a limit; what is rejected uses none of it."""
    sandbox = Sandbox(settings=Settings(rate_limit=1, rate_limit_answer=10011))
    assert [
        _send(sandbox, "12", "a"),
        _send(sandbox, "13900000000", "a"),
        _send(sandbox, "13900000001", "b"),
    ] == [
        236306,
        0,
        0,
    ]
    assert _send(sandbox, "13900000002", "b") == 10011


def test_sends_outside_the_window_are_counted(clock: SimpleNamespace) -> None:
    """The hours are China time, the opening belongs to them and the closing does not; all of it is accepted."""
    sandbox = Sandbox(settings=Settings(window="09:00-18:00"))
    midnight_in_china = 1_700_000_000.0 // 86_400 * 86_400 - 8 * 3600
    for hours, outside in ((8.999, 1), (9, 1), (17.999, 1), (18, 2), (23, 3)):
        clock.now = midnight_in_china + hours * 3600
        assert _send(sandbox, "13912345678") == 0
        assert sandbox.record.summary()["outside_window"] == outside


def _open(server: SandboxServer, mobile: str) -> socket.socket:
    connection = socket.create_connection((server.host, server.port), timeout=30)
    form = f"key=k&tplId=65535&mobile={mobile}".encode()
    head = f"POST /caixinv2/send HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM_TYPE}\r\nContent-Length: {len(form)}\r\n\r\n"
    connection.sendall(head.encode() + form)
    return connection


def test_two_sends_for_one_number_at_once_are_counted(
    server: SandboxServer, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    """A number that has a send in the air and gets another is a client's mistake; one after the other is not."""
    server.configure(stall_seconds=60)
    stalled = magic_mobile(99001)
    with _open(server, stalled):
        eventually(lambda: server.state()["in_air"] == 1)
        with _open(server, magic_mobile(99002)):
            eventually(lambda: server.state()["in_air"] == 2)
            assert server.state()["overlapping"] == 0
            with _open(server, stalled):
                eventually(lambda: server.state()["in_air"] == 3)
                assert server.state()["overlapping"] == 1
    eventually(lambda: server.state()["in_air"] == 0)
    with _open(server, stalled):
        eventually(lambda: server.state()["in_air"] == 1)
        assert server.state()["overlapping"] == 1


def test_an_answer_that_nobody_waits_for_is_lost(
    server: SandboxServer, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    """A caller that dies during the latency has been billed, and the record says that it does not know."""
    server.configure(latency_ms=[500, 500])
    _open(server, "13912345678").close()
    eventually(lambda: bool(server.state()["lost"] == 1))
    (row,) = server.billed()
    assert (row["lost"], row["code"]) == (True, 0)


def test_half_a_request_is_none(caller: Caller, server: SandboxServer) -> None:
    """A caller that dies while it writes has sent nothing, even if what arrived would do."""
    form = b"key=k&tplId=65535&mobile=13912345678"
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        head = f"POST /caixinv2/send HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM_TYPE}\r\nContent-Length: 99\r\n\r\n"
        connection.sendall(head.encode() + form)
    caller.send("13900000001")
    assert [row["mobile"] for row in server.requests()] == ["13900000001"]


def test_a_template_becomes_available_on_request(caller: Caller, server: SandboxServer) -> None:
    """65538 waits for its review: refused, then listed as available and accepted, then refused again."""
    assert json.loads(caller.send(tpl_id=65538))["error_code"] == 236303
    server.set_template(65538, available=True)
    listed = {
        item["tplId"]: item["tpl_state"]
        for item in json.loads(caller.post("/caixinv2/myTpls", key="k"))["result"]
    }
    assert (listed[65538], listed[65537]) == (1, 0)
    assert json.loads(caller.send(tpl_id=65538))["error_code"] == 0
    server.set_template(65538, available=False)
    assert json.loads(caller.send(tpl_id=65538))["error_code"] == 236303


def test_a_template_becomes_available_after_a_time(
    server: SandboxServer, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    """``available_in`` is in seconds from now; long ones are not over yet."""

    def state() -> object:
        return next(item["tpl_state"] for item in server.state()["templates"] if item["tplId"] == 65538)

    server.set_template(65538, available_in=1000)
    assert state() == 0
    server.set_template(65538, available_in=0.05)
    eventually(lambda: state() == 1)


def test_a_template_can_become_available_after_the_start(caller: Caller) -> None:
    """``available_after`` is for demos of the template sensor."""
    with SandboxServer(available_after=0) as server:
        answer = type(caller)(server).send(tpl_id=65538)
    assert json.loads(answer)["error_code"] == 0


def test_another_template_cannot_be_changed(server: SandboxServer) -> None:
    """An id without a template is refused with a sentence."""
    with pytest.raises(ValueError, match="tpl_id 1: not one of the sandbox's templates"):
        server.set_template(1, available=True)


def test_a_reset_forgets_sends_settings_and_templates(caller: Caller, server: SandboxServer) -> None:
    """After it the sandbox is as it was at its start, with the settings of its start."""
    fresh = server.state()
    server.configure(quota=7, latency_ms=[1, 2])
    server.set_template(65537, available=True)
    caller.send()
    caller.post("/caixinv2/myTpls", key="k")
    assert server.state() != fresh
    server.reset()
    assert server.state() == fresh
    assert fresh["settings"]["stall_seconds"] == 0.2


def test_sends_can_be_paged(caller: Caller, server: SandboxServer) -> None:
    """Requests and billed come in pages and as a whole; the AppKey is in none of them."""
    for number in range(6):
        caller.send(f"139{number:08d}" if number % 2 else "12345")
    everything, billed = server.requests(), server.billed()
    assert [row["n"] for row in everything] == [0, 1, 2, 3, 4, 5]
    assert [row["n"] for row in billed] == [1, 3, 5]
    assert json.loads(caller.ask("GET", "/_sandbox/requests?offset=2&limit=3")[2]) == everything[2:5]
    assert json.loads(caller.ask("GET", "/_sandbox/billed?offset=1&limit=1")[2]) == billed[1:2]
    assert json.loads(caller.ask("GET", "/_sandbox/requests?offset=6")[2]) == []
    assert caller.ask("GET", "/_sandbox/requests?limit=0")[0] == 422
    assert "made-up-key" not in json.dumps([everything, server.state()])
    assert {row["key"] for row in everything} == {"1f0991ebdd753c9e"}


def test_no_page_of_the_framework_is_open(caller: Caller) -> None:
    """FastAPI's pages of documentation would load script from another host; its description of the routes is there."""
    assert [caller.ask("GET", path)[0] for path in ("/docs", "/redoc")] == [404, 404]
    assert "/_sandbox/state" in json.loads(caller.ask("GET", "/_sandbox/openapi.json")[2])["paths"]
