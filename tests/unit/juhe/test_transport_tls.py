from __future__ import annotations

import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest

from airflow_provider_caixin.juhe import (
    CaixinError,
    JuheClient,
    NotPosted,
    NotReached,
    OutcomeUnknown,
    WrongEndpoint,
)
from tests.unit.juhe.conftest import NUMBER, raised

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.juhe.conftest import Certificates, Gateway


@pytest.fixture
def secure(
    serve: Callable[..., Gateway], certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> Gateway:
    """Start a gateway that speaks TLS, in an environment that trusts its CA."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.ca))
    return serve(tls=certificates.server())


@pytest.fixture
def client(secure: Gateway, connect: Callable[..., JuheClient]) -> JuheClient:
    """Return a client of that gateway."""
    return connect(secure.port, schema="https")


def test_messages_share_a_connection(client: JuheClient, secure: Gateway) -> None:
    """Over TLS too messages arrive whole and one connection serves many."""
    for _ in range(3):
        assert client.send(65535, NUMBER) == "5dadab2bc3b5bfb435608c6b5"
    assert len(secure.connections) == 1
    assert secure.requests[0].startswith(b"POST /caixinv2/send HTTP/1.1\r\n")


def test_session_tickets_do_not_look_like_a_closed_connection(client: JuheClient, secure: Gateway) -> None:
    """After a TLS 1.3 handshake something can be read; the warm connection is used all the same."""
    client.warm()
    link = client._transport._reserved.link
    assert link is not None
    sock = link.conn.sock
    assert isinstance(sock, ssl.SSLSocket)
    assert sock.version() == "TLSv1.3"
    # The tickets are there when the raw socket has something to read.
    with socket.socket(fileno=socket.dup(sock.fileno())) as raw:
        raw.settimeout(20)
        assert raw.recv(1, socket.MSG_PEEK)
    client.warm()
    client.send(1, NUMBER)
    assert len(secure.connections) == 1


def test_a_last_look_that_says_no_writes_nothing(client: JuheClient, secure: Gateway) -> None:
    """The handshake is done by then, and no byte of a request follows it."""
    with pytest.raises(NotPosted):
        client.send(1, NUMBER, last_look=lambda: False)
    client.close()
    secure.close()
    assert secure.connections == [b""]


def test_a_closed_idle_connection_costs_nothing(client: JuheClient, secure: Gateway) -> None:
    """A TLS connection that the gateway has closed is replaced."""
    gone, may_go = threading.Event(), threading.Event()

    def behave(sock: socket.socket) -> None:
        sock.sendall(secure.accepted())
        may_go.wait(20)
        secure.hang_up(sock)
        gone.set()

    secure.script.append(behave)
    client.send(1, NUMBER)
    client.warm()
    may_go.set()
    assert gone.wait(20)
    client.send(1, NUMBER)
    assert len(secure.connections) == 2


@pytest.mark.parametrize("at", [0, 30, 75])
def test_dripping_bytes_do_not_prolong_the_deadline(
    secure: Gateway, connect: Callable[..., JuheClient], at: int
) -> None:
    """Over TLS too the deadline holds for the whole answer: status line, headers and body."""
    answer = secure.answer(secure.envelope(result={"sid": "slow"}), "200 OK", "X-Header: " + "x" * 30)
    client = connect(secure.port, schema="https", timeout=0.5)
    client.warm()
    secure.script.append(secure.drip(answer, at, 0.05))
    error = raised(client)
    assert type(error) is OutcomeUnknown
    assert "within 0.5 s" in str(error)


def test_silence_is_unknown(secure: Gateway, connect: Callable[..., JuheClient]) -> None:
    """Over TLS too no answer leaves open what became of the message."""
    secure.script.append(secure.stall)
    client = connect(secure.port, schema="https", timeout=0.5)
    assert type(raised(client)) is OutcomeUnknown


def test_an_answer_that_ends_with_the_connection_is_read(client: JuheClient, secure: Gateway) -> None:
    """Without a length the end of the TLS stream is the end of the answer."""

    def behave(sock: socket.socket) -> None:
        sock.sendall(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + secure.envelope(result={"sid": "last"})
        )
        secure.hang_up(sock)

    secure.script.append(behave)
    assert client.send(1, NUMBER) == "last"


@pytest.mark.parametrize("ending", ["hang_up", "reset"])
def test_an_answer_that_breaks_off_is_unknown(client: JuheClient, secure: Gateway, ending: str) -> None:
    """A TLS connection that ends before the answer leaves open what became of the message."""
    secure.script.append(getattr(secure, ending))
    assert type(raised(client)) is OutcomeUnknown


def _tells_about_http(error: CaixinError) -> None:
    assert type(error) is WrongEndpoint
    assert "schema=http" in str(error)
    assert "in clear" in str(error)


def test_an_untrusted_certificate_is_the_wrong_endpoint(
    secure: Gateway, connect: Callable[..., JuheClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate that no known CA signed stops everything, and nothing is sent in clear instead."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    error = raised(connect(secure.port, schema="https"))
    _tells_about_http(error)
    assert "CERTIFICATE_VERIFY_FAILED" in str(error)
    assert secure.requests == []


def test_a_certificate_of_another_host_is_the_wrong_endpoint(
    secure: Gateway, connect: Callable[..., JuheClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate must be for the host that is called."""
    address = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", secure.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: address)
    assert connect(secure.port, schema="https", host="gateway.test").send(1, NUMBER)
    error = raised(connect(secure.port, schema="https", host="other.test"))
    _tells_about_http(error)
    assert "other.test" in str(error)


def test_plain_http_is_the_wrong_endpoint(
    serve: Callable[..., Gateway], connect: Callable[..., JuheClient]
) -> None:
    """Where plain HTTP answers a TLS handshake, http is named and not fallen back to."""

    def greet(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    plain = serve(greet=greet)
    client = connect(plain.port, schema="https")
    _tells_about_http(raised(client))
    with pytest.raises(WrongEndpoint):
        client.warm()
    assert plain.requests == []


@pytest.mark.parametrize("ending", ["hang_up", "reset"])
def test_a_handshake_that_breaks_off_is_not_reached(
    serve: Callable[..., Gateway], connect: Callable[..., JuheClient], ending: str
) -> None:
    """A gateway that goes away within the handshake was not reached, and may be back later."""
    gateway = serve()

    def greet(sock: socket.socket) -> None:
        sock.recv(65536)
        getattr(gateway, ending)(sock)

    gateway._greet = greet
    assert type(raised(connect(gateway.port, schema="https"))) is NotReached


def test_a_handshake_that_stalls_is_not_reached(
    serve: Callable[..., Gateway], connect: Callable[..., JuheClient]
) -> None:
    """A handshake that does not end in time has sent nothing."""
    gateway = serve()
    gateway._greet = gateway.stall
    error = raised(connect(gateway.port, schema="https", timeout=0.2))
    assert type(error) is NotReached
    assert "within 0.2 s" in str(error)


def test_the_ca_bundle_may_be_a_folder(
    serve: Callable[..., Gateway],
    connect: Callable[..., JuheClient],
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A folder of CA certificates is taken as such: empty, it trusts nobody."""
    (certificates.folder / "empty").mkdir(exist_ok=True)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.folder / "empty"))
    gateway = serve(tls=certificates.server())
    assert type(raised(connect(gateway.port, schema="https"))) is WrongEndpoint


@pytest.mark.parametrize("name", ["missing.pem", "garbage.pem"])
def test_a_ca_bundle_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """An environment that names a wrong CA bundle is told at once, with the names of its variables."""
    (tmp_path / "garbage.pem").write_text("garbage")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / name))
    with pytest.raises(WrongEndpoint, match="REQUESTS_CA_BUNDLE"):
        JuheClient("k")


def test_the_bundle_is_read_once(client: JuheClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says later does not matter to a client that is there."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    assert client.send(1, NUMBER)
