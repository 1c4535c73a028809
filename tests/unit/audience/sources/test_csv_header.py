from __future__ import annotations

import pytest

from tests.unit.audience.sources.stored import TITLE, A, B, C, X, Y, Z, numbers, refusal


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
    """The recipients are those of the number's column and nobody else, and a title is no row."""
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


def test_a_header_out_of_reach_is_none() -> None:
    """Behind ten other lines the table counts as one of a single column, and its rows are too wide for it."""
    assert set(numbers("共 2 行\n" * 10 + f"手机号,门店\n{A},{X}\n")) == {None}


def test_the_way_out_is_one_that_there_is() -> None:
    """A suppress_file has no argument for its column."""
    text = f"{TITLE}\n门店电话,联系电话\n{X},{A}\n"
    assert "name one of its columns as audience_column" in refusal(text)
    assert "call one of them mobile" in refusal(text, argument="suppress_file")
