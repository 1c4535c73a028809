"""Recipients' numbers: one spelling for all, and one way to show them."""

from __future__ import annotations

import re
from numbers import Number

#: The digits of a mobile number.
LENGTH = 11

#: What databases and files give for a text that they take for no text.
BYTES = (bytes, bytearray, memoryview)

# Longer than any number dressed in separators; what is longer is some other text.
_LONGEST_TEXT = 64

# What writers and programs put around and between digits, and what copies along unseen (zero-width
# characters, the direction marks of contact lists). Line ends are not here: between digits they part two cut
# numbers.
_SEPARATORS = (
    "\t \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
    "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
    "'\"`\u00b4\u2018\u2019\u201c\u201d\uff02\uff07"
    "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
    "()\uff08\uff09"
)
# Of the characters that NFKC turns into digits only the full-width ones are read: superscripts and circled
# digits are notes beside a number, and reading them would make it another number.
_FULL_WIDTH = {chr(ord(char) + 0xFEE0): char for char in "0123456789+.="}
_CLEAN = str.maketrans({**_FULL_WIDTH, **dict.fromkeys(_SEPARATORS)})

# Wider than what is read as a number: what stands between digits in a text that is meant to be read.
_DIGITS = re.compile(rf"\d(?:[\s{re.escape(_SEPARATORS)}.,/_·]*\d){{10,}}")

# The sign is what Excel's ="13800138000" keeps of itself without its quotes.
_NUMBER = re.compile(r"=?(?:\+86|0086|86)?(1[3-9][0-9]{9})(?:\.0)?")

_WITHIN = re.compile(r"(?<!\d)(?:(?:00)?86|0)?1[3-9]\d{9}(?!\d)")


def normalise(raw: object) -> str | None:
    """Return the one mobile number of mainland China that a row holds, as 11 ASCII digits; None: it does not.

    Accepted around the digits: the country code as ``+86``, ``0086`` or ``86``, spaces, tabs, quotes,
    dashes, round brackets, byte order marks and zero-width characters, full-width digits, the ``.0``
    that spreadsheets append and the ``="..."`` by which they keep a text. A number that has lost digits
    (``1.38E+10``) is never expanded.

    :param raw: a text, also as bytes, or a number (int, float, Decimal); anything else holds none.
    """
    if isinstance(raw, str):
        if type(raw) is str and len(raw) == LENGTH and raw.isascii() and raw.isdigit() and "13" <= raw < "2":
            return raw
        text = raw.strip()
        match = _NUMBER.fullmatch(text.translate(_CLEAN)) if len(text) <= _LONGEST_TEXT else None
    elif isinstance(raw, Number):
        match = _NUMBER.fullmatch(written(raw))
    elif isinstance(raw, BYTES):
        return normalise(text_of(raw))
    else:
        return None
    return match[1] if match else None


def holds_number(text: str) -> bool:
    """Return whether a cell, or a line of cells, has a mobile number in it, also beside other words."""
    return bool(_WITHIN.search(text)) or any(map(normalise, re.split(r"[,;\t|]", text)))


def compact(text: str, keep: str = "") -> str:
    """Return a text with plain digits, and without what is put around and between them.

    :param keep: characters that stay.
    """
    return text.translate({place: char for place, char in _CLEAN.items() if chr(place) not in keep})


def text_of(raw: object) -> str:
    """Return the text of a row for a message: that of bytes is what they spell, that of None is empty."""
    if isinstance(raw, BYTES):
        return bytes(raw).decode(errors="replace")
    return "" if raw is None else written(raw)


def written(raw: object) -> str:
    """Return the text of any value; of an integer that is too long for Python to write out, its type."""
    try:
        return str(raw)
    except ValueError:  # more than 4,300 digits
        return type(raw).__name__


def mask(number: str) -> str:
    """Return a number as ``138****8000``, and anything that is not of 11 digits as ``***``."""
    if len(number) == LENGTH and number.isascii() and number.isdigit():
        return f"{number[:3]}****{number[7:]}"
    return "***"


def without_numbers(text: str) -> str:
    """Return a text of any origin, with ``***`` for whatever may be a mobile number."""
    return _DIGITS.sub("***", text)
