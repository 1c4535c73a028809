from __future__ import annotations

import base64
import importlib
import select
import socket
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from airflow_provider_caixin.juhe import CaixinError, JuheClient, NotReached, OutcomeUnknown, WrongEndpoint
from tests.unit.juhe.conftest import NUMBER, raised

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.juhe.conftest import Behaviour, Certificates, Gateway

CREDENTIALS = "me:proxysecret"
AUTHORIZATION = b"Proxy-Authorization: Basic " + base64.b64encode(CREDENTIALS.encode())


def _raised(client: JuheClient) -> CaixinError:
    error = raised(client)
    assert "proxysecret" not in str(error)
    return error


def _tunnel(port: int) -> Behaviour:
    """Open a tunnel to a loopback port, as a proxy does after CONNECT."""

    def behave(sock: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", port)) as target:
            sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            ends = {sock: target, target: sock}
            while True:
                for end in select.select(list(ends), [], [], 20)[0]:
                    data = end.recv(65536)
                    if not data:
                        sock.close()
                        return
                    ends[end].sendall(data)

    return behave


def test_plain_http_goes_through_the_proxy(
    gateway: Gateway, connect: Callable[..., JuheClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy gets the whole address and its credentials, and connections to it are kept."""
    monkeypatch.setenv("http_proxy", f"http://{CREDENTIALS}@127.0.0.1:{gateway.port}")
    client = connect(8088, host="gateway.test")
    client.send(1, NUMBER)
    client.send(1, NUMBER)
    head = gateway.requests[0].split(b"\r\n")
    assert head[0] == b"POST http://gateway.test:8088/caixinv2/send HTTP/1.1"
    assert b"Host: gateway.test:8088" in head
    assert AUTHORIZATION in head
    assert len(gateway.connections) == 1


def test_tls_goes_through_a_tunnel(
    serve: Callable[..., Gateway],
    connect: Callable[..., JuheClient],
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Over https the proxy sees CONNECT with its credentials and not the request; warming does all of it."""
    gateway, proxy = serve(tls=certificates.server()), serve()
    proxy.script += [_tunnel(gateway.port), _tunnel(gateway.port)]
    monkeypatch.setenv("https_proxy", f"http://{CREDENTIALS}@127.0.0.1:{proxy.port}")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.ca))
    client = connect(443, host="gateway.test", schema="https")
    client.warm()
    assert proxy.requests[0].startswith(b"CONNECT gateway.test:443 HTTP/1.")
    assert AUTHORIZATION in proxy.requests[0].split(b"\r\n")
    assert gateway.requests == []
    client.send(1, NUMBER)
    client.send(1, NUMBER)
    assert len(proxy.requests) == 1
    assert gateway.requests[0].startswith(b"POST /caixinv2/send HTTP/1.1\r\n")
    assert b"Proxy-Authorization" not in gateway.requests[0]
    # A tunnel whose connection ended is opened anew.
    gateway.script.append(gateway.hang_up)
    assert type(_raised(client)) is OutcomeUnknown
    client.send(1, NUMBER)
    assert len(proxy.requests) == 2


def test_a_proxy_that_speaks_tls_is_checked(
    serve: Callable[..., Gateway],
    connect: Callable[..., JuheClient],
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An https proxy is trusted by the same CA bundle, for plain http and for a tunnel."""
    gateway, proxy = serve(), serve(tls=certificates.server())
    monkeypatch.setenv("all_proxy", f"https://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.ca))
    assert connect(80, host="gateway.test").send(1, NUMBER)
    assert proxy.requests[0].startswith(b"POST http://gateway.test")
    # Plain HTTP at the tunnel's end: TLS within TLS fails there, so the tunnel stood.
    proxy.script.append(_tunnel(gateway.port))
    _raised(connect(443, host="gateway.test", schema="https", timeout=0.5))
    assert proxy.requests[1].startswith(b"CONNECT gateway.test:443")


@pytest.mark.parametrize("schema", ["http", "https"])
def test_a_proxy_whose_tls_fails_is_the_wrong_endpoint(
    gateway: Gateway, connect: Callable[..., JuheClient], monkeypatch: pytest.MonkeyPatch, schema: str
) -> None:
    """For a proxy's TLS the proxy's setting is the remedy, not schema=http."""
    gateway._greet = lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    monkeypatch.setenv("all_proxy", f"https://{CREDENTIALS}@127.0.0.1:{gateway.port}")
    error = _raised(connect(443, host="gateway.test", schema=schema))
    assert type(error) is WrongEndpoint
    assert "HTTPS_PROXY" in str(error)
    assert "schema=http" not in str(error)


@pytest.mark.parametrize("schema", ["http", "https"])
def test_a_proxy_that_is_down_is_not_reached(
    connect: Callable[..., JuheClient], monkeypatch: pytest.MonkeyPatch, schema: str
) -> None:
    """Where the proxy refuses the connection nothing was sent."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("all_proxy", f"http://{CREDENTIALS}@127.0.0.1:{bound.getsockname()[1]}")
        error = _raised(connect(443, host="gateway.test", schema=schema))
    assert type(error) is NotReached
    assert "proxy" in str(error)


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "502 Bad Gateway"])
def test_a_tunnel_that_is_refused_is_not_reached(
    gateway: Gateway, connect: Callable[..., JuheClient], monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    """Where the proxy opens no tunnel nothing was sent; its status is told."""
    gateway.script.append(gateway.answer(b"", status))
    monkeypatch.setenv("https_proxy", f"http://{CREDENTIALS}@127.0.0.1:{gateway.port}")
    error = _raised(connect(443, host="gateway.test", schema="https"))
    assert type(error) is NotReached
    assert f"HTTP {status[:3]}" in str(error)


@pytest.mark.parametrize("answer", ["garbage", "silence", "drip"])
def test_a_proxy_that_answers_oddly_is_not_reached(
    gateway: Gateway, connect: Callable[..., JuheClient], monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """Garbage, nothing, or an answer to CONNECT byte by byte: connecting has an end, and nothing was sent."""
    refused = gateway.answer(b"", "502 Bad Gateway", "X-Header: " + "x" * 60)
    answers: dict[str, Behaviour | bytes] = {
        "garbage": b"garbage\r\n\r\n",
        "silence": gateway.stall,
        "drip": gateway.drip(refused, 0, 0.05),
    }
    gateway.script.append(answers[answer])
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{gateway.port}")
    error = _raised(connect(443, host="gateway.test", schema="https", timeout=0.2))
    assert type(error) is NotReached
    assert ("within 0.2 s" in str(error)) == (answer != "garbage")


def test_the_environment_is_read_once(
    gateway: Gateway, connect: Callable[..., JuheClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that appears in the environment later is not used by a client that is there."""
    client = connect(gateway.port)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert client.send(1, NUMBER)


def test_hosts_without_a_proxy_are_called_directly(
    gateway: Gateway, connect: Callable[..., JuheClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_PROXY holds."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert connect(gateway.port).send(1, NUMBER)


@pytest.mark.parametrize("proxy", [f"http://{CREDENTIALS}@", "socks9://me:proxysecret@x", "http://[x"])
def test_a_proxy_that_makes_no_sense_is_told(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """A malformed proxy setting is told at once, without the password in it."""
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(WrongEndpoint, match="HTTPS_PROXY") as caught:
        JuheClient("k")
    assert "proxysecret" not in str(caught.value)


@pytest.mark.parametrize("schema", ["http", "https"])
def test_a_socks_proxy_without_its_module(monkeypatch: pytest.MonkeyPatch, schema: str) -> None:
    """It is told what to install."""
    monkeypatch.setenv("all_proxy", f"socks5h://{CREDENTIALS}@127.0.0.1:9")
    with pytest.raises(WrongEndpoint, match=r"SOCKS.*pip install \"requests\[socks\]\".*ALL_PROXY") as caught:
        JuheClient("k", schema=schema)
    assert "proxysecret" not in str(caught.value)


class ProxyError(OSError):
    """PySocks' error, with what it is made of there."""

    __module__ = "socks"

    def __init__(self, message: str, socket_err: OSError | None = None) -> None:
        super().__init__(f"{message}: {socket_err}" if socket_err else message)
        self.socket_err = socket_err


def _pysocks(refusal: ProxyError | None) -> ModuleType:
    """Make PySocks as far as urllib3 uses it: the proxy is asked, and then says no."""
    module = ModuleType("socks")

    def create_connection(
        _address: object, *, proxy_addr: str, proxy_port: int, **_: object
    ) -> socket.socket:
        try:
            socket.create_connection((proxy_addr, proxy_port)).close()
        except OSError as error:
            raise ProxyError(f"Error connecting to SOCKS5 proxy {proxy_addr}:{proxy_port}", error) from None
        assert refusal is not None
        raise refusal

    vars(module).update(
        PROXY_TYPE_SOCKS5=2, PROXY_TYPE_SOCKS4=1, ProxyError=ProxyError, create_connection=create_connection
    )
    return module


@pytest.mark.parametrize("schema", ["http", "https"])
@pytest.mark.parametrize("listens", [False, True])
def test_a_socks_proxy_that_says_no_is_not_reached(
    connect: Callable[..., JuheClient], monkeypatch: pytest.MonkeyPatch, schema: str, listens: bool
) -> None:
    """One that is down, and one that refuses: nothing was sent, and the sentence is about the proxy."""
    monkeypatch.setitem(sys.modules, "socks", _pysocks(ProxyError("0x05: Connection refused")))
    monkeypatch.delitem(sys.modules, "urllib3.contrib.socks", raising=False)
    manager = importlib.import_module("urllib3.contrib.socks").SOCKSProxyManager
    monkeypatch.setattr("requests.adapters.SOCKSProxyManager", manager)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        if listens:
            bound.listen()
        monkeypatch.setenv("all_proxy", f"socks5h://{CREDENTIALS}@127.0.0.1:{bound.getsockname()[1]}")
        error = _raised(connect(443, host="gateway.test", schema=schema))
    assert type(error) is NotReached
    assert "through the environment's proxy was not reached" in str(error)
    assert "Connection refused" in str(error)
