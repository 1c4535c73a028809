from __future__ import annotations

import pytest

from airflow_provider_caixin.audience import (
    normalise,
)
from tests.unit.audience.sources.stored import TITLE, A, B, X, Y, numbers, rows


def test_a_csv_may_be_gb18030() -> None:
    """What Excel in China saves is read, header and rows."""
    assert rows("a.csv", f"姓名,手机号\n張三,{A}\n".encode("gb18030")) == [A]
    assert rows("a.csv", f"姓名,电话\n张三,{A}\n".encode("gb18030"), "电话") == [A]


def test_gb18030_may_begin_late() -> None:
    """A file that is ASCII for more than a MiB and GB18030 behind it loses nothing."""
    data = b"mobile,name\n" + f"{A},x\n".encode() * 100_000 + f"{B},张三\n".encode("gb18030") * 2
    assert len(data) > 1 << 20
    assert rows("a.csv", data)[-3:] == [A, B, B]


def test_a_damaged_character_spoils_its_own_line_only() -> None:
    """Bytes that are neither UTF-8 nor GB18030 are replaced and the other lines stay as they are."""
    data = f"{A}\n".encode() + b"\xff\xff\n" + f"中{B}\n".encode()
    first, spoilt, last = rows("a.txt", data)
    assert (first, last) == (A, f"中{B}")
    assert normalise(spoilt) is None


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff", "\ufeff\ufeff"], ids=ascii)
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", f"mobile\r\n{A}\r\n{B}\r\n"),
        ("a.csv", f"扫描号,手机号,姓名\r\n{X},{A},一一\r\n{Y},{B},开始上\r\n"),
        ("a.csv", f"{TITLE}\r\n姓名\t手机号\r\n" + f"上开一最\t{A}\r\n" * 9_999 + f"乙\t{B}"),
        ("a.txt", f"{A}\r\n{B}\r\n"),
        ("a.txt", f"{A}\n{B}"),
    ],
    ids=["one column", "three columns", "long", "lines", "no end"],
)
def test_utf_16_is_read_with_and_without_its_mark(name: str, text: str, mark: str, encoding: str) -> None:
    """Of either order; characters with a zero of their own or a line end's byte in them break nothing."""
    found = numbers((mark + text).encode(encoding), name=name)
    assert (set(found), found[-1]) == ({A, B}, B)
    assert len(found) == text.count("139") - text.count("1391234")


def test_a_zero_in_a_file_is_not_another_encoding() -> None:
    """A byte that a program left behind spoils its own row."""
    assert numbers(f"mobile\n{A}\0\0\n{B}\n") == [None, B]
    assert numbers(f"\0\0\0\0{A}\n{B}\n", name="a.txt") == [None, B]
