"""An audience of which nothing, or less than half, can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_caixin.audience import (
    AudienceError,
    Classifier,
    FileAudience,
    audience_from,
    require_numbers,
)
from airflow_provider_caixin.audience.sources.patterns import UnevenRow
from tests.unit.audience.sources.stored import A, B


def read(*rows: object, warn: bool = True) -> list[str]:
    """Classify rows and judge them."""
    audience = audience_from(list(rows))
    return [row[0] for row in require_numbers(Classifier().classify(audience), audience, warn=warn)]


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        (["9.9", "9.9"], "'9.9' (9 stands for a digit, x for a letter)"),
        (["张三", "Li"], "'xx' ("),
        (["1.38E+10", 1.38e25, None, "x"], "'9.99E+99', '9.99e+99', ''"),
        (["139****0001", f"{A} {B}", "1391235000"], "'999****9999', '99999999999 99999999999', '9999999999'"),
        ([float("nan"), "#N/A"], "'nan', '#N/A'"),
        ([f"13912350001{'甲' * 60}", "x"], "'99999999999xxxxxxxxxxxxxxxxxxxxx…'"),
        (["", ""], "''"),
    ],
    ids=range(7),
)
def test_rows_and_none_of_them_a_number_fail(rows: list[object], shown: str) -> None:
    """The sentence shows how the first rows are made, and nothing that they say."""
    with pytest.raises(AudienceError) as caught:
        read(*rows)
    sentence = str(caught.value)
    assert sentence.startswith(
        f"mobiles: none of the {len(rows)} rows is a mobile number; the first look like "
    )
    assert shown in sentence
    assert "Nobody is sent anything: give the column, list or file that holds the numbers." in sentence
    assert not any(part in sentence for part in ("1391235", "甲", "张"))


@pytest.mark.parametrize("rows", [[], [A], [A, "x"], [A, A], ["13312350001", "x"]], ids=range(5))
def test_what_can_be_read_goes_on(rows: list[object], caplog: pytest.LogCaptureFixture) -> None:
    """Nobody, and half and more numbers are no reason for a word."""
    assert len(read(*rows)) == len(rows)
    assert not caplog.records


def test_a_list_of_one_row_that_is_no_number_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """What was given as one number is not: there the task itself is skipped."""
    assert read("hello", warn=False) == ["hello"]
    single = audience_from("hello")
    assert list(require_numbers(Classifier().classify(single), single, warn=True)) == [
        ("hello", "invalid_number")
    ]
    assert not caplog.records
    assert read("hello") == ["hello"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "1 of 1 rows are no mobile numbers, such as 'xxxxx'" in caplog.text


def test_numbers_in_rows_of_another_width_are_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """However few they are; a footer is none of them."""
    rows = [*[A] * 8, UnevenRow(["合计", "8"], 4), UnevenRow(["甲", B], 4), UnevenRow(["乙", "", B], 4)]
    read(*rows, warn=False)
    assert not caplog.records
    read(*rows)
    (message,) = caplog.messages
    assert message.startswith(
        "mobiles: 2 of 11 rows hold a number and have more or fewer cells than there are headings"
    )
    assert "such as '[2 cells under 4 headings] x,99999999999' (" in message
    assert caplog.records[0].levelname == "WARNING"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            f"mobile,联系电话\n{A}\n",
            ["1 of 1 rows hold a number and have", "1 of 1 rows are no mobile numbers"],
        ),
        (f"mobile,联系电话\n{A},x\n{A},x\n{B}\n", ["1 of 3 rows hold a number and have"]),
        (f"mobile,备注\n{A}\n", []),
    ],
    ids=["one row", "few", "read"],
)
def test_a_file_whose_rows_are_left_out_says_so(
    text: str, said: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where its only row is, so that nothing is sent and nothing fails; the number is not shown."""
    (tmp_path / "a.csv").write_text(text)
    file = FileAudience(tmp_path / "a.csv")
    list(require_numbers(Classifier().classify(file), file, warn=True))
    assert len(caplog.messages) == len(said)
    assert all(part in message for part, message in zip(said, caplog.messages, strict=True))
    assert A not in caplog.text
    assert B not in caplog.text


def test_less_than_half_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """With counts and shapes; where somebody else says so it is none."""
    rows = [A, "9.9", "12.50", B, "19.9"]
    assert read(*rows, warn=False) == rows
    assert not caplog.records
    assert read(*rows) == rows
    assert caplog.messages == [
        "mobiles: 3 of 5 rows are no mobile numbers, such as '9.9', '99.99', '99.9' (9 stands for a digit, x for a letter)."
    ]
    assert caplog.records[0].levelname == "WARNING"
