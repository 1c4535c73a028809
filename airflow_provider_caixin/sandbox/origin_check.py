"""What stands between the sandbox's pages and the other pages that a developer's browser has open.

The sandbox has no users, so whatever reaches it may use it. A browser is the exception: it carries requests
for pages of strangers. Those must not change settings (a POST from another site), read what was sent (a name
of theirs that resolves to this machine), or show the inbox in a frame. Programs send none of the headers that
tell, and are not concerned.
"""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_READING = ("GET", "HEAD", "OPTIONS")
_LOCAL_SUFFIXES = (".localhost", ".local", ".internal", ".test", ".lan", ".home.arpa")
"""Endings that nobody can register, so that no stranger's name has one."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
_PAGE_HEADERS = (
    (b"cache-control", b"no-cache"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class OriginCheck:
    """ASGI application in front of the sandbox's FastAPI one: refuses what a stranger's page asks for.

    Media are left out of the checks: templates lead there from wherever they are shown.

    :param app: what gets the requests that are let through.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_media = scope["path"].startswith("/media/")
        added = _HEADERS if is_media else _HEADERS + _PAGE_HEADERS

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        refused = None if is_media else _refusal(scope)
        if refused is None:
            await self._app(scope, receive, send_with_headers)
            return
        status, sentence = refused
        body = json.dumps({"detail": sentence}, ensure_ascii=False).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send_with_headers({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _refusal(scope: Scope) -> tuple[int, str] | None:
    """Return status and sentence where a request must not get through, else None."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    host = headers.get(b"host", "")
    # Who listens elsewhere did so on purpose, under names that cannot be known here.
    if _is_loopback((scope.get("server") or ("", None))[0]) and not _is_local(host):
        return (
            421,
            f"Host {host}: not a name of this machine. Call the sandbox by its address, 127.0.0.1 for instance",
        )
    if scope["method"] not in _READING:
        origin = headers.get(b"origin")
        foreign = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
        if foreign or headers.get(b"sec-fetch-site", "none") not in ("same-origin", "none"):
            return (
                403,
                f"Origin {origin}: pages of other sites may not change the sandbox. Use its inbox, or a program",
            )
    return None


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _is_local(host: str) -> bool:
    """Return whether a Host header has an address, or a name without a dot or with a reserved ending."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    try:
        ip_address(name)
    except ValueError:
        name = name.removesuffix(".")
        return "." not in name or name.endswith(_LOCAL_SUFFIXES)
    return True
