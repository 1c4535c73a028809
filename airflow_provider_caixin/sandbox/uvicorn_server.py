"""The uvicorn server of a sandbox: its socket, its HTTP protocol and its applications."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from airflow_provider_caixin.sandbox.app import make_app
from airflow_provider_caixin.sandbox.endpoints import TRANSPORT, Endpoints
from airflow_provider_caixin.sandbox.origin_check import OriginCheck

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from airflow_provider_caixin.sandbox.sandbox import Sandbox


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; connections wait in its queue until a server takes them.

    :param host: an address of this machine; ``127.0.0.1`` unless others shall reach it.
    :param port: 0 takes a free one.
    :raises OSError: when the address cannot be had; says which.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is named, and without it every answer waits for a
    # delayed ACK
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise OSError(
            error.errno, f"host {host}, port {port}: {error.strerror}; choose another with --host or --port"
        ) from error
    return listener


def url_of(host: str, port: int) -> str:
    """Return the URL of an address, without a slash at the end."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class TransportInScope(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """The HTTP protocol that uvicorn would choose, with its transport in every request's scope.

    uvicorn copies a connection's application state into ``scope["state"]`` of each of its requests.
    """

    app_state: dict[str, Any]

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Keep the transport where the requests of this connection find it."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, TRANSPORT: transport}


class UvicornServer(uvicorn.Server):
    """A uvicorn server of one sandbox.

    :param sandbox: what it serves.
    :param keep_alive: seconds after which an idle connection is closed.
    :param on_ready: called once, when requests are answered.
    """

    def __init__(self, sandbox: Sandbox, *, keep_alive: float, on_ready: Callable[[], None]) -> None:
        self._on_ready = on_ready
        super().__init__(
            uvicorn.Config(
                Endpoints(sandbox, OriginCheck(make_app(sandbox))),
                http=TransportInScope,
                ws="none",
                lifespan="off",
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                # typed as int, handed to loop.call_later: tests of idle connections need less than a second
                timeout_keep_alive=cast("int", keep_alive),
                timeout_graceful_shutdown=1,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell that it is done."""
        await super().startup(sockets)
        self._on_ready()
