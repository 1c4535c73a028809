from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from airflow_provider_caixin.juhe.codes import CODES
from airflow_provider_caixin.sandbox import SandboxServer, magic_mobile
from airflow_provider_caixin.sandbox.sandbox import Sandbox
from airflow_provider_caixin.sandbox.settings import Settings

if TYPE_CHECKING:
    from tests.unit.sandbox.conftest import Caller


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
    """With ``rate_limit_answer`` a message too many gets that code, unbilled, until the second is over."""
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
    """The hours are China time, with the opening and without the closing; all of it is accepted."""
    sandbox = Sandbox(settings=Settings(window="09:00-18:00"))
    midnight_in_china = 1_700_000_000.0 // 86_400 * 86_400 - 8 * 3600
    for hours, outside in ((8.999, 1), (9, 1), (17.999, 1), (18, 2), (23, 3)):
        clock.now = midnight_in_china + hours * 3600
        assert _send(sandbox, "13912345678") == 0
        assert sandbox.record.summary()["outside_window"] == outside


def test_sids_begin_with_the_time_and_differ(caller: Caller, server: SandboxServer) -> None:
    """Each message gets an id of its own, the one that the record has for it."""
    sids = [json.loads(caller.send())["result"]["sid"] for _ in range(20)]
    rows = server.billed()
    assert sids == [row["sid"] for row in rows]
    assert len(set(sids)) == 20
    assert all(int(sid[:8], 16) == int(row["at"]) for sid, row in zip(sids, rows, strict=True))


@pytest.mark.parametrize(
    "key", ["made-up-key", "k", "sandbox", "sandbox-", "sandbox-1", "sandbox-99999", "密钥"]
)
def test_any_other_key_is_accepted(caller: Caller, key: str) -> None:
    """Only magic keys and the empty one are special."""
    assert json.loads(caller.send(key=key))["error_code"] == 0


@pytest.mark.parametrize("code", sorted(set(CODES) - {0}))
def test_every_code_is_reachable_by_a_key(caller: Caller, code: int) -> None:
    """The key sandbox-CODE brings about CODE at both endpoints, with the document's words."""
    for body in (caller.send(key=f"sandbox-{code}"), caller.post("/caixinv2/myTpls", key=f"sandbox-{code}")):
        envelope = json.loads(body)
        assert (envelope["error_code"], envelope["reason"]) == (code, CODES[code].zh)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, 10001),
        ({"key": ""}, 10001),
        ({"key": "", "tplId": "x", "mobile": "x"}, 10001),
        ({"key": "k"}, 236301),
        ({"key": "k", "tplId": "", "mobile": "13912345678"}, 236301),
        ({"key": "k", "tplId": "65535.0", "mobile": "13912345678"}, 236301),
        ({"key": "k", "tplId": "６５５３５", "mobile": "13912345678"}, 236301),
        ({"key": "k", "tplId": "-1", "mobile": "x"}, 236301),
        ({"key": "k", "tplId": "1", "mobile": "x"}, 236302),
        ({"key": "k", "tplId": "9" * 40, "mobile": "x"}, 236301),
        ({"key": "k", "tplId": "65537", "mobile": "x"}, 236303),
        ({"key": "k", "tplId": "65538", "mobile": "x"}, 236303),
        ({"key": "k", "tplId": "65541", "mobile": "x"}, 236304),
        ({"key": "k", "tplId": "65535"}, 236306),
        ({"key": "k", "tplId": "65535", "mobile": ""}, 236306),
        ({"key": "k", "tplId": "65535", "mobile": "12912345678"}, 236306),
        ({"key": "k", "tplId": "65535", "mobile": "1391234567"}, 236306),
        ({"key": "k", "tplId": "65535", "mobile": "139123456789"}, 236306),
        ({"key": "k", "tplId": "65535", "mobile": "+8613912345678"}, 236306),
        ({"key": "k", "tplId": "65535", "mobile": "１３９１２３４５６７８"}, 236306),
        ({"key": "k", "tplId": "65535", "mobile": "13912345678\n"}, 236306),
        ({"key": "sandbox-236309", "tplId": "65535", "mobile": "x"}, 236306),
        ({"key": "sandbox-10008", "tplId": "x", "mobile": "x"}, 10008),
    ],
)
def test_parameters_are_checked_in_order(
    caller: Caller, server: SandboxServer, fields: dict[str, str], code: int
) -> None:
    """The caller is checked before the template, the template before the number; nothing of it is billed."""
    assert json.loads(caller.post("/caixinv2/send", **fields))["error_code"] == code
    state = server.state()
    assert (state["billed"], state["by_code"]) == (0, {str(code): 1})
