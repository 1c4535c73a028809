from __future__ import annotations

import http.client
import json
import re
from typing import TYPE_CHECKING

import pytest

from airflow_provider_caixin.audience.classifier import Classifier
from airflow_provider_caixin.juhe.codes import CODES
from airflow_provider_caixin.sandbox import MAGIC, magic, magic_mobile
from airflow_provider_caixin.sandbox.magic import ENDLESS_BYTES, Delivery

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_caixin.sandbox import SandboxServer
    from tests.unit.sandbox.conftest import Caller

SERVICE_AND_SYSTEM = sorted(set(CODES) - {0})


@pytest.mark.parametrize(
    ("mobile", "meaning"),
    [
        ("18880236306", (236306, 0)),
        ("18882236300", (236300, 2)),
        ("18880010014", (10014, 0)),
        ("18880099004", (99004, 0)),
        ("18881099004", (99004, 1)),
        ("18880236399", (236399, 0)),
        ("18880236299", None),
        ("18880236400", None),
        ("18880010000", None),
        ("18880099000", None),
        ("13800236306", None),
        ("188802363060", None),
        ("13800138000", None),
        ("", None),
    ],
)
def test_a_mobile_number_means_what_the_docstring_says(mobile: str, meaning: tuple[int, int] | None) -> None:
    """1888, tries, six digits of a code or fault; every other number is ordinary."""
    assert magic.from_mobile(mobile) == meaning


@pytest.mark.parametrize("number", [*MAGIC, *SERVICE_AND_SYSTEM])
def test_magic_mobile_makes_numbers_that_the_sandbox_understands(number: int) -> None:
    """Writing a magic number and reading it are each other's reverse."""
    for tries in range(10):
        assert magic.from_mobile(magic_mobile(number, tries=tries)) == (number, tries)


@pytest.mark.parametrize(("number", "tries"), [(99999, 0), (0, 0), (236400, 0), (236300, 10), (236300, -1)])
def test_magic_mobile_refuses_what_the_scheme_does_not_have(number: int, tries: int) -> None:
    """A number without a meaning would be accepted and billed, so it is never made."""
    with pytest.raises(ValueError, match=r"number \d+: expected|tries -?\d+: expected"):
        magic_mobile(number, tries=tries)


def test_magic_numbers_pass_a_clients_own_rules() -> None:
    """None of them is in a blocked region, of another carrier or of a virtual operator."""
    classifier = Classifier(blocked_regions=("北京", "沈阳"))
    numbers = [
        magic_mobile(number, tries=tries) for number in (*MAGIC, *SERVICE_AND_SYSTEM) for tries in range(10)
    ]
    assert {classifier.reason(number) for number in numbers} == {None}


@pytest.mark.parametrize("code", [*SERVICE_AND_SYSTEM, 236333, 10006])
def test_every_code_is_reachable_by_a_mobile_number(caller: Caller, server: SandboxServer, code: int) -> None:
    """A magic number brings about its code at every call, codes that the document does not list included."""
    mobile = magic_mobile(code)
    for _ in range(2):
        assert json.loads(caller.send(mobile))["error_code"] == code
    assert server.state()["billed"] == 0


def test_a_number_with_tries_is_accepted_after_them(caller: Caller, server: SandboxServer) -> None:
    """18882236300 is busy twice, then accepted and billed; a reset begins anew."""
    codes = [json.loads(caller.send("18882236300"))["error_code"] for _ in range(4)]
    assert codes == [236300, 236300, 0, 0]
    assert server.state()["billed"] == 2
    server.reset()
    assert json.loads(caller.send("18882236300"))["error_code"] == 236300


def test_a_lost_answer_with_one_try_is_billed_twice(caller: Caller, server: SandboxServer) -> None:
    """18881099004 shows what a client that repeats after a reset does to somebody's bill."""
    with pytest.raises(ConnectionResetError):
        caller.send("18881099004")
    assert json.loads(caller.send("18881099004"))["error_code"] == 0
    state = server.state()
    assert (state["billed"], state["duplicates"]) == (2, 1)
    assert state["duplicate_numbers"] == {"18881099004": 2}
    assert [row["lost"] for row in server.billed()] == [True, False]


@pytest.mark.parametrize("number", MAGIC)
def test_every_fault_is_acted_out_as_its_row_says(
    caller: Caller, server: SandboxServer, eventually: Callable[[Callable[[], bool]], None], number: int
) -> None:
    """Bill, status, type and delivery of a fault are those of the table, and the record has them."""
    fault = MAGIC[number]
    mobile = magic_mobile(number)
    complete = fault.delivery in {Delivery.PLAIN, Delivery.SLOW, Delivery.CLOSE}
    form = f"key=made-up-key&tplId=65535&mobile={mobile}"
    headers = {"content-type": "application/x-www-form-urlencoded"}
    if fault.delivery in {Delivery.RESET, Delivery.STALL}:
        with pytest.raises(ConnectionResetError):
            caller.ask("POST", "/caixinv2/send", form, headers)
    elif fault.delivery is Delivery.CUT:
        with pytest.raises(http.client.IncompleteRead):
            caller.ask("POST", "/caixinv2/send", form, headers)
    else:
        status, found, body = caller.ask("POST", "/caixinv2/send", form, headers)
        assert (status, found["content-type"]) == (fault.status, fault.content_type)
        assert (len(body) == ENDLESS_BYTES) == (fault.delivery is Delivery.ENDLESS)
    eventually(lambda: server.state()["in_air"] == 0)
    (row,) = server.requests()
    assert (row["fault"], row["mobile"], row["billed"]) == (number, mobile, fault.billed)
    assert row["code"] == (0 if fault.billed else None)
    assert row["lost"] is not complete


def test_a_fault_can_be_asked_for_by_key_at_both_endpoints(caller: Caller) -> None:
    """The key sandbox-99010 gets HTTP 500 with a page, for templates too."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    for path, form in (
        ("/caixinv2/myTpls", "key=sandbox-99010"),
        ("/caixinv2/send", "key=sandbox-99010&tplId=65535&mobile=13912345678"),
    ):
        status, _, body = caller.ask("POST", path, form, headers)
        assert status == 500
        assert b"Internal Server Error" in body


def test_a_fault_of_the_envelope_leaves_templates_whole(caller: Caller) -> None:
    """A fault without a body of its own delivers what the endpoint answers anyway: here byte by byte."""
    assert json.loads(caller.post("/caixinv2/myTpls", key="sandbox-99005"))["result"][0]["tplId"] == 65535


def test_the_close_fault_ends_a_connection_that_promised_to_stay(server: SandboxServer) -> None:
    """The answer is whole and keep-alive, and still the connection is gone for the next request."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    form = f"key=k&tplId=65535&mobile={magic_mobile(99008)}"
    connection.request("POST", "/caixinv2/send", form, {"content-type": "application/x-www-form-urlencoded"})
    response = connection.getresponse()
    assert json.loads(response.read())["error_code"] == 0
    assert response.getheader("connection") is None
    assert connection.sock.recv(1) == b""
    connection.close()


def test_the_leaking_fault_repeats_key_and_number(caller: Caller) -> None:
    """The fault that a client has to defend its logs against really leaks."""
    reason = json.loads(caller.send(magic_mobile(99052)))["reason"]
    assert "made-up-key" in reason
    assert magic_mobile(99052) in reason


def test_the_table_is_served(caller: Caller) -> None:
    """/_sandbox/magic lists every fault with numbers that can be copied."""
    listed = json.loads(caller.ask("GET", "/_sandbox/magic")[2])
    assert [row["number"] for row in listed] == list(MAGIC)
    assert all(re.fullmatch(r"18880099\d{3}", row["mobile"]) for row in listed)
    assert listed[0] == {
        "number": 99001,
        "mobile": "18880099001",
        "mobile_first_try": "18881099001",
        "name": "stall_before",
        "billed": False,
        "what": MAGIC[99001].what,
    }
