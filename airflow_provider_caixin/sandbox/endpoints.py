"""The gateway's two endpoints as a bare ASGI application in front of another one.

They are not routes of the FastAPI application because a campaign's benchmark shares the machine with its
sandbox: routing, middleware and form parsing there cost several times what the judgement costs. Whatever is
not one of the four paths goes on to the application behind.

ASGI has no word for "reset this connection", which is what a gateway that loses answers has to do: each
request finds the transport of its connection in ``scope["state"]``.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect

from airflow_provider_caixin.sandbox.envelope import page
from airflow_provider_caixin.sandbox.magic import ENDLESS_BYTES, Delivery, Fault

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from airflow_provider_caixin.sandbox.sandbox import Sandbox

_JSON = "application/json;charset=utf-8"
_HTML = "text/html;charset=utf-8"
_FORM = b"application/x-www-form-urlencoded"
_LONGEST_BODY_BYTES = 64 * 1024
_GOODBYE_SECONDS = 1.0
_ENDLESS_CHUNK = b" " * 64 * 1024

TRANSPORT = "caixin_sandbox_transport"
"""Key of ``scope["state"]`` under which a request finds its connection's transport."""


class Endpoints:
    """ASGI application: ``/caixinv2/send`` and ``/caixinv2/myTpls``, each also with ``.php``.

    :param sandbox: what decides about the calls.
    :param app: what gets every other request.
    """

    def __init__(self, sandbox: Sandbox, app: ASGIApp) -> None:
        self._sandbox = sandbox
        self._app = app
        self._paths = {
            "/caixinv2/send": self._send,
            "/caixinv2/send.php": self._send,
            "/caixinv2/myTpls": self._my_tpls,
            "/caixinv2/myTpls.php": self._my_tpls,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        endpoint = self._paths.get(scope["path"]) if scope["type"] == "http" else None
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        if scope["method"] not in ("GET", "POST"):
            await _answer(send, page(405, "Method Not Allowed"), status=405, content_type=_HTML)
            return
        try:
            body = await _read(receive)
        except ClientDisconnect:
            return
        if body is None:
            await _answer(send, page(413, "Content Too Large"), status=413, content_type=_HTML)
            return
        try:
            await endpoint(scope, body, receive, send)
        except asyncio.CancelledError:
            # uvicorn, which is going down, would log this as an error of the application and answer 500
            _reset(scope["state"][TRANSPORT])
            await _until_gone(receive, _GOODBYE_SECONDS)

    async def _send(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        url = _fields(scope["query_string"])
        fields = {**url, **_form(scope, body)}
        mobile = fields.get("mobile", "")
        verdict = self._sandbox.send(
            fields.get("key", ""),
            fields.get("tplId", ""),
            mobile,
            by_get=scope["method"] == "GET",
            key_in_url="key" in url,
        )
        transport: asyncio.Transport = scope["state"][TRANSPORT]
        lost = True
        try:
            await self._wait()
            if not transport.is_closing():
                lost = not await self._deliver(verdict.fault, verdict.body, transport, receive, send)
        finally:
            self._sandbox.landed(mobile)
            if lost:
                verdict.record.lose(verdict.position)

    async def _my_tpls(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        # The document knows this endpoint by POST only: a GET finds no form, so no key, and is answered
        # 10001.
        answer, fault = self._sandbox.listed(_form(scope, body).get("key", ""), _base_url(scope))
        await self._wait()
        await self._deliver(fault, answer, scope["state"][TRANSPORT], receive, send)

    async def _wait(self) -> None:
        least, most = self._sandbox.settings.latency_ms
        if most > 0:
            await asyncio.sleep(random.uniform(least, most) / 1000)  # noqa: S311 - chance, not secrecy

    async def _deliver(
        self, fault: Fault | None, body: bytes, transport: asyncio.Transport, receive: Receive, send: Send
    ) -> bool:
        """Carry an answer to the caller as its fault says, and return whether the caller got all of it."""
        if fault is None:
            await _answer(send, body)
            return True
        match fault.delivery:
            case Delivery.PLAIN | Delivery.CLOSE:
                await _answer(send, body, status=fault.status, content_type=fault.content_type)
                if fault.delivery is Delivery.CLOSE:
                    transport.close()
                return True
            case Delivery.RESET:
                _reset(transport)
            case Delivery.STALL:
                await _until_gone(receive, self._sandbox.settings.stall_seconds)
                _reset(transport)
            case Delivery.CUT:
                await _start(send, fault.status, fault.content_type, len(body))
                await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
                transport.close()
            case Delivery.SLOW:
                await _start(send, fault.status, fault.content_type, len(body))
                for position in range(len(body) - 1):
                    byte = body[position : position + 1]
                    await send({"type": "http.response.body", "body": byte, "more_body": True})
                    if await _until_gone(receive, self._sandbox.settings.slow_seconds):
                        return False
                await send({"type": "http.response.body", "body": body[-1:]})
                return True
            case Delivery.ENDLESS:
                await _start(send, fault.status, fault.content_type, ENDLESS_BYTES)
                for _ in range(ENDLESS_BYTES // len(_ENDLESS_CHUNK)):
                    if transport.is_closing():
                        break
                    await send({"type": "http.response.body", "body": _ENDLESS_CHUNK, "more_body": True})
                transport.close()
        # uvicorn takes an application that returns before its answer is complete for broken, unless the
        # connection is gone
        await _until_gone(receive, _GOODBYE_SECONDS)
        return False


async def _read(receive: Receive) -> bytes | None:
    """Return the request's body, None where it is longer than any call of the document.

    :raises ClientDisconnect: when the caller is gone before it is whole; half a request is none, and bills
        nobody.
    """
    body = b""
    more = True
    while more and len(body) <= _LONGEST_BODY_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        body += chunk
        more = message.get("more_body", False)
    return body if len(body) <= _LONGEST_BODY_BYTES else None


def _fields(encoded: bytes) -> dict[str, str]:
    return dict(parse_qsl(encoded.decode("utf-8", "replace"), keep_blank_values=True))


def _form(scope: Scope, body: bytes) -> dict[str, str]:
    """Return the fields of a form; the document demands its Content-Type, so other bodies have none."""
    for name, value in scope["headers"]:
        if name == b"content-type":
            return _fields(body) if value.partition(b";")[0].strip().lower() == _FORM else {}
    return {}


def _base_url(scope: Scope) -> str:
    """Return how this caller reaches the sandbox, so that media addresses work from where it is."""
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), None)
    return f"{scope['scheme']}://{host or '{}:{}'.format(*scope['server'])}"


async def _start(send: Send, status: int, content_type: str, length: int) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(length).encode())]
    if status == HTTPStatus.FOUND:
        headers.append((b"location", b"/elsewhere"))
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _answer(send: Send, body: bytes, *, status: int = 200, content_type: str = _JSON) -> None:
    await _start(send, status, content_type, len(body))
    await send({"type": "http.response.body", "body": body})


def _reset(transport: asyncio.Transport) -> None:
    """Close a connection so that the other side sees ECONNRESET: nothing that is still buffered is sent."""
    listed = transport.get_extra_info("socket")
    if listed is not None and not transport.is_closing():
        with socket.socket(fileno=os.dup(listed.fileno())) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _until_gone(receive: Receive, seconds: float) -> bool:
    """Wait until the connection is closed, by whichever side, and return whether it was in time."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True
