from __future__ import annotations

import importlib.util
import struct
import zlib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_caixin.audience import AudienceError, Segments
from airflow_provider_caixin.audience.segments import SegmentRange

if TYPE_CHECKING:
    from types import ModuleType

BEIJING, SHENYANG = "北京|北京|100000|010", "辽宁|沈阳|110000|024"


def phone_dat(entries: list[tuple[int, str]], version: bytes = b"2602") -> bytes:
    """Write a phone.dat of (segment, record) entries."""
    records, offsets = b"", {}
    for _, record in entries:
        if record not in offsets:
            offsets[record] = 8 + len(records)
            records += record.encode() + b"\0"
    index = b"".join(struct.pack("<iiB", segment, offsets[record], 1) for segment, record in entries)
    return struct.pack("<4si", version, 8 + len(records)) + records + index


SMALL = phone_dat([(1390000, BEIJING), (1390001, BEIJING), (1390003, BEIJING), (1390004, SHENYANG)])


@pytest.fixture
def build_segments() -> ModuleType:
    """Return the generator script as a module."""
    path = Path(__file__).parents[3] / "scripts/build_segments.py"
    spec = importlib.util.spec_from_file_location("build_segments", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("number", "region"),
    [
        ("13800100000", ("北京", "北京")),
        ("13901000000", ("北京", "北京")),
        ("13904000000", ("辽宁", "沈阳")),
        ("13941300000", ("辽宁", "抚顺")),
        ("13800210000", ("上海", "上海")),
        ("13902200000", ("广东", "广州")),
        ("19999999999", None),
    ],
)
def test_the_builtin_table_knows_where_numbers_are_from(number: str, region: tuple[str, str] | None) -> None:
    """Known cities are found, 抚顺 is not taken for 沈阳 with which it shares 024, gaps are None."""
    assert Segments.builtin().region(number) == region


def test_the_builtin_table_is_whole() -> None:
    """It has the number of segments and the date that its source states, and all mainland provinces."""
    builtin = Segments.builtin()
    assert sum(run.last - run.first + 1 for run in builtin) == 499_527
    assert len(builtin.codes) == 700_000
    assert builtin.data_date == "2023-12"
    assert len(builtin.provinces) == 31
    assert {"沈阳", "北京", "吉林", "万州"} <= builtin.cities
    assert Segments.builtin() is builtin


def test_runs_are_in_order_and_agree_with_region() -> None:
    """Each run's ends are in its region and the next run begins behind it."""
    builtin = Segments.builtin()
    last = 0
    for run in builtin:
        assert last < run.first <= run.last
        last = run.last
        assert (
            builtin.region(f"{run.first}0000")
            == builtin.region(f"{run.last}9999")
            == (run.province, run.city)
        )


def test_a_phone_dat_is_read(tmp_path: Path) -> None:
    """A newer file gives its own date, regions and gaps."""
    path = tmp_path / "phone.dat"
    path.write_bytes(SMALL)
    segments = Segments.from_phone_dat(str(path))
    assert list(segments) == [
        SegmentRange(1390000, 1390001, "北京", "北京"),
        SegmentRange(1390003, 1390003, "北京", "北京"),
        SegmentRange(1390004, 1390004, "辽宁", "沈阳"),
    ]
    assert segments.data_date == "2026-02"
    assert segments.region("13900020000") is None
    assert segments.cities == {"北京", "沈阳"}


def test_segments_outside_the_range_of_numbers_are_left_out(tmp_path: Path) -> None:
    """A fixed line or another plan's segment in a newer file does no harm."""
    path = tmp_path / "phone.dat"
    path.write_bytes(phone_dat([(1234567, BEIJING), (1390004, SHENYANG), (2000000, BEIJING)]))
    assert list(Segments.from_phone_dat(path)) == [SegmentRange(1390004, 1390004, "辽宁", "沈阳")]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"2602", id="head cut"),
        pytest.param(b"PK\x03\x04" + SMALL[4:], id="a zip"),
        pytest.param(b"2613" + SMALL[4:], id="month 13"),
        pytest.param(SMALL[:-1], id="index cut"),
        pytest.param(SMALL[:20], id="records cut"),
        pytest.param(SMALL[:4] + struct.pack("<i", -9) + SMALL[8:], id="negative index"),
        pytest.param(SMALL[:-5] + struct.pack("<iB", 10**6, 1), id="record outside"),
        pytest.param(SMALL[:-5] + struct.pack("<iB", -1, 1), id="record before"),
        pytest.param(phone_dat([(1390000, "北京")]), id="record without city"),
        pytest.param(phone_dat([(1234567, BEIJING)]), id="no mobile segment"),
        pytest.param(SMALL.replace("沈".encode(), b"\xff\xff\xff"), id="not UTF-8"),
    ],
)
def test_a_damaged_phone_dat_is_named(tmp_path: Path, data: bytes) -> None:
    """What is not a whole phone.dat is refused with the file's name and what to do."""
    path = tmp_path / "damaged.dat"
    path.write_bytes(data)
    with pytest.raises(
        AudienceError, match=r"segments_file .*damaged\.dat.* is not a whole phone\.dat .*unset"
    ):
        Segments.from_phone_dat(path)


def test_a_missing_phone_dat_is_named(tmp_path: Path) -> None:
    """A path that leads nowhere, or to a folder, is refused with its name."""
    for path in (tmp_path / "nowhere.dat", tmp_path):
        with pytest.raises(AudienceError, match=f"segments_file .*{path.name}.* cannot be read"):
            Segments.from_phone_dat(path)


def test_the_script_writes_what_is_read_back(
    tmp_path: Path, build_segments: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two builds of one phone.dat are the same bytes, and other ones than those of another phone.dat."""
    source, target = tmp_path / "phone.dat", tmp_path / "segments.zlib"
    monkeypatch.setattr(build_segments, "TARGET", target)
    built = []
    for data in (SMALL, SMALL, phone_dat([(1390000, SHENYANG)])):
        source.write_bytes(data)
        build_segments.main([str(source)])
        built.append(target.read_bytes())
    assert built[0] == built[1] != built[2]


def test_the_shipped_table_is_the_package_phone(build_segments: ModuleType) -> None:
    """A build from the installed package gives the content of the shipped file."""
    pytest.importorskip(
        "phone", reason="the package phone (dependency group segments), the data's source, is not installed"
    )
    segments = Segments.from_phone_dat(build_segments.installed_phone_dat())
    shipped = resources.files("airflow_provider_caixin.audience").joinpath("data/segments.zlib").read_bytes()
    assert zlib.decompress(shipped) == build_segments.pack(segments)
    assert list(segments) == list(Segments.builtin())
