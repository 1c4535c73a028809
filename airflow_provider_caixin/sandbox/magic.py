"""Magic numbers: how a caller asks the sandbox for a certain answer.

A magic mobile number reads ``1888 k NNNNNN``:

``NNNNNN``
    what to answer. Either an error code of the gateway, with zeros in front: ``236300`` to ``236399`` and
    ``010001`` to ``010099`` (also codes that the document does not list), or a fault of the table ``MAGIC``
    below: ``099001``...
``k``
    how often. ``0``: every time. ``1`` to ``9``: for the first k calls with this number, then it is accepted.

=============== =======================================================================================
``18880236306`` always answers 236306, a wrong mobile number
``18882236300`` answers 236300, busy, twice, then accepts
``18880010014`` always answers the system error 10014
``18880099004`` accepts and bills every time, and every time resets the connection instead of answering
``18881099004`` does that once, then accepts (and bills) with an ordinary answer
=============== =======================================================================================

The same through the key, for both endpoints: with the key ``sandbox-10001`` every call is answered 10001,
with ``sandbox-236309`` 236309, with ``sandbox-99004`` every answer is lost. Any other key that is not empty
is accepted.

1888 is an ordinary China Mobile prefix (none of the magic numbers belongs to Beijing, Shenyang or a virtual
operator, by the segment data of 2023-12), so a magic number passes a client's own checks. It also means that
outside of the sandbox such a number may be somebody's telephone: never send to one through the real gateway.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from airflow_provider_caixin.sandbox.envelope import accepted, page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MOBILE_PREFIX = "1888"
SERVICE_CODES = range(236300, 236400)
SYSTEM_CODES = range(10001, 10100)
MOST_TRIES = 9
_MAGIC_KEY = re.compile("sandbox-([0-9]{5,6})")
_MAGIC_MOBILE = re.compile(rf"{MOBILE_PREFIX}([0-9])([0-9]{{6}})")


class Delivery(StrEnum):
    """How an answer reaches the caller, if it does."""

    PLAIN = "plain"
    STALL = "stall"
    """nothing comes, and the connection stays open for the setting ``stall_seconds``, then it is reset"""
    RESET = "reset"
    """the connection is reset (RST) without a byte"""
    SLOW = "slow"
    """one byte of the body at a time, ``slow_seconds`` between two"""
    CUT = "cut"
    """half of the promised body, then the connection is closed"""
    ENDLESS = "endless"
    """a body without an end, 64 KiB at a time as fast as the caller reads, closed after ``ENDLESS_BYTES``"""
    CLOSE = "close"
    """the whole answer, which promises keep-alive, then the connection is closed"""


ENDLESS_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Call:
    """What a fault's body may be made of: the sid of this call, and what the caller sent."""

    sid: str
    key: str
    mobile: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of ``MAGIC``.

    :param name: short name, as ``/_sandbox/requests`` shows it.
    :param billed: whether the message is accepted and billed first.
    :param what: one sentence to be shown.
    :param delivery: how the answer travels.
    :param content_type: the answer's Content-Type.
    :param body: the answer's bytes for a call; None: what the endpoint answers anyway.
    """

    name: str
    billed: bool
    what: str
    delivery: Delivery = Delivery.PLAIN
    status: int = 200
    content_type: str = "application/json;charset=utf-8"
    body: Callable[[Call], bytes] | None = None


def _page(status: int, title: str) -> Callable[[Call], bytes]:
    return lambda _: page(status, title)


def _result(**envelope: object) -> Callable[[Call], bytes]:
    """Build an envelope of code 0 with some of its fields replaced; ``...`` leaves the field out."""

    def body(call: Call) -> bytes:
        fields: dict[str, object] = {
            "reason": "success",
            "result": {"sid": call.sid},
            "error_code": 0,
            **envelope,
        }
        return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()

    return body


def _rejected(code: object, reason: str, result: object = None) -> Callable[[Call], bytes]:
    def body(call: Call) -> bytes:
        text = reason.format(key=call.key, mobile=call.mobile)
        return json.dumps({"reason": text, "result": result, "error_code": code}, ensure_ascii=False).encode()

    return body


_HTML = "text/html;charset=utf-8"

MAGIC: Mapping[int, Fault] = {
    # nothing comes back
    99001: Fault("stall_before", False, "Not accepted, never answered (read time-out).", Delivery.STALL),
    99002: Fault("stall_after", True, "Accepted and billed, never answered (read time-out).", Delivery.STALL),
    99003: Fault("reset_before", False, "Not accepted, connection reset.", Delivery.RESET),
    99004: Fault("reset_after", True, "Accepted and billed, connection reset: the answer is lost.", Delivery.RESET),
    99005: Fault("slow", True, "Accepted; the answer comes one byte at a time.", Delivery.SLOW),
    99006: Fault("cut", True, "Accepted; the connection ends in the middle of the answer.", Delivery.CUT),
    99007: Fault("endless", True, "Accepted; an answer without an end.", Delivery.ENDLESS),
    99008: Fault("close", True, "Accepted and answered; then the idle connection is closed.", Delivery.CLOSE),
    # no envelope
    99010: Fault("http_500_before", False, "Not accepted, HTTP 500 with a page.", status=500, content_type=_HTML,
                 body=_page(500, "Internal Server Error")),
    99011: Fault("http_502_after", True, "Accepted and billed, HTTP 502 with a page.", status=502, content_type=_HTML,
                 body=_page(502, "Bad Gateway")),
    99012: Fault("http_503_before", False, "Not accepted, HTTP 503 with a page.", status=503, content_type=_HTML,
                 body=_page(503, "Service Unavailable")),
    99013: Fault("http_408", False, "Not accepted, HTTP 408.", status=408, content_type=_HTML,
                 body=_page(408, "Request Timeout")),
    99014: Fault("http_429", False, "Not accepted, HTTP 429 with a page.", status=429, content_type=_HTML,
                 body=_page(429, "Too Many Requests")),
    99015: Fault("http_302", False, "Not accepted, redirect to a page that is not there.", status=302, content_type=_HTML,
                 body=_page(302, "Found")),
    99016: Fault("http_401", False, "Not accepted, HTTP 401.", status=401, content_type=_HTML, body=_page(401, "Unauthorized")),
    99017: Fault("http_403", False, "Not accepted, HTTP 403.", status=403, content_type=_HTML, body=_page(403, "Forbidden")),
    99018: Fault("http_404", False, "Not accepted, HTTP 404.", status=404, content_type=_HTML, body=_page(404, "Not Found")),
    99019: Fault("http_405", False, "Not accepted, HTTP 405.", status=405, content_type=_HTML,
                 body=_page(405, "Method Not Allowed")),
    99020: Fault("empty", True, "Accepted and billed, HTTP 200 with an empty body.", body=lambda _: b""),
    99021: Fault("page_200", False, "Not accepted, HTTP 200 with a page (a captive portal).", content_type=_HTML,
                 body=_page(200, "Sign in")),
    99022: Fault("list", True, "Accepted and billed, a JSON list where the envelope should be.", body=lambda _: b"[]"),
    99023: Fault("not_utf8", True, "Accepted; the envelope is encoded in GB18030.",
                 body=lambda call: accepted(call.sid, reason="成功", encoding="gb18030")),
    # odd envelopes of an accepted message
    99030: Fault("code_text", True, 'Accepted; error_code is the text "0".', body=_result(error_code="0")),
    99031: Fault("code_missing", True, "Accepted and billed; error_code is missing.", body=_result(error_code=...)),
    99032: Fault("code_null", True, "Accepted and billed; error_code is null.", body=_result(error_code=None)),
    99033: Fault("sid_number", True, "Accepted; sid is a number.", body=_result(result={"sid": 2029865577})),
    99034: Fault("sid_missing", True, "Accepted; result is an object without sid.", body=_result(result={})),
    99035: Fault("result_list", True, "Accepted; result is [].", body=_result(result=[])),
    99036: Fault("result_null", True, "Accepted; result is null.", body=_result(result=None)),
    99037: Fault("result_text", True, "Accepted; result is a text.", body=_result(result="ok")),
    99038: Fault("http_500_accepted", True, "Accepted; the good envelope comes with HTTP 500.", status=500),
    99039: Fault("html_accepted", True, "Accepted; the good envelope comes as text/html.", content_type=_HTML),
    99040: Fault("bom", True, "Accepted; a byte order mark stands before the envelope.",
                 body=lambda call: b"\xef\xbb\xbf" + accepted(call.sid)),
    # odd envelopes of a rejected message
    99050: Fault("rejected_text", False, 'Rejected; error_code is the text "236306" and result is [].',
                 body=_rejected("236306", "手机号错误", [])),
    99051: Fault("rejected_long", False, "Rejected with 236309 and a reason of 5,000 characters.",
                 body=_rejected(236309, "渠道" * 2500)),
    99052: Fault("rejected_leak", False, "Rejected with 236309 and a reason that repeats key and number.",
                 body=_rejected(236309, "渠道错误: key={key} mobile={mobile}")),
    99053: Fault("rejected_500", False, "The envelope of 236309 comes with HTTP 500.", status=500,
                 body=_rejected(236309, "渠道错误, 具体看返回")),
}  # fmt: skip
"""Every fault that the sandbox can act out, by number; docs and ``/_sandbox/magic`` show this table."""


def is_magic(number: int) -> bool:
    """Return whether the sandbox knows a number: an error code of the gateway's ranges, or a fault."""
    return number in SERVICE_CODES or number in SYSTEM_CODES or number in MAGIC


def magic_mobile(number: int, *, tries: int = 0) -> str:
    """Return the mobile number that makes the sandbox act ``number`` out.

    :param number: an error code (236300-236399, 10001-10099) or a fault of ``MAGIC``.
    :param tries: 0: at every call; 1 to 9: at the first so many calls, accepted after them.
    :raises ValueError: for a number or a count of tries that the scheme does not have.
    """
    if not is_magic(number):
        raise ValueError(f"number {number}: expected 236300-236399, 10001-10099 or a fault of MAGIC")
    if not 0 <= tries <= MOST_TRIES:
        raise ValueError(f"tries {tries}: expected 0 (always) to {MOST_TRIES}")
    return f"{MOBILE_PREFIX}{tries}{number:06d}"


def from_mobile(mobile: str) -> tuple[int, int] | None:
    """Return ``(number, tries)`` of a magic mobile number, None for an ordinary one; tries 0 means always."""
    if not mobile.startswith(MOBILE_PREFIX):
        return None
    match = _MAGIC_MOBILE.fullmatch(mobile)
    if match is None or not is_magic(int(match[2])):
        return None
    return int(match[2]), int(match[1])


def from_key(key: str) -> int | None:
    """Return what a magic key asks for, None for an ordinary key."""
    match = _MAGIC_KEY.fullmatch(key)
    return int(match[1]) if match is not None and is_magic(int(match[1])) else None
