"""Files as Excel and other programs leave them: whose cell is read, and what is refused in words."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_caixin.audience import (
    AudienceError,
    FileAudience,
)
from tests.unit.audience.sources.stored import TITLE, A, B, C, StoredFile, X, Y, Z, numbers, refusal, rows


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"mobile,referrer\n{A},{X}\n\nreferrer,mobile\n{Y},{C}\n", 4),
        (f"mobile,referrer\n{A},{X}\nreferrer,mobile,,\n{Y},{C},,\n", 3),
        (f"mobile,name\n{A},甲\n\n,mobile\n{Y},{C}\n", 4),
        (f"referrer, mobile\n{X},{A}\nmobile, referrer\n{C},{Y}\n", 3),
        (f"手机号,推荐人\n{A},{X}\n推荐人,手机号码\n{Y},{C}\n", 3),
        (f"手机号,推荐人,备注\n{A},甲,\n推荐人,手机号\n{Y},乙\n", 3),
        ("手机号,推荐人\n" + f"{A},{X}\n" * 20 + f"*推荐人,*手机号\n{Y},{C}\n", 22),
    ],
    ids=range(7),
)
def test_a_second_table_with_another_order_is_refused(text: str, line: int) -> None:
    """With the line of its header."""
    assert f"has another header in line {line}" in refusal(text)


def test_a_row_with_a_columns_name_is_no_second_table() -> None:
    """The same header again is a row without a number, and 手机 may be a device."""
    text = f"手机号,设备\n{A},手机\n手机号,设备\n,手机\n+86{B},手机\n"
    assert numbers(text) == [A, None, None, B]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"name,address,contact_mobile,mobile\nA,Shanghai,{X},{A}\nB,Hangzhou, West Lake Road 1,{Y},{B}\nC,Ningbo,{Z},{C}\n",
            [A, None, C],
        ),
        (f"推荐人,手机号\n{A}\n{X},{B}\n", [None, B]),
        (f"手机号,推荐人\n{A}\n{B},{X}\n", [None, B]),
        (f"手机号,推荐人手机\n{A}\n", [None]),
        (f"mobile,联系电话\n{A}\n", [None]),
        (f"手机号,原因\n{A}\n{B}\n", [A, B]),
        ("手机号,备注\n" + f"{A}\n" * 10 + f"{B},x\n{C}\n", [*[A] * 10, B, C]),
        (f"手机号,联系地址,会员号码,微信,hotel,cancelled\n{A}\n{B},x\n", [A, B]),
        (f"手机号,Tel.\n{A}\n{B},x\n", [None, B]),
        (f"手机号,HomeTel\n{A}\n{B},x\n", [None, B]),
        (f"序号,手机号,城市,备注\n1,{A},上海,\n2,{B},上海\n3,{C}\n合计,3\n", [A, B, C, None]),
        (f"序号,手机号,城市,备注\n1,{A},上海,\n2,{B},上海\n{C}\n", [A, None, None]),
        (f"序号,手机号,备注\n1,{A},\n2,{B} {X}\n{A},{X}\n{X},上海\n", [A, None, None, None]),
        (f"序号,手机号,推荐人\n1,{A},\n2,{B},{X}\n3,{C}\n", [A, B, None]),
        (f"序号,手机号,联系人手机\n1,{A},\n2,{B}\n", [A, None]),
        (f"手机号,推荐人\n{A},{X},{Y}\n{B},{X}\n", [None, B]),
        (f"推荐人,手机号,备注\n{X},{A}\n{X},{B},\n", [None, B]),
        (f"推荐人,手机号,\n{X},{A}\n{X},{B},\n{X},{C},,,\n", [None, B, C]),
        (f"推荐人,手机号\n{X},{A},,\n{X},{B}, ,x\n", [A, None]),
        (f"推荐人,手机号\n,\n,,\n\n  \n{X},{A}\n", [None, None, A]),
        ("whatever\n" + f"{A}\n" * 9 + f"{X},{Y}\n{B},\n", [*[A] * 9, None, B]),
        (f"whatever,\n{A},\n" + f"{B},\n" * 9 + f"{X},{Y}\n", [A, *[B] * 9, None]),
        (f"{A}\n" * 10 + f"{X},{Y}\n,{Z}\n", [*[A] * 10, None, None]),
        (f"手机号\n{A}\n\n{B}\n", [A, B]),
    ],
    ids=range(24),
)
def test_a_row_of_another_width_gives_nobody_else(text: str, expected: list[str | None]) -> None:
    """It gives its number only where no cell can be out of place."""
    assert numbers(text) == expected


def test_a_row_of_another_width_says_so() -> None:
    """Its text is in the report, and is no number whatever is in it."""
    rows = list(FileAudience(StoredFile("a.csv", f"推荐人,手机号\n{X}\n甲,乙,{X}\n".encode())))
    assert rows == [f"[1 cell under 2 headings] {X}", f"[3 cells under 2 headings] x,x,{X}"]


def test_a_row_of_another_width_shows_no_other_columns_cells() -> None:
    """Names and ID numbers stay out, and of a long row the number is in its first 64 characters."""
    text = (
        f"手机号,姓名\n张三,330106200001011234,139-1234-0001,x\n{'张三丰住在很远的地方,' * 40}{X}\n甲,乙,丙\n"
    )
    assert list(FileAudience(StoredFile("a.csv", text.encode()))) == [
        "[4 cells under 2 headings] xx,99999999,139-1234-0001,x",
        f"[41 cells under 2 headings] …,xxxxxxxx,xxxxxxxx,{X}",
        "[3 cells under 2 headings] x,x,x",
    ]


def test_rows_are_numbered_by_their_lines() -> None:
    """As an editor shows them: titles, blank lines and those within a cell count."""
    text = f'{TITLE}\n\n姓名,手机号\n"甲\n乙",{A}\n\n丙,{B}\n'
    file = FileAudience(StoredFile("a.csv", text.encode()))
    assert list(file.numbered()) == [(5, A), (7, B)]
    file = FileAudience(StoredFile("a.txt", f"\n{A}\r\n \n{B}".encode()))
    assert list(file.numbered()) == [(2, A), (4, B)]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
@pytest.mark.parametrize(
    "text",
    [
        f'订单号,手机号,金额\r\n="1001","=""{A}""",9.9\r\n="1002","=""{B}""",9.9\r\n',
        f'订单号,手机号,金额\r\n="1001",="{A}",9.9\r\n="1002",="{B}",9.9\r\n',
        f'="订单号",="手机号"\r\n="1001",="{A}"\r\n="1002",="{B}"\r\n',
        f'手机号\r\n="{A}"\r\n{B}\r\n',
    ],
    ids=["quoted", "bare", "heading too", "one column"],
)
def test_excels_texts_are_read(text: str, encoding: str) -> None:
    """A cell that is written as a formula, so that it stays a text, is that text."""
    assert numbers(text.encode(encoding)) == [A, B]


def test_excels_texts_are_read_in_lines() -> None:
    """In a .txt, too, quoted and bare."""
    assert numbers(f'="{A}"\n"=""{B}"""\n', name="a.txt") == [A, B]


@settings(deadline=None)
@given(
    st.integers(2, 6).flatmap(lambda width: st.tuples(st.just(width), st.integers(0, width - 1))),
    st.sampled_from(",;\t|"),
    st.lists(
        st.tuples(st.sampled_from(["whole", "wider", "shorter", "padded"]), st.integers(0, 9)), max_size=12
    ),
    st.sampled_from(
        ["", f"{TITLE}\n", f"{TITLE}{{0}}{{0}}\n\n", "sep={0}\n", f"{TITLE}, 含；、|全部\nsep={{0}}\n"]
    ),
    st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-be"]),
)
def test_never_a_cell_of_another_column(
    shape: tuple[int, int], separator: str, rows: list[tuple[str, int]], above: str, encoding: str
) -> None:
    """Wherever the column stands, whatever stands above it, and wherever a row has lost or gained a cell."""
    width, index = shape
    header = [f"推荐人手机{place}" for place in range(width)]
    header[index] = "手机号"
    lines, whole = [above.format(separator) + separator.join(header)], []
    for number, (kind, place) in enumerate(rows):
        cells = [f"1391234{number:02d}{column:02d}" for column in range(width)]
        cells[index] = f"1391235{number:02d}00"
        if kind in ("whole", "padded"):
            whole.append(cells[index])
        if kind == "wider":
            cells.insert(place % (width + 1), X)
        elif kind == "shorter":
            del cells[place % width]
        elif kind == "padded":
            cells += ["", " "]
        lines.append(separator.join(cells))
    found = [one for one in numbers("\n".join(lines).encode(encoding)) if one]
    assert all(one.startswith("1391235") for one in found)
    assert set(whole) <= set(found)


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        (f"name,mobile\n张三,{A}\n李四,{B}\n", None, [A, B]),
        (f"姓名;手机号\r\n张三;{A}\r\n", None, [A]),
        (f"姓名\t手机号码\n张三\t{A}\n", None, [A]),
        (f"姓名,手机\n张三,{A}\n", None, [A]),
        (f"手机,手机号,Mobile \n1,2,{A}\n", None, [A]),
        (f"手机号,phone\n1,{A}\n", "PHONE ", [A]),
        (f"whatever\n{A}\n", None, [A]),
        (f"whatever,\n{A},\n", None, [A]),
        (f"{A}\n{B}\n", None, [A, B]),
        (f'"+86 138 0013 8000",\n{B},\n', None, ["+86 138 0013 8000", B]),
        (f"138001380\n{B}\n", None, ["138001380", B]),
        (f"phone 1234567\n{B}\n", "phone 1234567", [B]),
        (f'"a,b";mobile\n"x;y";{A}\n', None, [A]),
        (f'name,mobile\n"two\nlines",{A}\n', None, [A]),
        (f"\n \nmobile,name\n\n{A},x\n  \n{B}\n", None, [A, B]),
        (f"name,mobile\nx\nx,{A}\n,\n", None, ["[1 cell under 2 headings] x", A, ""]),
        ("mobile\na\0b\n", None, ["a\0b"]),
        ("mobile,name\n", None, []),
        ("", None, []),
        ("", "mobile", []),
        (f"mobile\n{A}\n", "", [A]),
    ],
    ids=range(21),
)
def test_a_csv_gives_its_number_column(text: str, column: str | None, expected: list[str]) -> None:
    """Delimiters, names of columns, one column without a header, quotes, short rows and blank lines."""
    assert rows("a.csv", text, column) == expected
    assert rows("a.csv", "\ufeff" + text, column) == expected
    assert rows("a.csv.gz", gzip.compress(text.encode()), column) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f'name,mobile\n"张三,{A}\n李四,{B}\n', id="never closed"),
        pytest.param(f'name,mobile\n"张三,{A}\n"李四,{B}\n', id="closed by the next"),
        pytest.param('name,mobile\n"' + f"x,{A}\n" * 20_000, id="very long"),
    ],
)
def test_a_stray_quote_does_not_swallow_rows(text: str) -> None:
    """A quote that is not closed is an error with the place, and never one long row."""
    with pytest.raises(AudienceError, match=r"a\.csv.* breaks the rules of CSV near line \d+") as caught:
        rows("a.csv", text)
    assert A not in str(caught.value)
