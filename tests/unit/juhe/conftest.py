from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import json
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_caixin.juhe import CaixinError, JuheClient

if TYPE_CHECKING:
    from pathlib import Path
NUMBER = "13800138000"

Behaviour = Callable[[socket.socket], None]
"""What a gateway does once a whole request is in; an open connection then takes the next request."""


class Gateway:
    """A server of raw bytes on a loopback port.

    Each whole request is answered with the next item of ``script``, and with ``otherwise(request)`` when
    there is none.

    :param tls: serve TLS with it.
    :param greet: called with each connection before anything is read; what it closes stays closed.
    """

    KEY = "0123456789abcdef0123456789abcdef"

    def __init__(self, tls: ssl.SSLContext | None = None, greet: Behaviour | None = None) -> None:
        self.script: deque[Behaviour | bytes] = deque()
        self.requests: list[bytes] = []
        self.connections: list[bytes] = []
        self.otherwise: Callable[[bytes], bytes] = lambda _request: self.accepted()
        self.stop = threading.Event()
        self._tls = tls
        self._greet = greet
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    def close(self) -> None:
        """Close the port and all connections, and wait for all threads."""
        self.stop.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                # Not TLS's own shutdown, after which a thread that reads gets no error of the network.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(20)

    @staticmethod
    def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
        """Return the bytes of an answer with a length."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        return "\r\n".join(lines).encode() + body

    @staticmethod
    def envelope(code: object = 0, *, reason: object = "success", result: object = None) -> bytes:
        """Return the body of an answer of the gateway."""
        return json.dumps(
            {"reason": reason, "result": result, "error_code": code}, ensure_ascii=False
        ).encode()

    @classmethod
    def accepted(cls, sid: object = "5dadab2bc3b5bfb435608c6b5") -> bytes:
        """Return the bytes of the answer to an accepted message."""
        return cls.answer(cls.envelope(result={"sid": sid}))

    @staticmethod
    def reset(sock: socket.socket) -> None:
        """End a connection with RST instead of FIN."""
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()

    @staticmethod
    def hang_up(sock: socket.socket) -> None:
        """End a connection with FIN."""
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()

    def drip(self, data: bytes, at: int, pause: float) -> Behaviour:
        """Write all before position ``at`` at once, and the rest byte by byte with a pause before each."""

        def behave(sock: socket.socket) -> None:
            sock.sendall(data[:at])
            for byte in data[at:]:
                if self.stop.wait(pause):
                    return
                sock.sendall(bytes([byte]))

        return behave

    def stall(self, _sock: socket.socket) -> None:
        """Answer nothing until the test is over."""
        self.stop.wait(20)

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.append(b"")
            self._start(self._serve, sock, len(self.connections) - 1)

    def _serve(self, sock: socket.socket, number: int) -> None:
        self._open.add(sock)
        try:
            if self._greet:
                self._greet(sock)
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
                self._open.add(sock)
            while request := self._request(sock, number):
                self.requests.append(request)
                answer = self.script.popleft() if self.script else self.otherwise(request)
                if isinstance(answer, bytes):
                    sock.sendall(answer)
                else:
                    answer(sock)
        except OSError:
            pass  # A client that goes away half-way is what many tests are about.
        finally:
            sock.close()
        self._open.discard(sock)

    def _request(self, sock: socket.socket, number: int) -> bytes:
        data = b""
        while True:
            head, end, body = data.partition(b"\r\n\r\n")
            length = next(
                (
                    int(line[15:])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                ),
                0,
            )
            if end and len(body) >= length:
                return data
            more = sock.recv(65536)
            if not more:
                return b""
            data += more
            self.connections[number] += more


@dataclass(frozen=True)
class Certificates:
    """A CA that signed a certificate for 127.0.0.1 and for gateway.test."""

    ca: Path
    folder: Path

    def server(self) -> ssl.SSLContext:
        """Return the server's side."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.pem")
        return context


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return a CA and a server certificate that it signed."""
    folder = tmp_path_factory.mktemp("certificates")
    now = dt.datetime.now(dt.UTC)
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a CA for tests")])
    ca_id = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())

    def usage(*, signs_certificates: bool) -> x509.KeyUsage:
        return x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=signs_certificates,
            crl_sign=signs_certificates,
            encipher_only=False,
            decipher_only=False,
        )

    def builder(subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        )

    ca = (
        builder(ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage(signs_certificates=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    names: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.DNSName("gateway.test"),
    ]
    server = (
        builder(x509.Name([]), key.public_key())
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_id), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(signs_certificates=False), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "server.pem").write_bytes(secret + server.public_bytes(pem))
    return Certificates(folder / "ca.pem", folder)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep this machine's proxies and CA bundles out of the tests."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def serve() -> Iterator[Callable[..., Gateway]]:
    """Start gateways that are closed when the test is over."""
    with contextlib.ExitStack() as stack:

        def start(**options: Any) -> Gateway:
            gateway = Gateway(**options)
            stack.callback(gateway.close)
            return gateway

        yield start


@pytest.fixture
def gateway(serve: Callable[..., Gateway]) -> Gateway:
    """Start a gateway that accepts every message unless its script says otherwise."""
    return serve()


@pytest.fixture
def connect() -> Iterator[Callable[..., JuheClient]]:
    """Return a maker of clients that are closed when the test is over."""
    with contextlib.ExitStack() as stack:

        def make(port: int, **options: Any) -> JuheClient:
            options = {"host": "127.0.0.1", "schema": "http", "timeout": 20.0, **options}
            client = JuheClient(Gateway.KEY, port=port, **options)
            stack.callback(client.close)
            return client

        yield make


@pytest.fixture
def client(gateway: Gateway, connect: Callable[..., JuheClient]) -> JuheClient:
    """Return a client of the gateway."""
    return connect(gateway.port)


def raised(client: JuheClient) -> CaixinError:
    """Return the error that a send ends with."""
    with pytest.raises(CaixinError) as caught:
        client.send(65535, NUMBER)
    return caught.value
