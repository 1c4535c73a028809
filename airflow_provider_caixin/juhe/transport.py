"""One POST over a connection that already stands.

Whether a message may have been billed hangs on one border: before the first byte nothing can have happened,
after it anything can. ``requests`` hides that border (it connects inside ``send``, reuses connections of any
age and counts its timeout per read), so only what it is good at is taken from it: proxies, their credentials
and the CA bundle from the environment, and urllib3's pool as the maker of connections. The exchange is here:

- :meth:`Transport.reserve` connects (TCP, proxy tunnel, TLS). What fails there was never sent.
- :meth:`Transport.post` writes and reads. What fails there may have been received.
"""

from __future__ import annotations

import functools
import http
import http.client
import io
import re
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, cast

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.exceptions import SSLError as TlsError
from urllib3.exceptions import TimeoutError as HttpTimeoutError
from urllib3.util.proxy import connection_requires_http_tunnel
from urllib3.util.ssl_ import create_urllib3_context
from urllib3.util.ssl_match_hostname import CertificateError

from airflow_provider_caixin.juhe.errors import NotPosted, NotReached, OutcomeUnknown, WrongEndpoint

if TYPE_CHECKING:
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool

__all__ = ["Answer", "Transport"]

MAX_IDLE_SECONDS: Final = 3.0
"""Seconds a connection may be idle and still be used: web servers close theirs after 5 s or more."""

_HEADERS: Final = {
    "User-Agent": "airflow-provider-caixin",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Content-Type": "application/x-www-form-urlencoded",
}
# ValueError: what urllib3 and http.client let through of headers they cannot read.
_BROKEN: Final = (HTTPError, http.client.HTTPException, OSError, ValueError)
_TLS: Final = (ssl.SSLError, TlsError, CertificateError)
_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d{3})")


class Answer(NamedTuple):
    """What came back.

    :param location: the ``Location`` header; empty if there is none.
    :param body: the whole body; empty for a redirect, whose body says nothing.
    """

    status: int
    location: str
    body: bytes


class Transport:
    """Connections to one host, shared by many threads; each thread reserves one, posts, and returns it.

    Proxies and CA bundle are read from the environment once, here. Nothing is connected yet.

    :param schema: ``http`` or ``https``.
    :param netloc: ``host`` or ``host:port`` as in a URL.
    :param timeout: seconds for connecting, and again from the first byte out to the last byte in.
    :param keep: how many idle connections are kept.
    :raises ValueError: where the host cannot stand in a URL.
    :raises WrongEndpoint: where the environment names a proxy or a CA bundle that cannot be used.
    """

    def __init__(self, schema: str, netloc: str, *, timeout: float, keep: int) -> None:
        origin = f"{schema}://{netloc}"
        try:
            request = requests.Request("POST", origin).prepare()
        except ValueError:
            raise ValueError(
                f"host: {netloc!r} cannot stand in a URL; expected a name such as v.juhe.cn."
            ) from None
        with requests.Session() as session:
            environment = session.merge_environment_settings(origin, {}, stream=False, verify=True, cert=None)
        try:
            adapter = _Adapter(environment["verify"])
            pool = adapter.get_connection_with_tls_context(
                request, verify=True, proxies=environment["proxies"]
            )
        except (OSError, ValueError, TypeError, HTTPError) as error:
            # Not the error's own text: it may hold a proxy's password.
            raise WrongEndpoint(
                f"The environment's proxy or CA bundle for {origin} cannot be used ({type(error).__name__}): check "
                f"HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE."
            ) from None
        self._pool = cast("HTTPConnectionPool", pool)
        # Also one that speaks SOCKS, of which the pool knows nothing.
        self._has_proxy = bool(adapter.proxy_manager)
        self._tunnel = connection_requires_http_tunnel(self._pool.proxy, self._pool.proxy_config, schema)
        forwards = self._pool.proxy is not None and not self._tunnel
        # To a proxy that forwards, the request names the whole address and brings the proxy's credentials.
        self._target = origin if forwards else ""
        self._headers: Mapping[str, str] = {**_HEADERS, **(self._pool.proxy_headers if forwards else {})}
        self._name = netloc
        self._timeout = timeout
        self._keep = keep
        self._idle: deque[_Link] = deque()
        self._reserved = _Reserved()
        self._closed = False

    def reserve(self) -> None:
        """Make sure that the calling thread holds a connection that stands and was used within the last 3 s.

        :raises NotReached: where none can be made.
        :raises WrongEndpoint: where TLS finds that it is the wrong one.
        """
        link, self._reserved.link = self._reserved.link or self._take_idle(), None
        while link is not None and not link.is_usable():
            link.conn.close()
            link = self._take_idle()
        self._reserved.link = link or self._connect()

    def release(self) -> None:
        """Return the calling thread's connection to the others, unused; do nothing if it holds none."""
        link, self._reserved.link = self._reserved.link, None
        if link is not None:
            self._put_back(link)

    def post(
        self, path: str, body: bytes, *, limit: int, last_look: Callable[[], bool] | None = None
    ) -> Answer:
        """Post a form once.

        :param path: the path, with its leading slash.
        :param body: the encoded form.
        :param limit: bytes that the answer's body may have, decoded.
        :param last_look: called when the connection stands and nothing is written yet; False stops it there.
        :raises NotPosted: where ``last_look`` said no; the connection is kept for others.
        :raises NotReached: as :meth:`reserve`.
        :raises WrongEndpoint: as :meth:`reserve`.
        :raises OutcomeUnknown: where no whole answer came: an error, too slow, too large.
        """
        self.reserve()
        if last_look is not None and not last_look():
            self.release()
            raise NotPosted("The last look before writing said no; nothing was sent.")
        link, self._reserved.link = cast("_Link", self._reserved.link), None
        try:
            answer = self._exchange(link.conn, path, body, limit)
        except (HttpTimeoutError, TimeoutError):
            self._unknown(link, f"gave no whole answer within {self._timeout:g} s")
        except _BROKEN as error:
            self._unknown(link, f"gave no whole answer: {type(error.__cause__ or error).__name__}")
        except BaseException:
            link.conn.close()
            raise
        if len(answer.body) > limit:
            self._unknown(link, f"answered with more than {limit // 1024} KiB")
        # An interim answer, a redirect or an error page may be followed by more, which would then be read as
        # the answer to the next message.
        if answer.status == http.HTTPStatus.OK:
            self._put_back(_Link(link.conn, monotonic()))
        else:
            link.conn.close()
        return answer

    def close(self) -> None:
        """Close what is idle; connections in use are closed when their threads return them."""
        self._closed = True
        self.release()
        while link := self._take_idle():
            link.conn.close()

    def _connect(self) -> _Link:
        if self._closed:
            raise NotReached(f"{self._name} was not asked: this client is closed.")
        conn = cast("HTTPConnection | HTTPSConnection", self._pool._new_conn())  # noqa: SLF001
        conn.timeout = self._timeout
        # A debug level set for all of http.client prints what is sent, and with it the AppKey.
        conn.set_debuglevel(0)
        # Also the proxy's answer to CONNECT may come in drips.
        conn.response_class = _answer_within(self._timeout)
        try:
            if self._tunnel:
                pool = cast("HTTPSConnectionPool", self._pool)
                pool._prepare_proxy(cast("HTTPSConnection", conn))  # noqa: SLF001
            else:
                conn.connect()
        except BaseException as error:
            at_proxy = conn.proxy is not None and not conn.has_connected_to_proxy
            conn.close()
            if isinstance(error, _BROKEN):
                self._unconnected(error, at_proxy=at_proxy)
            raise
        return _Link(conn, monotonic())

    def _exchange(self, conn: HTTPConnection, path: str, body: bytes, limit: int) -> Answer:
        conn.response_class = _answer_within(self._timeout)
        conn.request("POST", self._target + path, body, self._headers, preload_content=False)
        response = conn.getresponse()
        try:
            is_redirect = 300 <= response.status < 400
            # One byte more than allowed tells a body that is too large; too few raise IncompleteRead.
            content = b"" if is_redirect else response.read(limit + 1)
        finally:
            response.close()
        return Answer(response.status, response.headers.get("Location", ""), content)

    def _take_idle(self) -> _Link | None:
        try:
            # The one used last: the others may grow old undisturbed.
            return self._idle.pop()
        except IndexError:
            return None

    def _put_back(self, link: _Link) -> None:
        if self._closed or len(self._idle) >= self._keep:
            link.conn.close()
        else:
            self._idle.append(link)

    def _unknown(self, link: _Link, what: str) -> NoReturn:
        link.conn.close()
        raise OutcomeUnknown(f"The request was sent, but {self._name} {what}.") from None

    def _unconnected(self, error: Exception, *, at_proxy: bool) -> NoReturn:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        # An end of the stream within the handshake is a connection that broke, not a protocol that is wrong.
        broke = isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError)
        name = f"{self._name} through the environment's proxy" if self._has_proxy else self._name
        if isinstance(cause, _TLS) and not broke:
            why = _tls_reason(cause)
            if at_proxy:
                raise WrongEndpoint(
                    f"TLS with the environment's proxy failed ({why}): check the scheme and the certificate of the "
                    f"proxy in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY."
                ) from None
            raise WrongEndpoint(
                f"TLS with {name} failed ({why}): check host, port and the CA bundle (REQUESTS_CA_BUNDLE). If the "
                f"gateway offers no TLS there, schema=http in the connection is a possible remedy, but the AppKey and "
                f"the mobile numbers then travel in clear."
            ) from None
        tunnel = _TUNNEL_REFUSED.search(str(cause))
        if isinstance(cause, socket.gaierror):
            why = "the name cannot be resolved"
        elif isinstance(cause, TimeoutError):
            why = f"no connection within {self._timeout:g} s"
        elif tunnel:
            why = f"the proxy refused the tunnel with HTTP {tunnel[1]}"
        elif type(error.__context__).__module__ == "socks":
            # urllib3 raises its own error for that of PySocks and names no cause; its text has no password.
            why = str(error.__context__)
        else:
            why = (cause.strerror if isinstance(cause, OSError) else None) or type(cause).__name__
        raise NotReached(f"{name} was not reached ({why}); nothing was sent.") from None


class _Link(NamedTuple):
    """A connection that stands, and when it was last used."""

    conn: HTTPConnection
    since: float

    def is_usable(self) -> bool:
        """Return whether a request may be written: used lately, open, and nothing unasked-for came in."""
        sock = self.conn.sock
        if sock is None or monotonic() - self.since > MAX_IDLE_SECONDS:
            return False
        try:
            # urllib3 only asks whether something can be read, but after a TLS 1.3 handshake something always
            # can: session tickets, which this reads.
            sock.settimeout(0)
            sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False


class _Reserved(threading.local):
    """What the calling thread has reserved."""

    link: _Link | None = None


class _Adapter(HTTPAdapter):
    """requests' adapter with one TLS context for all connections: reading a CA bundle takes ~10 ms of CPU.

    :param bundle: file or folder of CA certificates; anything else than text: requests' own.
    """

    def __init__(self, bundle: bool | str | None) -> None:
        self._bundle = bundle if isinstance(bundle, str) else DEFAULT_CA_BUNDLE_PATH
        super().__init__(pool_connections=1, pool_maxsize=1)

    @functools.cached_property
    def _tls(self) -> ssl.SSLContext:
        context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
        if Path(self._bundle).is_dir():
            context.load_verify_locations(capath=self._bundle)
        else:
            context.load_verify_locations(cafile=self._bundle)
        return context

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """Return which host and which TLS context the pool's connections are for."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {"ssl_context": self._tls} if host["scheme"] == "https" else {}

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Return the pools behind a proxy; one that speaks TLS itself is checked by the same CA bundle."""
        if proxy.lower().startswith("https:"):
            # Both: before 2.8 urllib3 takes the second one where the proxy forwards.
            options |= {"proxy_ssl_context": self._tls, "ssl_context": self._tls}
        try:
            return super().proxy_manager_for(proxy, **options)
        except requests.exceptions.InvalidSchema:
            raise WrongEndpoint(
                "The environment's proxy speaks SOCKS, for which a module is missing here: pip install "
                '"requests[socks]" where the tasks run, or take the proxy out of HTTP_PROXY, HTTPS_PROXY and ALL_PROXY.'
            ) from None


def _answer_within(seconds: float) -> type[http.client.HTTPResponse]:
    """Return http.client's response, which reads all of an answer under one deadline that starts now."""
    return cast(
        "type[http.client.HTTPResponse]", functools.partial(_TimedResponse, deadline=monotonic() + seconds)
    )


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, deadline: float, **options: Any) -> None:
        # All that http.client does with the socket is to call makefile("rb").
        super().__init__(cast("socket.socket", _TimedFile(sock, deadline)), *args, **options)

    def begin(self) -> None:
        super().begin()
        if "," in self.msg.get("Content-Length", ""):
            # urllib3 refuses it too, but only after http.client has let go of the socket, which then stays
            # open.
            raise http.client.HTTPException("more than one Content-Length")
        # urllib3 logs header lines that it cannot read, and a gateway may put anything there.
        self.msg.defects.clear()
        self.msg.set_payload("")


class _TimedFile(io.RawIOBase):
    """A socket's raw reader whose every read may take what is left until the deadline, and no more."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        # The file keeps the socket open when http.client closes it because the answer is the last one.
        self._raw = sock.makefile("rb", buffering=0)
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _tls_reason(error: Exception) -> str:
    """Return what OpenSSL objects to, without its file names and line numbers."""
    parts = (getattr(error, "reason", None), getattr(error, "verify_message", None))
    return ": ".join(str(part) for part in parts if part) or type(error).__name__
