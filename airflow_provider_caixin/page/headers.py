"""The headers of every answer, and the check of those of a request that changes or reveals something."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_caixin.page.problems import Problem

# Pictures and videos of templates lie wherever the gateway says, and the browser loads them when asked.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: https: http:; "
    "media-src https: http:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
_STATIC: Final = "/static/"


class Headers:
    """Add the headers to every answer of the page's app, also to those that nobody thought of."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # A static file may be kept, and is asked about each time, so that an upgrade is seen at once.
        kept = _STATIC in scope["path"]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers["Cache-Control"] = "no-cache" if kept else "no-store"
            await send(message)

        await self._app(scope, receive, send_with_headers)


def same_origin(request: Request) -> None:
    """Refuse what another site made a signed-in browser send, wherever a POST changes or reveals something.

    :raises Problem: when it is not JSON from the page itself.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(403, "forbidden", "Only the page itself may ask for this: expected JSON.")
    if not _from_here(request):
        raise Problem(403, "forbidden", "Only the page itself may ask for this, and another site did.")


def _from_here(request: Request) -> bool:
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    if origin is not None:
        # A browser says where a page is from by itself, and behind a proxy that keeps no Host only this is
        # right.
        return site is not None or urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()
    # Every browser sends one of the two along with a POST. A program has neither, and no cookie that it was
    # not given.
    return site is not None or request.headers.get("authorization", "").lower().startswith("bearer ")
