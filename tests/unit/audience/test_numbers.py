from __future__ import annotations

import unicodedata
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_caixin.audience import mask, normalise, without_numbers

if TYPE_CHECKING:
    from random import Random

NUMBERS = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
# Digits in many scripts, prefixes, points, exponents and separators: what could be misread, close together.
CONFUSABLE = st.text(
    st.sampled_from("=0123456789013845678613800138001380130０１３８²③٣৩ +＋-.．eE\t'\"\ufeff\u200b()"),
    max_size=24,
)


@pytest.mark.parametrize(
    "raw",
    [
        "13800138000",
        "+8613800138000",
        "008613800138000",
        "8613800138000",
        "+86 138-0013-8000",
        "(+86) 138 0013 8000",
        "\t13800138000",
        "'13800138000",
        '"13800138000"',
        "\ufeff13800138000\r\n",
        "13800138000" + " " * 100,
        "\u202d138\u200b0013\u20118000\u202c",
        "１３８００１３８０００",
        "＋８６　１３８００１３８０００",
        "13800138000.0",
        "１３８００１３８０００．０",
        13800138000,
        8613800138000,
        13800138000.0,
        Decimal(13800138000),
        '="13800138000"',
        '"=""13800138000"""',
        '＝"+86 13800138000"',
        "=13800138000",
        b"13800138000",
        bytearray(b"+86 138 0013 8000\n"),
        memoryview(b"\xef\xbb\xbf13800138000"),
        b'="13800138000"',
    ],
    ids=lambda raw: ascii(raw) if type(raw) is not memoryview else "memoryview",
)
def test_the_spellings_of_a_number_are_read(raw: object) -> None:
    """Country codes, separators, full-width digits, a spreadsheet's .0 and formula, and bytes are read."""
    assert normalise(raw) == "13800138000"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        " ",
        "==13800138000",
        "13800138000=",
        '="1380013800"',
        b"",
        b"1380013800",
        "13800138000".encode("utf-16"),
        memoryview(b"\xff13800138000"),
        "1380013800",
        "138001380000",
        "12800138000",
        "23800138000",
        "013800138000",
        "+13800138000",
        "868613800138000",
        "+0086 13800138000",
        "1.38E+10",
        "1.38001E+10",
        "13800138000.5",
        "13800138000.00",
        "13800138000,13900139000",
        "13800138000 13900139000",
        "1380013\n8000",
        "1380013800²",
        "1380013800③",
        "١٣٨٠٠١٣٨٠٠٠",
        "13800138000" + "\u200b" * 100,
        -13800138000,
        13800138000.5,
        float("nan"),
        float("inf"),
        Decimal("1.38E+10"),
        pytest.param(10**5000, id="5001 digits"),
        True,
        None,
        ["13800138000"],
    ],
    ids=lambda raw: ascii(raw) if type(raw) is not memoryview else "memoryview",
)
def test_what_is_not_one_whole_number_is_refused(raw: object) -> None:
    """Lost digits, two numbers, notes beside a number, other countries and other types are no number."""
    assert normalise(raw) is None


@settings(deadline=None)
@given(CONFUSABLE | st.text(max_size=24))
def test_no_other_number_than_the_written_one_comes_out(raw: str) -> None:
    """The result's digits are the text's, less a leading 86 or 0086 and a trailing .0, and nothing else."""
    number = normalise(raw)
    if number is not None:
        assert number.isascii()
        assert number.isdigit()
        assert len(number) == 11
        written = [char for char in unicodedata.normalize("NFKC", raw) if char.isdigit() or char == "."]
        text = "".join(written)
        assert text.removesuffix(".0") in (number, f"86{number}", f"0086{number}")


@settings(deadline=None)
@given(
    NUMBERS,
    st.sampled_from(["", "+86", "0086", "86"]),
    st.lists(st.sampled_from(" -\t\u200b'\u2013"), max_size=20),
    st.randoms(),
)
def test_separators_anywhere_do_not_change_a_number(
    number: str, code: str, separators: list[str], random: Random
) -> None:
    """A number comes back whole however it is grouped."""
    text = list(code + number)
    for separator in separators:
        text.insert(random.randrange(len(text) + 1), separator)
    assert normalise("".join(text)) == number


@settings(deadline=None)
@given(NUMBERS)
def test_normalise_is_settled_after_one_pass(number: str) -> None:
    """Normalised numbers stay as they are, as text, int and float."""
    assert normalise(number) == normalise(int(number)) == normalise(float(number)) == number


def test_a_subclass_of_str_gives_a_plain_text() -> None:
    """What templating engines return as a text of their own does not travel on."""

    class Markup(str):
        __slots__ = ()

    assert type(normalise(Markup("13800138000"))) is str


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("13800138000", "138****8000"),
        ("1380013800", "***"),
        ("138001380001", "***"),
        ("１３８００１３８０００", "***"),
        ("+8613800138", "***"),
        ("", "***"),
    ],
)
def test_mask_shows_three_and_four_digits_of_a_number_only(number: str, shown: str) -> None:
    """Anything that is not an 11-digit number is hidden whole."""
    assert mask(number) == shown


@pytest.mark.parametrize(
    "spelled",
    [
        "13800138000",
        "138  0013  8000",
        "138 - 0013 - 8000",
        "138\u20130013\u20138000",
        "(138)00138000",
        "１３８－００１３－８０００",
        "138\u200b00138000",
        "138.0013.8000",
        "138/0013/8000",
    ],
)
def test_a_number_in_a_text_is_covered_however_it_is_spelled(spelled: str) -> None:
    """More than is read as a number; what has fewer digits stays."""
    covered = without_numbers(f"call {spelled}!")
    assert "8000" not in covered
    assert "８０００" not in covered
    assert covered.startswith("call ")
    assert without_numbers("error 10014 on 2026-11-26") == "error 10014 on 2026-11-26"
