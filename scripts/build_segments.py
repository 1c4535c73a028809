"""Write airflow_provider_caixin/audience/data/segments.zlib from a phone.dat.

Usage: python scripts/build_segments.py [PHONE_DAT]

Without an argument the phone.dat of the installed ``phone`` package is read. Keep data/SOURCE.txt true when
the data changes.
"""

from __future__ import annotations

import importlib.util
import sys
import zlib
from itertools import groupby
from pathlib import Path

from airflow_provider_caixin.audience.segments import Segments

TARGET = Path(__file__).parents[1] / "airflow_provider_caixin/audience/data/segments.zlib"
LONGEST_RUN = 255  # a run's length is one byte


def installed_phone_dat() -> Path:
    """Find the phone.dat of the installed ``phone`` package.

    :raises FileNotFoundError: the package is not installed.
    """
    spec = importlib.util.find_spec("phone")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "the package phone is not installed; install it, or give the path of a phone.dat"
        )
    return Path(spec.origin).with_name("phone.dat")


def pack(segments: Segments) -> bytes:
    """Write segments in the format that ``Segments.builtin`` reads, before compression.

    :param segments: what to write; the same segments always give the same bytes.
    """
    runs: list[tuple[int, int]] = []
    for code, group in groupby(segments.codes):
        whole, rest = divmod(sum(1 for _ in group), LONGEST_RUN)
        runs += [(LONGEST_RUN, code)] * whole + [(rest, code)] * bool(rest)
    regions = (f"{province} {city}" for province, city in segments.regions)
    head = "\n".join([segments.version, str(len(runs)), *regions]) + "\n\n"
    lengths = bytes(length for length, _ in runs)
    low, high = bytes(code & 255 for _, code in runs), bytes(code >> 8 for _, code in runs)
    return head.encode() + lengths + low + high


def main(arguments: list[str]) -> None:
    """Build the file.

    :param arguments: the path of a phone.dat, or nothing.
    """
    source = Path(arguments[0]) if arguments else installed_phone_dat()
    segments = Segments.from_phone_dat(source)
    TARGET.write_bytes(zlib.compress(pack(segments), 9))
    known = sum(1 for code in segments.codes if code)
    print(f"{TARGET.name}: {TARGET.stat().st_size:,} bytes, {known:,} segments, data of {segments.data_date}")


if __name__ == "__main__":
    main(sys.argv[1:])
