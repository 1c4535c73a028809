"""The files of people, as Excel and other programs leave them: whose cell is read, and what is refused in words."""

from __future__ import annotations

import gzip
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_caixin.audience import AudienceError, FileAudience, normalise
from airflow_provider_caixin.audience.sources.columns import find_column

A, B, C = "13912350001", "13912350002", "13912350003"
# The numbers of somebody else in the same rows: whoever recommended them, or is to be called.
X, Y, Z = "13912340001", "13912340002", "13912340003"
TITLE = "会员名单 2026年11月 导出"


class Stored:
    """A file in memory."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self._data = data

    def __str__(self) -> str:
        return f"s3://bucket/{self.name}"

    def open(self, _mode: str, /) -> io.BytesIO:
        """Open the bytes."""
        return io.BytesIO(self._data)

    def stat(self) -> object:
        """Tell nothing."""
        return None


def numbers(data: bytes | str, column: str | None = None, name: str = "a.csv") -> list[str | None]:
    """Read a file's rows, None for one that is no number."""
    raw = data if isinstance(data, bytes) else data.encode()
    found = [normalise(row) for row in FileAudience(Stored(name, raw), column)]
    packed = FileAudience(Stored(f"{name}.gz", gzip.compress(raw)), column)
    assert [normalise(row) for row in packed] == found
    return found


def refusal(data: bytes | str, column: str | None = None, *, argument: str = "audience_file") -> str:
    """Give the sentence of a file that is refused; it shows no number."""
    raw = data if isinstance(data, bytes) else data.encode()
    with pytest.raises(AudienceError) as caught:
        list(FileAudience(Stored("a.csv", raw), column, argument=argument))
    sentence = str(caught.value)
    assert sentence.startswith(f"{argument} 's3://bucket/a.csv' ")
    assert not any(number in sentence for number in (A, B, C, X, Y, Z))
    return sentence


# --- what stands above the header ---


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (f"sep=,\r\n推荐人手机,手机号,姓名\r\n{X},{A},甲\r\n{Y},{B},乙\r\n", "utf-8-sig"),
        (f"sep=;\r\n推荐人手机;手机号;姓名\r\n{X};{A};甲\r\n{Y};{B};乙\r\n", "gb18030"),
        (f'"SEP=|"\n推荐人手机|手机号\n{X}|{A}\n{Y}|{B}\n', "utf-8"),
        (f"sep=\t\n推荐人手机\t手机号\n{X}\t{A}\n{Y}\t{B}\n", "utf-8"),
        (f"sep=^\n手机号^推荐人\n{A}^x,y\n{B}^{Y}\n", "utf-8"),
        (f"sep=,,\n推荐人手机,手机号,姓名\n{X},{A},甲\n{Y},{B},乙\n", "utf-8"),
        (f"{TITLE}\r\n门店电话,手机号,姓名\r\n{X},{A},甲\r\n{X},{B},乙\r\n", "gb18030"),
        (f"{TITLE}\r\n序号,姓名,手机号\r\n1,甲,{A}\r\n2,乙,{B}\r\n", "gb18030"),
        (f"{TITLE},,\n门店电话,手机号,姓名\n{X},{A},甲\n{X},{B},乙\n", "utf-8"),
        (f"{TITLE}\n\n\n制表人：王五,2026-11-29\n门店电话,手机号,姓名\n{X},{A},甲\n{X},{B},乙\n", "utf-8"),
        (f"{TITLE}\nsep=;\n门店电话;手机号\n{X};{A}\n{X};{B}\n", "utf-8"),
        (f'"{TITLE}, 含""退订"""\n门店电话,手机号\n{X},{A}\n{X},{B}\n', "utf-8"),
        (f"手机号\n推荐人手机,手机号\n{X},{A}\n{Y},{B}\n", "utf-8"),
        (f"手机号,,\n推荐人手机,手机号,姓名\n{X},{A},甲\n{Y},{B},乙\n", "utf-8"),
        (f'{TITLE}\n"推荐人\n手机","手机\n号码"\n{X},{A}\n{Y},{B}\n', "utf-8"),
        ("共 2 行\n" * 9 + f"手机号,门店\n{A},{X}\n{B},{X}\n", "utf-8"),
        (f"{TITLE}\n{A}\n{B}\n", "utf-8"),
    ],
    ids=range(17),
)
def test_the_header_is_found_below_titles_and_hints(text: str, encoding: str) -> None:
    """The people are those of the number's column and nobody else, and a title is no row."""
    assert numbers(text.encode(encoding))[-2:] == [A, B]
    assert numbers(text.encode(encoding)) == [A, B]


@pytest.mark.parametrize(
    ("text", "column", "sentence"),
    [
        (
            f"{TITLE}\n门店电话,联系电话,姓名\n{X},{A},甲\n",
            None,
            "in its first lines; line 2 has (门店电话, 联系电话, 姓名)",
        ),
        (f"{TITLE},,\n门店电话,联系电话,姓名\n{X},{A},甲\n", None, "line 2 has"),
        (f"{TITLE}\n门店电话;联系电话\n{X};{A}\n", None, "line 2 has (门店电话, 联系电话)"),
        (f"{TITLE}\n门店电话|联系电话\n{X}|{A}\n", None, "line 2 has (门店电话, 联系电话)"),
        (f"{TITLE}\n门店电话,联系电话\n{X},{A}\n", "电话", "has no single column 电话"),
        (
            f"手机号\n{X},{A}\n",
            None,
            "line 2 has (99999999999, 99999999999; 9 stands for a digit, x for a letter)",
        ),
        (
            f"{X},张三\n手机号,姓名\n{A},李四\n",
            None,
            "has a mobile number in line 1, above its header in line 2",
        ),
        (
            f"咨询电话:{X}\n\n手机号,姓名\n{A},李四\n",
            None,
            "has a mobile number in line 1, above its header in line 3",
        ),
        (f"{X}\n{Y}\n手机\n{A}\n", None, "has a mobile number in line 1, above its header in line 3"),
        (f"{TITLE}\n手机号,姓名,手机号\n{A},x,{X}\n", None, "has no single column"),
        (f"whatever\n{A}\n{X},{Y}\n", None, "line 3 has (99999999999, 99999999999; 9"),
        (f"日期,\n,{A}\n", None, "cells in different columns"),
        ('"手机号,姓名\n1,2\n', None, "breaks the rules of CSV near line 1"),
        (
            f"手机号，姓名\n{A}，甲\n{B}，乙\n",
            None,
            "has several cells in line 2 that no comma, semicolon, tab or | separates",
        ),
        (f"电话、姓名\n{A}、甲\n{B}、乙\n", None, "('99999999999、x': 9 stands for a digit"),
        (f"{A}  甲\n{B}  乙\n", None, "has several cells in line 1"),
    ],
    ids=range(16),
)
def test_a_header_that_is_not_proven_is_refused(text: str, column: str | None, sentence: str) -> None:
    """With the line and the way out: a title never makes the first column the only one."""
    said = refusal(text, column)
    assert sentence in said
    assert said.partition("; ")[2]


@pytest.mark.parametrize(
    "text",
    [
        f'"推荐人\n手机号",客户电话\n{X},{A}\n{Z},{C}\n',
        f'"退订渠道\n手机",退订号码\n{A},{X}\n{C},{Y}\n',
        f'推荐人,"客户\n手机号\n备用",备注\n{A},{X},x\n',
        f'"说明\n\n手机号;必填"\n姓名;客户电话\n甲;{A}\n',
    ],
    ids=range(4),
)
def test_a_line_within_a_cell_is_no_header(text: str) -> None:
    """A heading of two lines is not a heading in its second."""
    assert "has no single column" in refusal(text)


def test_the_header_is_found_below_a_cell_of_several_lines() -> None:
    """Whatever these lines are."""
    text = f'"填写说明：\n手机号,必填"\n推荐人手机,手机号\n{X},{A}\n{Y},{B}\n'
    assert numbers(text) == [A, B]
    assert "has a mobile number in line 2" in refusal(f'"说明\n电话{X}\n"\n推荐人,手机号\n甲,{A}\n')


@pytest.mark.parametrize(
    "text",
    [
        f"客户电话,联系人电话,来源\n{A},{X},手机\n{C},{Y},{Z}\n",
        f"类型,联系方式\n手机,{A}\n手机,{B}\n",
        f"phone,source\n{A},mobile\n{B},pc\n",
        f"退订类型,号码\n手机,{A}\n",
        f"客户,来源\n张三+86{A},手机\n李四+86{B},手机\n",
        "客户电话,来源\n139-1235-0001,手机\n139-1235-0002,手机\n",
        f"客户电话,来源\n1391235000,手机\n{A},{X}\n",
        f"客户电话,来源\n1.39E+10,手机\n{A},{X}\n",
        f"客户电话,来源\n010-12345678,手机\n{A},{X}\n",
    ],
    ids=range(9),
)
def test_a_row_is_no_header(text: str) -> None:
    """Also where one of its cells is the column's name."""
    assert "has no single column" in refusal(text)


def test_days_may_be_headings() -> None:
    """Their digits are no phone's."""
    assert numbers(f"手机号,2026-11-01,20261102,2026/11/3,消费20261101-20261130\n{A},1,2,3,4\n") == [A]


def test_a_title_may_be_the_columns_name() -> None:
    """Also with more titles below; where there is no header, nothing is read."""
    for titles in ("手机号,,\n导出时间 2026-11-29,,\n", "手机号\n导出时间 2026-11-29\n\n"):
        assert numbers(f"{titles}推荐人手机,手机号,备注\n{X},{A},x\n") == [A]


@pytest.mark.parametrize(
    "text",
    [
        f"编号,手机号,,\n,推荐人,客户,备注\n1,{X},{A},x\n",
        f"手机号,,\n推荐人,客户,备注\n{X},{A},x\n",
        f"手机号,,\n2026-11-29,,\n推荐人,客户电话,备注\n{X},{A},x\n",
        f"编号,手机号,\n,,客户\n1,{X},{A}\n",
        f"客户电话,来源\n,手机\n{A},手机\n",
    ],
    ids=range(5),
)
def test_a_heading_over_several_columns_is_refused(text: str) -> None:
    """A row of texts below a header with gaps is its second half."""
    assert "has columns without a heading in line" in refusal(text)


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ("张三 139-1234-0001,x", "(xx 999-9999-9999, x; 9"),
        ("张三,139.1234.0001", "(xx, 999.9999.9999; 9"),
        ("张三,139 12", "(张三, 139 12)"),
        ("张三,１３９１２３４０００１", "(xx, 99999999999; 9"),
        ("张三,139_1234_0001", "(xx, 999_9999_9999; 9"),
        ("李四,1391234", "(xx, 9999999; 9"),
    ],
    ids=range(6),
)
def test_a_row_that_is_taken_for_a_header_is_not_shown(row: str, shown: str) -> None:
    """Of what has as many digits as no heading, also parted ones, the message has the shapes."""
    assert f"line 2 has {shown}" in refusal(f"客户清单\n{row}\n")


@pytest.mark.parametrize(
    "text",
    [
        f",phone\n0,{A}\n1,{B}\n",
        f"phone,\n{A},甲\n{B},乙\n",
        f",,客户,\n0,甲,{A},\n1,乙,{B},x\n",
        f";phone\n0;{A}\n1;{B}\n",
    ],
    ids=range(4),
)
def test_the_only_name_is_that_of_the_numbers(text: str) -> None:
    """As pandas writes a table with its index."""
    assert numbers(text) == [A, B]


@pytest.mark.parametrize(
    "text",
    [
        f",phone\n{X},{A}\n{Y},{B}\n",
        f",phone\n0,x\n1,{B}\n",
        f",phone\n0,{A}\n1,{B},{X}\n",
        f"会员名单,,\n推荐人,客户电话,备注\n{X},{A},x\n",
        f"会员名单,,\n姓名,客户电话,备注\n甲,{A},x\n",
    ],
    ids=range(5),
)
def test_the_only_name_may_be_a_title(text: str) -> None:
    """Where another column has numbers, or the first row none."""
    assert "has no single column" in refusal(text)


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


def test_a_header_out_of_reach_is_none() -> None:
    """Behind ten other lines the table counts as one of a single column, and its rows are too wide for that."""
    assert set(numbers("共 2 行\n" * 10 + f"手机号,门店\n{A},{X}\n")) == {None}


def test_the_way_out_is_one_that_there_is() -> None:
    """A suppress_file has no argument for its column."""
    text = f"{TITLE}\n门店电话,联系电话\n{X},{A}\n"
    assert "name one of its columns as audience_column" in refusal(text)
    assert "call one of them mobile" in refusal(text, argument="suppress_file")


# --- rows of another width ---


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
    rows = list(FileAudience(Stored("a.csv", f"推荐人,手机号\n{X}\n甲,乙,{X}\n".encode())))
    assert rows == [f"[1 cell under 2 headings] {X}", f"[3 cells under 2 headings] x,x,{X}"]


def test_a_row_of_another_width_shows_no_other_columns_cells() -> None:
    """Names and ID numbers stay out of ledger and report, and of a long row the number is in its first 64 characters."""
    text = (
        f"手机号,姓名\n张三,330106200001011234,139-1234-0001,x\n{'张三丰住在很远的地方,' * 40}{X}\n甲,乙,丙\n"
    )
    assert list(FileAudience(Stored("a.csv", text.encode()))) == [
        "[4 cells under 2 headings] xx,99999999,139-1234-0001,x",
        f"[41 cells under 2 headings] …,xxxxxxxx,xxxxxxxx,{X}",
        "[3 cells under 2 headings] x,x,x",
    ]


def test_rows_are_numbered_by_their_lines() -> None:
    """As an editor shows them: titles, blank lines and those within a cell count."""
    text = f'{TITLE}\n\n姓名,手机号\n"甲\n乙",{A}\n\n丙,{B}\n'
    file = FileAudience(Stored("a.csv", text.encode()))
    assert list(file.numbered()) == [(5, A), (7, B)]
    file = FileAudience(Stored("a.txt", f"\n{A}\r\n \n{B}".encode()))
    assert list(file.numbered()) == [(2, A), (4, B)]


# --- cells and headings that are not what they seem ---


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


@pytest.mark.parametrize(
    "heading",
    [
        "\ufeff手机号",
        "\u00a0手机号\u00a0",
        "手\u200b机号",
        "*手机号",
        "＊手机号",
        "手机号*",
        "* 手机 号",
        "'手机号'",
        "ＭＯＢＩＬＥ",
        "手机号\u3000",
    ],
    ids=ascii,
)
def test_a_heading_that_looks_right_is_found(heading: str) -> None:
    """Whatever a program or a person put around it, also when the column is named."""
    text = f"\ufeff\ufeff推荐人,{heading}\n{X},{A}\n{Y},{B}\n"
    assert numbers(text) == numbers(text, "mobile" if "Ｍ" in heading else "手机号") == [A, B]


def test_a_heading_that_is_another_is_shown_with_what_is_different() -> None:
    """What cannot be seen is written out."""
    assert r"(推荐人, 手\u200b机甲)" in refusal(f"推荐人,手\u200b机甲\n{X},{A}\n")


def test_a_blank_name_names_no_column() -> None:
    """Least of all the one without a heading."""
    assert numbers(f",手机号\n{X},{A}\n", "  ") == [A]


def test_two_headings_that_look_alike_are_not_one() -> None:
    """Which of them is meant has to be said, and can be."""
    text = f"手机号,*手机号\n{X},{A}\n"
    assert "has no single column" in refusal(text)
    assert numbers(text, "*手机号") == [A]


@pytest.mark.parametrize("column", [0, 1, -1, 0.0, False, True, ["手机号"], b"mobile"])
def test_a_column_is_named_and_not_counted(column: object) -> None:
    """A place is refused at once."""
    with pytest.raises(AudienceError, match=r"^audience_column .* expected the name of a column"):
        FileAudience(Stored("a.csv", b""), column)  # type: ignore[arg-type]
    with pytest.raises(AudienceError, match=r"^audience_column .* expected the name of a column"):
        find_column(["mobile", "name"], column)  # type: ignore[arg-type]


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
