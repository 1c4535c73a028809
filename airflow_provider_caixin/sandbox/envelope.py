"""The bytes that the gateway answers: the document's envelope, its keys in the document's order, in UTF-8."""

from __future__ import annotations

import json

from airflow_provider_caixin.juhe.codes import describe


def accepted(sid: str, *, reason: str = "success", encoding: str = "utf-8") -> bytes:
    """Return the answer to an accepted and billed message."""
    return f'{{"reason":"{reason}","result":{{"sid":"{sid}"}},"error_code":0}}'.encode(encoding)


def templates(listed: list[dict[str, object]]) -> bytes:
    """Return the answer of ``myTpls``; each item has the fields of the document in its order."""
    return _dump({"reason": "success", "result": listed, "error_code": 0})


def error(code: int) -> bytes:
    """Return the answer with an error code, its reason in the document's words.

    A system error (below 100000) carries the legacy ``resultcode`` in front, as text, as real answers of this
    gateway's other products do; ``result`` is null.
    """
    entry = describe(code)
    envelope: dict[str, object] = {"reason": entry.zh, "result": None, "error_code": code}
    return _dump(envelope if entry.legacy is None else {"resultcode": str(entry.legacy), **envelope})


def page(status: int, title: str) -> bytes:
    """Return a web server's own page, which is not an envelope."""
    heading = f"{status} {title}"
    return f"<html><head><title>{heading}</title></head><body><h1>{heading}</h1></body></html>\n".encode()


def _dump(envelope: dict[str, object]) -> bytes:
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()
