"""Classifier: may this number get a message, by carrier and by region, at the speed of a table look-up."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from airflow_provider_caixin.audience.numbers import normalise, text_of
from airflow_provider_caixin.audience.prefixes import (
    CHINA_MOBILE,
    FIRST_SEGMENT,
    SEGMENTS,
    VIRTUAL_ELSEWHERE,
    VIRTUAL_ON_CHINA_MOBILE,
    spans,
)
from airflow_provider_caixin.audience.regions import resolve
from airflow_provider_caixin.audience.segments import Segments
from airflow_provider_caixin.vocabulary import RAW_TEXT_LENGTH, SkipReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ALLOWED, _UNKNOWN, _NOT_CHINA_MOBILE, _VIRTUAL, _BLOCKED = range(5)
_REASONS: Final = (
    None,
    None,
    SkipReason.NOT_CHINA_MOBILE,
    SkipReason.VIRTUAL_OPERATOR,
    SkipReason.BLOCKED_REGION,
)


class Classifier:
    """Decide for numbers whether carrier and region let them pass; the carrier is looked at first.

    What the number's prefix says decides the carrier. A number in a segment that the data does not know
    (issued after it was collected) has no region: it passes and is counted.

    :param blocked_regions: Chinese names of cities or provinces (see :func:`.regions.resolve`); a text is
        split at commas, ``、``, ``;`` and spaces.
    :param allow_other_carriers: let numbers pass that another network issued: a number that was ported to
        China Mobile keeps its prefix.
    :param allow_virtual_operators: let virtual operators' numbers pass; those on other networks need
        ``allow_other_carriers`` too.
    :param segments: the segment data; None: the built-in table.
    :raises ValueError: a blocked region is not in the data.
    """

    def __init__(
        self,
        *,
        blocked_regions: Iterable[str] = (),
        allow_other_carriers: bool = False,
        allow_virtual_operators: bool = False,
        segments: Segments | None = None,
    ) -> None:
        segments = segments or Segments.builtin()
        if isinstance(blocked_regions, str):
            blocked_regions = filter(None, re.split(r"[\s,;，；、]+", blocked_regions))
        blocked = resolve(blocked_regions, segments)
        by_region = [_UNKNOWN, *(_BLOCKED if region in blocked else _ALLOWED for region in segments.regions)]

        other = _ALLOWED if allow_other_carriers else _NOT_CHINA_MOBILE
        virtual = _ALLOWED if allow_virtual_operators else _VIRTUAL
        by_carrier = bytearray([other]) * SEGMENTS
        for prefixes, verdict in (
            (CHINA_MOBILE, _ALLOWED),
            (VIRTUAL_ON_CHINA_MOBILE, virtual),
            (VIRTUAL_ELSEWHERE, other or virtual),
        ):
            for span in spans(prefixes):
                by_carrier[span] = bytes([verdict]) * (span.stop - span.start)

        self._verdicts = bytes(
            carrier or by_region[code] for carrier, code in zip(by_carrier, segments.codes, strict=True)
        )
        #: Same rules and data: same text.
        self.fingerprint: str = sha256(segments.version.encode() + self._verdicts).hexdigest()[:16]
        #: How many numbers in unknown segments :meth:`classify` has let pass so far.
        self.unknown_segments: int = 0

    def reason(self, number: str) -> SkipReason | None:
        """Return why a normalised number must not get a message; None: it may."""
        return _REASONS[self._verdicts[int(number[:7]) - FIRST_SEGMENT]]

    def is_unknown(self, number: str) -> bool:
        """Return whether a normalised number passes only because its segment is not in the data."""
        return self._verdicts[int(number[:7]) - FIRST_SEGMENT] == _UNKNOWN

    def classify(self, rows: Iterable[object]) -> Iterator[tuple[str, SkipReason | None]]:
        """Yield for each row, in order, (number, reason or None), or (its text, ``invalid_number``).

        The text is cut to 64 characters, fit for any database, and never that of a number.

        :param rows: raw rows, of any type.
        """
        verdicts, reasons, first = self._verdicts, _REASONS, FIRST_SEGMENT
        for raw in rows:
            number = normalise(raw)
            if number is None:
                yield _text(raw), SkipReason.INVALID_NUMBER
                continue
            verdict = verdicts[int(number[:7]) - first]
            if verdict == _UNKNOWN:
                self.unknown_segments += 1
            yield number, reasons[verdict]


def _text(raw: object) -> str:
    text = text_of(raw)[:RAW_TEXT_LENGTH]
    # PostgreSQL stores no NUL, no database a lone surrogate, and MySQL takes no notice of spaces at the end.
    text = text.replace("\0", "\ufffd").encode(errors="replace").decode().strip()
    # A cut text may look like a number, and as its namesake would make that number a duplicate.
    return text if normalise(text) is None else f"{text[: RAW_TEXT_LENGTH - 1]}…"
