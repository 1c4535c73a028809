"""What stands between a ledger and its database: another address, or a pooler that drops settings."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable
from typing import Self

_STARTUP = 3 << 16
# What MySQL answers to a statement without rows, as the first packet after a command.
_OK = b"\x07\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00"


class Between:
    """A loopback port that leads to another one; use it in a ``with`` block.

    :param port: where it leads, until :meth:`lead_to` says otherwise for connections that come later.
    :param pooler: ``postgresql`` drops the startup parameter ``options``, as PgBouncer does with
        ``ignore_startup_parameters``; ``mysql`` answers each SET itself; None: it passes everything on.
    """

    def __init__(self, port: int, pooler: str | None = None) -> None:
        self._target = port
        self._pooler = pooler
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        self.cut()
        for thread in self._threads:
            thread.join()

    def lead_to(self, port: int) -> None:
        """Lead whoever connects from now on elsewhere; connections that stand go on as they are."""
        self._target = port

    def cut(self) -> None:
        """Cut all connections."""
        for end in list(self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with (
            client,
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self._target)) as server,
        ):
            ends = {client, server}
            self._open |= ends
            try:
                if self._pooler == "postgresql":
                    server.sendall(_without_options(client))
                _pass_on(client, server, _answered if self._pooler == "mysql" else lambda _: None)
            finally:
                self._open -= ends


def _pass_on(client: socket.socket, server: socket.socket, answered: Callable[[bytes], bytes | None]) -> None:
    while True:
        for end in select.select([client, server], [], [])[0]:
            data = end.recv(65_536)
            if not data:
                return
            if end is client and (answer := answered(data)):
                client.sendall(answer)
            else:
                (server if end is client else client).sendall(data)


def _answered(data: bytes) -> bytes | None:
    """Return the answer to a SET, which is one packet of its own; None for anything else."""
    return _OK if data[4:9].upper() == b"\x03SET " and b"innodb_lock_wait_timeout" in data else None


def _without_options(client: socket.socket) -> bytes:
    while True:
        (size,) = struct.unpack("!i", client.recv(4, socket.MSG_WAITALL))
        packet = client.recv(size - 4, socket.MSG_WAITALL)
        if packet[:4] == struct.pack("!i", _STARTUP):
            break
        # It was asked for TLS.
        client.sendall(b"N")
    words = packet[4:].rstrip(b"\0").split(b"\0")
    kept = [
        part
        for name, value in zip(words[::2], words[1::2], strict=True)
        if name != b"options"
        for part in (name, value)
    ]
    body = packet[:4] + b"\0".join(kept) + b"\0\0"
    return struct.pack("!i", len(body) + 4) + body
