from __future__ import annotations

import pytest

from airflow_provider_caixin.audience import (
    AudienceError,
    FileAudience,
)
from airflow_provider_caixin.audience.sources.columns import find_column
from tests.unit.audience.sources.stored import A, B, StoredFile, X, Y, numbers, refusal, rows


@pytest.mark.parametrize(
    ("header", "column"),
    [
        (f"{A},张三", None),
        (f"name,id{A},1380013800", None),
        ("a,b", "mobile"),
        ("mobile,Mobile", None),
        ("mobile", "电话"),
    ],
)
def test_a_missing_column_is_named_with_those_there(header: str, column: str | None) -> None:
    """The sentence has file, column and the columns found, and hides numbers among them."""
    with pytest.raises(AudienceError, match=r"s3://bucket/a\.csv.* no single column") as caught:
        rows("a.csv", f"{header}\n{B},x,y\n", column)
    text = str(caught.value)
    assert (column or "mobile/手机号") in text
    assert A not in text
    assert B not in text
    assert "1380013800" not in text
    assert "audience_column" in text


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
    """Whatever a program or a writer put around it, also when the column is named."""
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
        FileAudience(StoredFile("a.csv", b""), column)  # type: ignore[arg-type]
    with pytest.raises(AudienceError, match=r"^audience_column .* expected the name of a column"):
        find_column(["mobile", "name"], column)  # type: ignore[arg-type]
