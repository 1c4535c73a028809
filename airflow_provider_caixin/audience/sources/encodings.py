"""How a file's bytes come to be lines of text."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

UTF_32: Final = "utf-32"
_UTF_8_MARK: Final = b"\xef\xbb\xbf"
_MARKS: Final = (
    # Before those of UTF-16, which they begin like.
    (b"\xff\xfe\0\0", UTF_32),
    (b"\0\0\xfe\xff", UTF_32),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_DIGITS = re.compile(rb"[0-9]{4}")


def wide_encoding(head: bytes) -> str | None:
    """Return ``utf-16-le``, ``utf-16-be`` or ``utf-32``, or None where a file is in none of these.

    They are told by their mark, else by the zeros in them: every digit has one, always on the same side.

    :param head: the first bytes of the file, some thousand if it has so many.
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    pairs = len(head) // 2
    before, behind = head[: 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    if b"\0\0\0" in head and before + behind > pairs:
        return UTF_32
    most, least = max(before, behind), min(before, behind)
    # A few zeros are damage in a file of another encoding; that also has digits side by side.
    if most < 2 or most * 8 < pairs or most <= 4 * least or _DIGITS.search(head):
        return None
    return "utf-16-be" if before > behind else "utf-16-le"


def as_utf_8(chunks: Iterable[bytes], encoding: str | None) -> Iterator[bytes]:
    """Yield a file as UTF-8, or as what it is, without the marks at its start.

    :param chunks: its bytes.
    :param encoding: what they are in; None: leave them as they are.
    """
    rest = iter(chunks if encoding is None else _recoded(chunks, encoding))
    start = next(rest, b"")
    while start.startswith(_UTF_8_MARK):
        start = start.removeprefix(_UTF_8_MARK)
    yield start
    yield from rest


def _recoded(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode()
    yield decoder.decode(b"", final=True).encode()


def decode(line: bytes) -> str:
    """Return a line's text, which is UTF-8, else GB18030."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("gb18030", errors="replace")


def decode_all(lines: Sequence[bytes]) -> Iterable[str]:
    """Return the texts of lines, each as :func:`decode` returns it."""
    try:
        # Most files are UTF-8 throughout, and a call for each line is what reading costs most.
        return list(map(bytes.decode, lines))
    except UnicodeDecodeError:
        return map(decode, lines)
