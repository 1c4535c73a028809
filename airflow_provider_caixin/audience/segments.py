"""Segments: which city and province each block of 10,000 numbers (the first seven digits) was issued in."""

from __future__ import annotations

import re
import struct
import zlib
from array import array
from functools import cache
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_caixin.audience.errors import AudienceError
from airflow_provider_caixin.audience.prefixes import FIRST_SEGMENT, SEGMENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from os import PathLike

_HEAD = struct.Struct("<4si")
_ENTRY = struct.Struct("<iiB")
_RECORD = re.compile(rb"([^|\0]+)\|([^|\0]+)\|[^\0]*\0")

#: (province, city), both as short Chinese names: ("辽宁", "沈阳").
Region = tuple[str, str]


class SegmentRange(NamedTuple):
    """Neighbouring segments of one city, both ends included."""

    first: int
    last: int
    province: str
    city: str


class Segments:
    """The region of every known segment.

    :param version: the data's date as four digits, year and month: ``2312``.
    :param regions: the regions, numbered from 1 in this order.
    :param codes: for each of the 700,000 segments from 1300000 on the number of its region, 0 where it is
        not known.
    """

    def __init__(self, version: str, regions: Iterable[Region], codes: array[int]) -> None:
        self.version = version
        self.regions: tuple[Region, ...] = tuple(regions)
        self.codes = codes

    @staticmethod
    def builtin() -> Segments:
        """Return the table that comes with the provider (see ``data/SOURCE.txt``), read once."""
        return _builtin()

    @classmethod
    def from_phone_dat(cls, path: str | PathLike[str]) -> Segments:
        """Load a ``phone.dat``: the file of the ``phone`` package, which is also published with newer data.

        The file is: 4 bytes version, int32 offset of the index, records ``province|city|zip|area code`` each
        ended by a zero byte, then the index: (int32 segment, int32 offset of its record, uint8 carrier), all
        little-endian.

        :raises AudienceError: it is missing, or not a whole ``phone.dat``.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise AudienceError(
                f"segments_file {str(path)!r} cannot be read ({error.strerror}); "
                "expected the path of a phone.dat"
            ) from error
        try:
            return cls._parse(data)
        except (ValueError, struct.error) as error:
            raise AudienceError(
                f"segments_file {str(path)!r} is not a whole phone.dat ({error}); fetch it again, or unset "
                "segments_file to use the built-in table"
            ) from error

    @classmethod
    def _parse(cls, data: bytes) -> Segments:
        version, index = _HEAD.unpack_from(data)
        if not re.fullmatch(rb"\d\d(0[1-9]|1[0-2])", version):
            raise ValueError("it does not begin with a version such as 2312")
        if not _HEAD.size < index < len(data) or (len(data) - index) % _ENTRY.size:
            raise ValueError("its index is cut short")
        records: dict[int, Region] = {}
        found = []
        for segment, offset, _ in _ENTRY.iter_unpack(memoryview(data)[index:]):
            if offset not in records:
                record = _RECORD.match(data, offset, index) if offset >= _HEAD.size else None
                if record is None:
                    raise ValueError(f"segment {segment} has no record province|city|zip|area code")
                records[offset] = (record[1].decode(), record[2].decode())
            if 0 <= segment - FIRST_SEGMENT < SEGMENTS:
                found.append((segment - FIRST_SEGMENT, records[offset]))
        if not found:
            raise ValueError("it holds no mobile segment")
        regions = sorted(set(records.values()))
        code_of = {region: code for code, region in enumerate(regions, start=1)}
        codes = array("H", bytes(2 * SEGMENTS))
        for position, region in found:
            codes[position] = code_of[region]
        return cls(version.decode(), regions, codes)

    @property
    def data_date(self) -> str:
        """Year and month of the data: ``2023-12``. Segments issued since are not known."""
        return f"20{self.version[:2]}-{self.version[2:]}"

    @property
    def provinces(self) -> frozenset[str]:
        """Short names of the provinces, autonomous regions and municipalities."""
        return frozenset(province for province, _ in self.regions)

    @property
    def cities(self) -> frozenset[str]:
        """Short names of the cities, without their provinces."""
        return frozenset(city for _, city in self.regions)

    def region(self, number: str) -> Region | None:
        """Return (province, city) in which a number was issued, or None when its segment is not known."""
        code = self.codes[int(number[:7]) - FIRST_SEGMENT]
        return self.regions[code - 1] if code else None

    def place(self, number: str) -> str | None:
        """Return where a number was issued, to be shown: 广东 深圳, or a municipality's name once."""
        region = self.region(number)
        return " ".join(dict.fromkeys(region)) if region else None

    def __iter__(self) -> Iterator[SegmentRange]:
        """Iterate over the runs of known segments, in ascending order."""
        first = FIRST_SEGMENT
        for code, group in groupby(self.codes):
            length = sum(1 for _ in group)
            if code:
                yield SegmentRange(first, first + length - 1, *self.regions[code - 1])
            first += length


@cache
def _builtin() -> Segments:
    # Written by scripts/build_segments.py: a head of text lines (version, number of runs, one line for each
    # region), an empty line, then for all runs their lengths, then the low and then the high bytes of their
    # codes.
    packed = resources.files(__package__).joinpath("data/segments.zlib").read_bytes()
    head, _, body = zlib.decompress(packed).partition(b"\n\n")
    version, count, *regions = head.decode().split("\n")
    runs = int(count)
    codes = array("H")
    for length, low, high in zip(body[:runs], body[runs : 2 * runs], body[2 * runs :], strict=True):
        codes.extend([high << 8 | low] * length)
    return Segments(version, ((province, city) for province, city in map(str.split, regions)), codes)
