"""The client: the gateway's two calls, each one POST, and what an answer to them means."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Final, NoReturn
from urllib.parse import urlencode, urlsplit

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.juhe.envelope import Envelope, integer, printable
from airflow_provider_caixin.juhe.errors import GatewayError, NotReached, OutcomeUnknown, WrongEndpoint
from airflow_provider_caixin.juhe.template import Template
from airflow_provider_caixin.juhe.transport import Answer, Transport

__all__ = ["JuheClient"]

_SEND_LIMIT_BYTES: Final = 64 * 1024
_TEMPLATES_LIMIT_BYTES: Final = 4 * 1024 * 1024
_HOST = re.compile(r"[^\s/?#@\\:\[\]]+|\[[0-9a-fA-F:.]+\]")
# Within a text of the gateway's, which audience.mask does not look into and this room knows nothing of.
_NUMBER = re.compile(r"(1[3-9][0-9])[0-9]{4}([0-9]{4})")


class JuheClient:
    """A client of the gateway that many threads may share.

    It never repeats a request, follows no redirect, keeps no cookie and reads no .netrc. Proxies and the CA
    bundle are taken from the environment once, here. Every error of its methods is a
    :class:`~airflow_provider_caixin.juhe.errors.CaixinError`, whose text holds neither AppKey nor number.

    :param app_key: the account's AppKey; it travels in the body of a POST only.
    :param host: the gateway's host name or address, without scheme and port.
    :param schema: ``https``, or ``http``, with which AppKey and numbers travel in clear.
    :param port: None: the schema's own.
    :param path_suffix: empty or ``.php``: the document has both forms of each address.
    :param timeout: seconds for connecting, and again from the first byte out to the last byte in.
    :param pool_size: idle connections that are kept: one for each thread, so that none is closed in vain.
    :raises ValueError: where an argument is not what is expected; the text names it, and shows no AppKey.
    :raises WrongEndpoint: where the environment names a proxy or a CA bundle that cannot be used.
    """

    def __init__(
        self,
        app_key: str,
        *,
        host: str = "v.juhe.cn",
        schema: str = "https",
        port: int | None = None,
        path_suffix: str = "",
        timeout: float = 10.0,
        pool_size: int = 400,
    ) -> None:
        if not isinstance(app_key, str) or not app_key or not app_key.isprintable() or " " in app_key:
            raise ValueError(
                "app_key: expected the AppKey from the Juhe console, without blanks, line breaks or control "
                "characters (the value is not shown); copy it again into the connection's password."
            )
        if schema not in ("http", "https"):
            raise ValueError(f"schema: {schema!r} is neither http nor https.")
        bare = f"[{host}]" if isinstance(host, str) and host.count(":") > 1 and host[0] != "[" else host
        if not isinstance(bare, str) or not _HOST.fullmatch(bare):
            raise ValueError(
                f"host: {host!r} is no host; expected a name such as v.juhe.cn or an address, without scheme, port "
                f"and path."
            )
        if port is not None and (not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 2**16):
            raise ValueError(f"port: {port!r} is no port; expected 1 to 65535, or None for the schema's own.")
        if path_suffix not in ("", ".php"):
            raise ValueError(f'path_suffix: {path_suffix!r} is neither "" nor ".php".')
        if not isinstance(timeout, int | float) or isinstance(timeout, bool) or not 0 < timeout < math.inf:
            raise ValueError(f"timeout: {timeout!r} is no time; expected seconds above 0.")
        if not isinstance(pool_size, int) or isinstance(pool_size, bool) or pool_size < 1:
            raise ValueError(f"pool_size: {pool_size!r} is no number of connections; expected 1 or more.")
        netloc = bare if port is None else f"{bare}:{port}"
        self._origin = f"{schema}://{netloc}"
        self._app_key = app_key
        self._send_path = f"/caixinv2/send{path_suffix}"
        self._templates_path = f"/caixinv2/myTpls{path_suffix}"
        self._transport = Transport(schema, netloc, timeout=timeout, keep=pool_size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._origin})"

    def warm(self) -> None:
        """Reserve a connection that stands for the calling thread: all connecting happens here.

        The thread's next call uses it. One that has been idle for over 3 s by then, or that the gateway has
        closed, is replaced.

        :raises NotReached: where the gateway cannot be reached.
        :raises WrongEndpoint: where TLS fails.
        """
        self._transport.reserve()

    def release(self) -> None:
        """Return the calling thread's connection to the others, unused; do nothing if it has none."""
        self._transport.release()

    def send(self, tpl_id: int, number: str, *, last_look: Callable[[], bool] | None = None) -> str:
        """Send one message: one request, never repeated. It is billed if this returns.

        :param number: the recipient's, 11 digits.
        :param last_look: called when the connection stands, right before the first byte; False stops it.
        :return: the gateway's sid, an opaque string; empty where it gave none.
        :raises NotPosted: where ``last_look`` said no.
        :raises NotReached: where the gateway was not reached: nothing was billed.
        :raises WrongEndpoint: where the connection is wrong: nothing was billed.
        :raises GatewayError: where the gateway answered with another code than 0.
        :raises OutcomeUnknown: where no answer says what became of it: it may be billed.
        """
        body = urlencode({"key": self._app_key, "tplId": tpl_id, "mobile": number}).encode()
        answer = self._transport.post(self._send_path, body, limit=_SEND_LIMIT_BYTES, last_look=last_look)
        return self._envelope(answer).sid

    def templates(self) -> list[Template]:
        """Return the account's templates; the call is not billed as far as the document says.

        A row without a usable ``tplId`` is left out.

        :raises CaixinError: as :meth:`send`; :class:`OutcomeUnknown` here means that no usable answer came.
        """
        body = urlencode({"key": self._app_key}).encode()
        answer = self._transport.post(self._templates_path, body, limit=_TEMPLATES_LIMIT_BYTES)
        rows = self._envelope(answer).result or []
        if not isinstance(rows, list):
            raise OutcomeUnknown(f"{self._origin} answered without a list of templates.")
        return [template for template in map(_template, rows) if template]

    def close(self) -> None:
        """Close the connections, one in use after its answer; the client cannot be used any more."""
        self._transport.close()

    def _envelope(self, answer: Answer) -> Envelope:
        """Return an envelope that says 0, and raise what anything else means."""
        status = answer.status
        if 300 <= status < 400:
            raise WrongEndpoint(
                f"{self._origin} answered HTTP {status}, a redirect{_target(answer.location)}. The gateway does not "
                f"redirect: check the connection's schema, host and port, and whether this network asks for a login."
            )
        envelope = Envelope.parse(answer.body)
        if envelope is None:
            self._no_envelope(status)
        if envelope.code:
            raise GatewayError.of(envelope.code, self._shown(envelope.reason))
        return envelope

    def _no_envelope(self, status: int) -> NoReturn:
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise NotReached(
                f"{self._origin} answered HTTP 429 before the gateway saw the request; nothing was sent."
            )
        if 400 <= status < 500 and status != HTTPStatus.REQUEST_TIMEOUT:
            raise WrongEndpoint(
                f"{self._origin} answered HTTP {status} without the gateway's envelope, so it is not the gateway: check "
                f'the connection\'s schema, host, port and path_suffix ("" or ".php"), and any proxy in between.'
            )
        raise OutcomeUnknown(
            f"The request was sent, but {self._origin} answered HTTP {status} without the gateway's envelope."
        )

    def _shown(self, reason: str) -> str:
        """Return a reason fit to be shown; gateways have been seen to echo what they were sent."""
        without_key = reason.replace(self._app_key, "***")
        return printable(_NUMBER.sub(r"\1****\2", without_key))


def _target(location: str) -> str:
    try:
        host = urlsplit(location).hostname
    except ValueError:
        host = None
    return f" to {printable(host)}" if host else ""


def _template(row: object) -> Template | None:
    tpl_id = integer(row.get("tplId")) if isinstance(row, dict) else None
    if not isinstance(row, dict) or tpl_id is None:
        return None
    content, url, made = (
        value if isinstance(value := row.get(name), str) else "" for name in ("content", "url", "created_at")
    )
    try:
        created_at = datetime.strptime(made.strip(), "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA)
    except ValueError:
        created_at = None
    return Template(tpl_id, content, url, available=row.get("tpl_state") in (1, "1"), created_at=created_at)
