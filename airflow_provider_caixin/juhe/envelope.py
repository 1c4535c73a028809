"""The gateway's envelope: the JSON object with an ``error_code`` that decides what an answer means.

The document declares ``error_code`` an int and ``result`` an object. Juhe's products were also seen to send
digit strings, ``null``, ``[]`` and strings, so all of these are read.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

__all__ = ["Envelope", "integer", "printable"]

_TEXT_LENGTH: Final = 200
_DIGITS = re.compile(r"\s*[0-9]{1,10}\s*")
# What a database's INTEGER column holds; the document's codes and template ids are far below.
_INTEGER_LIMIT: Final = 2**31


@dataclass(frozen=True, slots=True)
class Envelope:
    """What an answer says.

    :param code: the ``error_code``; 0 is accepted and billed.
    :param reason: the ``reason`` as it came (not fit to be shown), empty where it is no text.
    :param result: the ``result`` as it came.
    """

    code: int
    reason: str
    result: object

    @classmethod
    def parse(cls, body: bytes) -> Envelope | None:
        """Return what an answer's body says; None if it is no JSON object with a usable ``error_code``.

        A legacy ``resultcode`` alone says nothing.

        :param body: UTF-8, else GB18030, either with or without a byte order mark.
        """
        try:
            # RecursionError: some ten thousand brackets are enough for it.
            data = json.loads(_text(body).removeprefix("\ufeff"))
        except (ValueError, RecursionError):
            return None
        code = integer(data.get("error_code")) if isinstance(data, dict) else None
        if code is None:
            return None
        reason = data.get("reason")
        return cls(code, reason if isinstance(reason, str) else "", data.get("result"))

    @property
    def sid(self) -> str:
        """The id of the accepted message, printable and at most 200 characters; empty where there is none."""
        sid = self.result.get("sid") if isinstance(self.result, dict) else None
        return printable(str(sid)) if isinstance(sid, int | str) and not isinstance(sid, bool) else ""


def integer(value: object) -> int | None:
    """Return an int, or a string of ASCII digits, as an int; None for anything else and beyond 32 bits."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and -_INTEGER_LIMIT <= value < _INTEGER_LIMIT:
        return value
    return None


def printable(text: str) -> str:
    """Return text of the gateway fit for logs and databases: printable, on one line, at most 200 characters.

    JSON can carry line breaks, NUL and lone surrogates; a log, PostgreSQL and UTF-8 cannot.
    """
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(text.split())[:_TEXT_LENGTH]


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("gb18030")
