"""
An HTTP protocol for uvicorn that lets the application reach its connection.

ASGI has no word for "reset this connection", which is what a gateway that loses answers has to do. uvicorn copies a
connection's application state into ``scope["state"]`` of each of its requests, so that is where the transport is put.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

if TYPE_CHECKING:
    import asyncio

TRANSPORT = "caixin_sandbox_transport"
"""Key of ``scope["state"]`` under which a request finds its connection's transport."""


class ReachableProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """The HTTP protocol that uvicorn would choose, with its transport in every request's scope."""

    app_state: dict[str, Any]

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Keep the transport where the requests of this connection find it."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, TRANSPORT: transport}


def reset(transport: asyncio.Transport) -> None:
    """Close a connection so that the other side sees ECONNRESET: nothing that is still buffered is sent."""
    listed = transport.get_extra_info("socket")
    if listed is not None and not transport.is_closing():
        with socket.socket(fileno=os.dup(listed.fileno())) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
