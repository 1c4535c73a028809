"""Which network a number was issued by, told from its first digits."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The seven-digit segments run from 1300000 to 1999999; tables are indexed by segment - FIRST_SEGMENT.
FIRST_SEGMENT = 1_300_000
SEGMENTS = 700_000

# As of 2026-10. Sources: the tables of github.com/VincentSit/ChinaMobilePhoneNumberRegex (README-CN),
# checked against the carriers in phone.dat 2312 and libphonenumber 9.0.43. Not in them: 1349 (satellite,
# China Telecom), 1440, 1441 and 148 (machines, 13 digits), 192 (China Broadnet). Portability (since
# 2019-12): a number keeps its prefix when its owner changes the network, so a prefix tells who issued a
# number and not who carries it today.
CHINA_MOBILE = "1340-1348 135-139 147 150-152 157-159 172 178 182-184 187-188 195 197-198"
VIRTUAL_ON_CHINA_MOBILE = "1703 1705-1706 165"
VIRTUAL_ELSEWHERE = "1700-1702 1704 1707-1709 171 167 162"


def spans(prefixes: str) -> Iterator[slice]:
    """Yield the table slices that a list of prefixes covers.

    :param prefixes: prefixes of up to seven digits, or ``first-last`` of them, separated by spaces.
    """
    for prefix in prefixes.split():
        first, _, last = prefix.partition("-")
        start = int(first.ljust(7, "0")) - FIRST_SEGMENT
        yield slice(start, int((last or first).ljust(7, "9")) - FIRST_SEGMENT + 1)


Carrier = Literal["china_mobile", "virtual_operator", "other"]


def carrier(number: str) -> Carrier:
    """Return which kind of network a number was issued by: for single numbers, a classifier judges many."""
    for prefixes, kind in _KINDS:
        if number.startswith(_starts(prefixes)):
            return kind
    return "other"


_KINDS: tuple[tuple[str, Carrier], ...] = (
    (CHINA_MOBILE, "china_mobile"),
    (VIRTUAL_ON_CHINA_MOBILE, "virtual_operator"),
    (VIRTUAL_ELSEWHERE, "virtual_operator"),
)


@cache
def _starts(prefixes: str) -> tuple[str, ...]:
    ends = (prefix.partition("-") for prefix in prefixes.split())
    return tuple(str(one) for first, _, last in ends for one in range(int(first), int(last or first) + 1))
