"""Connections that cannot be used."""

from __future__ import annotations

from collections.abc import Callable

from tests.unit.conftest import Connect

from .conftest import KEY, Browser


def test_connections_that_are_none(browser: Callable[..., Browser], connect: Connect) -> None:
    """Another type, none at all, and one that cannot be read."""
    connect("other_type", conn_type="http")
    connect("keyless", password="")
    connect("odd", extra={"timeout": "soon"})
    op = browser("op")
    for conn_id in ("other_type", "missing", "a%2Fb"):
        assert op.get(f"/connections/{conn_id}/templates", 404)["kind"] == "not_found"
    assert "AppKey" in op.get("/connections/keyless/templates", 422)["detail"]
    problems = {one["id"]: one["problem"] for one in op.get("/session")["connections"]}
    assert problems.keys() == {"keyless", "odd"}
    assert "timeout" in problems["odd"]
    assert KEY not in str(op.answers)
