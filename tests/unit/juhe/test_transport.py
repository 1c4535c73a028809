from __future__ import annotations

import gzip
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from airflow_provider_caixin.juhe import (
    CaixinError,
    JuheClient,
    NotPosted,
    NotReached,
    OutcomeUnknown,
    transport,
)
from tests.unit.juhe.conftest import NUMBER, raised

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.juhe.conftest import Gateway


def _connections(gateway: Gateway) -> int:
    """Wait for the accept that the kernel has already made."""
    deadline = time.monotonic() + 20
    while not gateway.connections and time.monotonic() < deadline:
        time.sleep(0.001)
    return len(gateway.connections)


class _Clock:
    """A clock that can be put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    """Return a clock of the transport's that can be put forward."""
    clock = _Clock()
    monkeypatch.setattr(transport, "monotonic", clock)
    return clock


# ---- before the first byte ---------------------------------------------------------------------------------


def test_a_refused_connection_is_not_reached(connect: Callable[..., JuheClient]) -> None:
    """Where nobody listens nothing was sent."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        client = connect(bound.getsockname()[1])
        error = raised(client)
        with pytest.raises(NotReached):
            client.warm()
    assert type(error) is NotReached
    assert "refused" in str(error)


def test_an_unknown_name_is_not_reached(
    connect: Callable[..., JuheClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where DNS knows no address nothing was sent."""

    def fail(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    error = raised(connect(80, host="gateway.invalid"))
    assert type(error) is NotReached
    assert "gateway.invalid" in str(error)
    assert "resolved" in str(error)


def test_a_connect_timeout_is_not_reached(
    connect: Callable[..., JuheClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a firewall swallows the connection nothing was sent."""

    def fail(*_: object, **__: object) -> None:
        raise TimeoutError("timed out")

    monkeypatch.setattr("urllib3.util.connection.create_connection", fail)
    error = raised(connect(80, timeout=3))
    assert type(error) is NotReached
    assert "within 3 s" in str(error)


def test_a_last_look_that_says_no_writes_nothing(client: JuheClient, gateway: Gateway) -> None:
    """The gateway sees a connection and not one byte; the connection serves the next message."""
    with pytest.raises(NotPosted):
        client.send(1, NUMBER, last_look=lambda: False)
    assert client.send(1, NUMBER, last_look=lambda: True) == "5dadab2bc3b5bfb435608c6b5"
    assert len(gateway.requests) == 1
    assert gateway.connections == [gateway.requests[0]]


def test_a_refused_message_keeps_no_connection(client: JuheClient, gateway: Gateway) -> None:
    """A thread whose message was refused does not hold a connection that another could use."""
    with pytest.raises(NotPosted):
        client.send(1, NUMBER, last_look=lambda: False)
    thread = threading.Thread(target=client.send, args=(1, NUMBER))
    thread.start()
    thread.join()
    assert len(gateway.connections) == 1


def test_a_refused_message_leaves_no_trace(client: JuheClient, gateway: Gateway) -> None:
    """With nothing else to send, the gateway has read no byte when the connection ends."""
    with pytest.raises(NotPosted):
        client.send(1, NUMBER, last_look=lambda: False)
    assert _connections(gateway) == 1
    client.close()
    gateway.close()
    assert gateway.connections == [b""]


def test_the_last_look_is_taken_on_a_connection_that_stands(client: JuheClient, gateway: Gateway) -> None:
    """When it is asked, the gateway has accepted and has read nothing: connecting is over by then."""
    seen = []

    def look() -> bool:
        seen.append((_connections(gateway), len(gateway.requests)))
        return True

    client.send(1, NUMBER, last_look=look)
    assert seen == [(1, 0)]


def test_an_error_of_the_last_look_passes(client: JuheClient, gateway: Gateway) -> None:
    """What goes wrong in the caller's own function is not disguised, and nothing is written."""

    def fail() -> bool:
        raise LookupError

    with pytest.raises(LookupError):
        client.send(1, NUMBER, last_look=fail)
    assert gateway.requests == []


# ---- connections -------------------------------------------------------------------------------------------


def test_a_connection_serves_many_messages(client: JuheClient, gateway: Gateway) -> None:
    """Messages one after the other share a connection."""
    for _ in range(5):
        client.send(1, NUMBER)
    assert len(gateway.requests) == 5
    assert len(gateway.connections) == 1


def test_a_warm_connection_is_the_one_that_is_used(client: JuheClient, gateway: Gateway) -> None:
    """Warming connects, and neither warming again nor sending connects once more."""
    client.warm()
    assert _connections(gateway) == 1
    client.warm()
    client.send(1, NUMBER)
    assert len(gateway.connections) == 1


def test_a_warm_connection_belongs_to_its_thread(client: JuheClient, gateway: Gateway) -> None:
    """What one thread has reserved no other thread gets, until it is released."""

    def elsewhere() -> None:
        thread = threading.Thread(target=client.send, args=(1, NUMBER))
        thread.start()
        thread.join()

    client.warm()
    elsewhere()
    assert len(gateway.connections) == 2
    client.release()
    client.release()
    # Two are idle now, so two threads at once need no third.
    client.warm()
    elsewhere()
    assert len(gateway.connections) == 2


@pytest.mark.parametrize(("idle", "connections"), [(2.5, 1), (3.5, 2)])
@pytest.mark.parametrize("reserved", [False, True])
def test_an_idle_connection_is_not_used_after_3_seconds(
    client: JuheClient, gateway: Gateway, clock: _Clock, idle: float, connections: int, reserved: bool
) -> None:
    """A connection that the gateway may be about to close is replaced, also a reserved one."""
    client.send(1, NUMBER)
    if reserved:
        client.warm()
    clock.ahead = idle
    client.send(1, NUMBER)
    assert len(gateway.requests) == 2
    assert len(gateway.connections) == connections


@pytest.mark.parametrize("reserved", [False, True])
@pytest.mark.parametrize("ending", ["hang_up", "reset"])
def test_a_closed_idle_connection_costs_nothing(
    client: JuheClient, gateway: Gateway, reserved: bool, ending: str
) -> None:
    """A keep-alive connection that the gateway has closed does not make the next message unknown."""
    gone = threading.Event()
    may_go = threading.Event()

    def behave(sock: socket.socket) -> None:
        sock.sendall(gateway.accepted())
        may_go.wait(20)
        getattr(gateway, ending)(sock)
        gone.set()

    gateway.script.append(behave)
    client.send(1, NUMBER)
    if reserved:
        client.warm()
    may_go.set()
    assert gone.wait(20)
    assert client.send(1, NUMBER) == "5dadab2bc3b5bfb435608c6b5"
    assert len(gateway.connections) == 2


def test_what_comes_unasked_for_is_nobodys_answer(client: JuheClient, gateway: Gateway) -> None:
    """An answer that arrives twice is not taken for the answer to the next message."""
    gateway.script.append(gateway.accepted("first") + gateway.accepted("stray"))
    gateway.script.append(gateway.accepted("second"))
    assert client.send(1, NUMBER) == "first"
    assert client.send(1, NUMBER) == "second"


@pytest.mark.parametrize("status", ["103 Early Hints", "302 Found", "404 Not Found", "502 Bad Gateway"])
def test_a_connection_is_not_used_after_a_strange_answer(
    client: JuheClient, gateway: Gateway, status: str
) -> None:
    """What may follow an interim answer or an error page cannot become the answer to the next message."""
    gateway.script.append(gateway.answer(b"", status))
    assert isinstance(raised(client), CaixinError)
    client.send(1, NUMBER)
    assert len(gateway.connections) == 2


def test_an_announced_wait_is_skipped(client: JuheClient, gateway: Gateway) -> None:
    """100 Continue is not the answer."""
    gateway.script.append(b"HTTP/1.1 100 Continue\r\n\r\n" + gateway.accepted("after"))
    assert client.send(1, NUMBER) == "after"


def test_no_more_connections_are_kept_than_asked(
    gateway: Gateway, connect: Callable[..., JuheClient]
) -> None:
    """With a pool of one, of two connections that were in use at once one is closed."""
    client = connect(gateway.port, pool_size=1)
    client.warm()
    thread = threading.Thread(target=client.send, args=(1, NUMBER))
    thread.start()
    thread.join()
    client.release()
    client.warm()
    client.send(1, NUMBER)
    assert len(client._transport._idle) == 1
    assert len(gateway.connections) == 2


def test_many_threads_share_a_client(client: JuheClient, gateway: Gateway) -> None:
    """Each thread gets the answer to its own message."""
    results: dict[int, str] = {}

    gateway.otherwise = lambda request: gateway.accepted(request.rpartition(b"mobile=")[2].decode())

    def work(first: int) -> None:
        for number in range(first, first + 10):
            results[number] = client.send(1, f"1380013{number:04}")

    threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 200, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: f"1380013{number:04}" for number in range(200)}


def test_a_closed_client_says_so(client: JuheClient, gateway: Gateway) -> None:
    """After closing nothing is connected any more, and an error of the hierarchy says why."""
    client.send(1, NUMBER)
    client.close()
    client.close()
    with pytest.raises(NotReached, match="closed"):
        client.send(1, NUMBER)
    assert len(gateway.connections) == 1


def test_a_connection_in_use_survives_closing(client: JuheClient, gateway: Gateway) -> None:
    """An answer that is awaited while another thread closes the client still arrives."""
    arrived, may_answer = threading.Event(), threading.Event()

    def behave(sock: socket.socket) -> None:
        arrived.set()
        may_answer.wait(20)
        sock.sendall(gateway.accepted("late"))

    gateway.script.append(behave)
    results: list[str] = []
    thread = threading.Thread(target=lambda: results.append(client.send(1, NUMBER)))
    thread.start()
    assert arrived.wait(20)
    client.close()
    may_answer.set()
    thread.join()
    assert results == ["late"]
    assert not client._transport._idle


# ---- after the first byte ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["hang_up", "reset"])
@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
        b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"error_code":0}',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{"error_code":0}\r\n',
    ],
)
def test_an_answer_that_breaks_off_is_unknown(
    client: JuheClient, gateway: Gateway, before: bytes, ending: str
) -> None:
    """A connection that ends before the whole answer is in leaves open what became of the message."""

    def behave(sock: socket.socket) -> None:
        sock.sendall(before)
        getattr(gateway, ending)(sock)

    gateway.script.append(behave)
    assert type(raised(client)) is OutcomeUnknown


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 twohundred OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Header: 1\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX-Header: " + b"1" * 70000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello",
        b"\x15\x03\x01\x00\x02\x02\x16",
    ],
)
def test_garbage_is_unknown(client: JuheClient, gateway: Gateway, answer: bytes) -> None:
    """What is no HTTP says nothing about the message."""

    def behave(sock: socket.socket) -> None:
        sock.sendall(answer)
        gateway.hang_up(sock)

    gateway.script.append(behave)
    assert type(raised(client)) is OutcomeUnknown


def test_silence_is_unknown(gateway: Gateway, connect: Callable[..., JuheClient]) -> None:
    """No answer within the timeout leaves open what became of the message, and the connection is given up."""
    gateway.script.append(gateway.stall)
    client = connect(gateway.port, timeout=0.2)
    error = raised(client)
    assert type(error) is OutcomeUnknown
    assert "within 0.2 s" in str(error)
    assert not client._transport._idle


@pytest.mark.parametrize("part", ["status", "header", "body", "chunks"])
def test_dripping_bytes_do_not_prolong_the_deadline(
    gateway: Gateway, connect: Callable[..., JuheClient], part: str
) -> None:
    """Bytes that come one by one, each in time, do not make the whole answer come in time."""
    body = gateway.envelope(result={"sid": "slow"})
    answer = gateway.answer(body, "200 OK", "X-Header: " + "x" * 60)
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = chunked + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    data, at = {
        "status": (answer, 0),
        "header": (answer, 20),
        "body": (answer, len(answer) - len(body)),
        "chunks": (chunks, len(chunked)),
    }[part]
    # All of it would take at least 1.8 s, and each byte a fifth of the timeout.
    gateway.script.append(gateway.drip(data, at, 0.03))
    error = raised(connect(gateway.port, timeout=0.15))
    assert type(error) is OutcomeUnknown
    assert "within 0.15 s" in str(error)


def test_slow_bytes_within_the_deadline_are_read(client: JuheClient, gateway: Gateway) -> None:
    """An answer in single bytes is an answer."""
    answer = gateway.accepted("slow")
    gateway.script.append(gateway.drip(answer, len(answer) - 20, 0.001))
    assert client.send(1, NUMBER) == "slow"


@pytest.mark.parametrize("framing", ["length", "chunked", "close", "gzip"])
def test_a_huge_answer_is_unknown(client: JuheClient, gateway: Gateway, framing: str) -> None:
    """64 KiB are read and no more: what is larger is not the gateway's envelope."""
    body = gateway.envelope(reason="x" * 65536)
    data = {
        "length": gateway.answer(body),
        "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
        % (len(body), body),
        "close": b"HTTP/1.1 200 OK\r\n\r\n" + body,
        "gzip": gateway.answer(gzip.compress(body), "200 OK", "Content-Encoding: gzip"),
    }[framing]

    def behave(sock: socket.socket) -> None:
        sock.sendall(data)
        if framing == "close":
            gateway.hang_up(sock)

    gateway.script.append(behave)
    error = raised(client)
    assert type(error) is OutcomeUnknown
    assert "64 KiB" in str(error)
    client.send(1, NUMBER)
    assert len(gateway.connections) == 2


def test_no_more_is_read_than_allowed(client: JuheClient, gateway: Gateway) -> None:
    """The end of an answer that is too large is not waited for."""

    def behave(sock: socket.socket) -> None:
        sock.sendall(gateway.answer(b"x" * 10 * 1024 * 1024)[:70000])
        gateway.stall(sock)

    gateway.script.append(behave)
    assert "64 KiB" in str(raised(client))


def test_an_answer_of_just_64_kib_is_read(client: JuheClient, gateway: Gateway) -> None:
    """The limit itself is allowed."""
    body = gateway.envelope()
    gateway.script.append(gateway.answer(body + b" " * (65536 - len(body))))
    assert client.send(1, NUMBER) == ""


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_what_is_no_network_error_passes(
    client: JuheClient, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """Out of memory or interrupted: that is told as it is, and the connection is given up."""

    def fail(_: object) -> None:
        raise error

    client.warm()
    monkeypatch.setattr("urllib3.connection.HTTPConnection.getresponse", fail)
    with pytest.raises(error):
        client.send(1, NUMBER)
    monkeypatch.undo()
    client.send(1, NUMBER)
    assert len(gateway.connections) == 2
