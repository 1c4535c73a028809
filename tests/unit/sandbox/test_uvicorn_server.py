from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from airflow_provider_caixin.sandbox import SandboxServer, magic_mobile

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_stalled_connection_does_not_keep_a_sandbox_from_stopping(
    eventually: Callable[[Callable[[], bool]], None],
) -> None:
    """What is still waiting when the sandbox stops is reset, not answered."""
    with SandboxServer(stall_seconds=3600) as server:
        connection = socket.create_connection((server.host, server.port), timeout=30)
        form = f"key=k&tplId=65535&mobile={magic_mobile(99002)}".encode()
        connection.sendall(
            b"POST /caixinv2/send HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(form), form)
        )
        eventually(lambda: server.state()["in_air"] == 1)
    with connection, pytest.raises(ConnectionResetError):
        connection.recv(1)


@pytest.mark.parametrize("keep_alive", [0.05, 600])
def test_an_idle_connection_is_closed_after_keep_alive(keep_alive: float) -> None:
    """A connection is used for several calls, unless it was idle for longer than the sandbox keeps it."""
    with SandboxServer(keep_alive=keep_alive) as server:
        connection = socket.create_connection((server.host, server.port), timeout=30)
        with connection, connection.makefile("rb") as answers:
            for _ in range(2):
                connection.sendall(b"GET /caixinv2/myTpls HTTP/1.1\r\nHost: x\r\n\r\n")
                while (line := answers.readline()) not in {b"\r\n", b""}:
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                assert b"10001" in answers.read(length)
                if keep_alive < 1:
                    assert answers.read(1) == b""
                    break
