"""What is read of a row that is no single number, and which rows may hold damaged numbers."""

from __future__ import annotations

import pytest

from airflow_provider_caixin.audience import numbers_in
from airflow_provider_caixin.audience.sources.patterns import UnevenRow

A, B = "13912350001", "13912350002"


@pytest.mark.parametrize(
    ("row", "numbers"),
    [
        (A, [A]),
        (f'="{A}"', [A]),
        (A.encode(), [A]),
        (int(A), [A]),
        (f"{A}/{B}", [A, B]),
        (f"{A}、+86 139 1235 0002", [A, B]),
        (f"{A} {B}", [A, B]),
        (f"{A}\n{B}", [A, B]),
        (f"张三 {A}", [A]),
        (f"{A}（已退订 2026-11-29 10:00:00）", [A]),
        (f"0{A}", [A]),
        (f"{A}，010-12345678", [A]),
        ("13,912,350,001", [A]),
        ("139,1235,0001", [A]),
        ("139/1235/0001", [A]),
        ("139:1235:0001", [A]),
        ("退订 139,1235,0001", [A]),
        ("139，1235，0001", [A]),
    ],
    ids=range(18),
)
def test_every_number_of_a_row_is_read(row: object, numbers: list[str]) -> None:
    """Also where one cell holds several, or a note beside one."""
    assert numbers_in(row) == (numbers, False)


@pytest.mark.parametrize(
    "row",
    [
        None, "", " ", "张三", "合计 3", "3", 3, 0.5, "139#", "共 12,345 人", "10086", "95588",
        "010-12345678", "021 87654321", "（0571）8765 4321", "0755-12345678-801", "010-12345678转801", "+86 10 12345678",
        "400-123-4567", "8008208820", "87654321", "2187654321",
        "+852 9123 4567", "+85291234567", "852-91234567", "+853 6612 3456", "+886 912 345 678", "00852 91234567", "+1 650 253 0000",
        "2026-11-29", "1999-12-31", "2026/11/29 13:00:00", "2026年11月29日", "20261129",
        "010-12345678/021-87654321", "010-12345678,10086", "tel 010-12345678", "tel+85291234567", "SN20261129", "2026-11-29,3",
        "12,345", "1,234,567", "13/14/15",
        "330106200001011234", "nan", "#N/A", "x@y.cn",
        UnevenRow(["合计", "3"], 3), UnevenRow(["2026-11-29", "", "010-12345678"], 2),
    ],
    ids=ascii,
)  # fmt: skip
def test_what_cannot_be_a_number_of_the_mainland_is_none(row: object) -> None:
    """Words, counts, dates, landlines, service numbers and those of other places."""
    assert numbers_in(row) == ([], False)


@pytest.mark.parametrize(
    "row",
    [
        "1.38E+10", "1.3912350001E+10", "8.61391E+12", "1E10", 1.39123e25,
        "1391235000", "13912350", "1391235", "3912350001", "139123500011", "86139123500", "+86 1391235000", "139 1235 000",
        "139****0001", "*******0001", "1391235000X", "1391235000?", "139xxxx0001", "139O2350001", "l3912350001",
        "12912350001", "23912350001", f"{A}{B}", "1391.235.000", "0139123500",
        "139.1235.0001", "13,912,350,00", "1391,235,000", "139/1235/000", "tel 1391235000", "手机1391235000", "mobile:1391235000", "T139123500",
        UnevenRow(["13", "912", "350", "001"], 1), UnevenRow(["139", "1235", "000"], 1), UnevenRow(["甲", "1391235000"], 3),
        UnevenRow(["甲", "乙", A], 2), UnevenRow([A], 2), UnevenRow(["139****0001", "x"], 1),
    ],
    ids=ascii,
)  # fmt: skip
def test_what_may_be_a_damaged_number_is_told(row: object) -> None:
    """Digits missing, covered, too many, run together, in scientific notation, or in an uneven row."""
    assert numbers_in(row) == ([], True)


def test_a_row_may_be_both() -> None:
    """What can be read of it is, and the rest is told."""
    assert numbers_in(f"{A}/1391235000") == ([A], True)
    assert numbers_in(f"{A}; 1.38E+10") == ([A], True)
