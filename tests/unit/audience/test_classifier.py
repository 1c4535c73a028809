from __future__ import annotations

from array import array
from itertools import islice, repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_caixin.audience import Classifier, Segments, normalise
from tests.unit.audience.kinds import KINDS, OTHER, VIRTUAL, VIRTUAL_ELSEWHERE

NUMBERS = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)


@pytest.fixture(scope="module")
def default() -> Classifier:
    """Return the classifier of the design's default rules."""
    return Classifier(blocked_regions=("北京", "沈阳"))


@pytest.mark.parametrize(
    ("others", "virtuals", "expected"),
    [
        (
            False,
            False,
            {VIRTUAL: "virtual_operator", VIRTUAL_ELSEWHERE: "not_china_mobile", OTHER: "not_china_mobile"},
        ),
        (True, False, {VIRTUAL: "virtual_operator", VIRTUAL_ELSEWHERE: "virtual_operator"}),
        (False, True, {VIRTUAL_ELSEWHERE: "not_china_mobile", OTHER: "not_china_mobile"}),
        (True, True, {}),
    ],
)
def test_carriers_pass_as_allowed(others: bool, virtuals: bool, expected: dict[str, str]) -> None:
    """Each prefix, at both its ends, gets the reason of its kind under each pair of permissions."""
    classifier = Classifier(allow_other_carriers=others, allow_virtual_operators=virtuals)
    for kind, prefix in KINDS:
        for end in "09":
            assert classifier.reason(prefix.ljust(11, end)) == expected.get(kind), prefix


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("13901000000", "blocked_region"),
        ("13904000000", "blocked_region"),
        ("13941300000", None),
        ("13800210000", None),
        ("13001000000", "not_china_mobile"),
        ("17051000000", "virtual_operator"),
    ],
)
def test_the_carrier_is_looked_at_before_the_region(
    default: Classifier, number: str, reason: str | None
) -> None:
    """北京 and 沈阳 are blocked, 抚顺 with the same area code is not; other carriers stay other carriers."""
    assert default.reason(number) == reason


def test_regions_hold_for_every_carrier_that_is_let_pass() -> None:
    """A number in 北京 is blocked whoever issued it."""
    lenient = Classifier(blocked_regions=["北京市"], allow_other_carriers=True, allow_virtual_operators=True)
    assert [
        lenient.reason(number) for number in ("13901000000", "13001000000", "17051000000", "17001000000")
    ] == ["blocked_region"] * 4


@settings(deadline=None)
@given(NUMBERS)
def test_the_table_agrees_with_the_segments(number: str) -> None:
    """With all carriers allowed a number is blocked just when its region is, and unknown when it has none."""
    classifier = _LENIENT
    region = Segments.builtin().region(number)
    assert classifier.reason(number) == ("blocked_region" if region and region[0] == "辽宁" else None)
    assert classifier.is_unknown(number) == (region is None)


_LENIENT = Classifier(blocked_regions=["辽宁省"], allow_other_carriers=True, allow_virtual_operators=True)


def test_unknown_segments_pass_and_are_counted() -> None:
    """Only numbers that pass for want of data count, and each of them."""
    codes = array("H", bytes(2 * 700_000))
    codes[1390000 - 1300000] = 1
    classifier = Classifier(blocked_regions=["北京"], segments=Segments("2602", [("北京", "北京")], codes))
    rows = ["13900000000", "13900010000", "13900010001", "13000000000", "x"]
    assert [reason for _, reason in classifier.classify(rows)] == [
        "blocked_region",
        None,
        None,
        "not_china_mobile",
        "invalid_number",
    ]
    assert classifier.unknown_segments == 2
    assert classifier.is_unknown("13900010000")
    assert not classifier.is_unknown("13900000000")
    assert not classifier.is_unknown("13000000000")


def test_rows_of_any_kind_are_classified(default: Classifier) -> None:
    """Good rows give the number, bad ones their text, cut to 64 characters and fit for any database."""
    rows = [
        "+86 139-0400-0000",
        13800210000,
        "1.38E+10",
        None,
        "字" * 100,
        "a\0\ud800b",
        10**5000,
        {"mobile": 1},
    ]
    assert list(default.classify(rows)) == [
        ("13904000000", "blocked_region"),
        ("13800210000", None),
        ("1.38E+10", "invalid_number"),
        ("", "invalid_number"),
        ("字" * 64, "invalid_number"),
        ("a\ufffd?b", "invalid_number"),
        ("int", "invalid_number"),
        ("{'mobile': 1}", "invalid_number"),
    ]


@settings(deadline=None)
@given(
    st.lists(
        st.text(max_size=20) | NUMBERS | st.integers() | st.floats() | st.none() | st.binary(max_size=20)
    )
)
def test_every_row_comes_out_once_and_in_order(rows: list[object]) -> None:
    """Garbage is never a number and no row is lost."""
    results = list(_LENIENT.classify(rows))
    assert len(results) == len(rows)
    for raw, (text, reason) in zip(rows, results, strict=True):
        assert (normalise(raw) is None) == (reason == "invalid_number")
        assert normalise(text) == normalise(raw)
        assert len(text) <= 64


@pytest.mark.parametrize(
    "raw", ["13800138000" + "\u200b" * 53 + "x", "13800138000\0", "138001380001" + "0" * 80]
)
def test_a_bad_row_never_passes_for_a_number(default: Classifier, raw: str) -> None:
    """What is kept of it, once cut and cleaned, is not the text of a number that might come later."""
    ((text, reason),) = default.classify([raw])
    assert reason == "invalid_number"
    assert normalise(text) is None
    assert len(text) <= 64


def test_rows_stream(default: Classifier) -> None:
    """An endless audience gives its first results."""
    assert list(islice(default.classify(repeat("13800210000")), 3)) == [("13800210000", None)] * 3


def test_the_fingerprint_tells_rules_apart() -> None:
    """Same rules give the same text however they are written; other rules or data give another."""
    same = [
        Classifier(blocked_regions=names).fingerprint
        for names in (["北京", "沈阳"], ["沈阳市", "北京市"], "北京，沈阳")
    ]
    builtin = Segments.builtin()
    others = [
        Classifier(),
        Classifier(blocked_regions=["北京"]),
        Classifier(allow_other_carriers=True),
        Classifier(allow_virtual_operators=True),
        Classifier(segments=Segments("2602", builtin.regions, builtin.codes)),
    ]
    assert len(set(same)) == 1
    assert len({*same, *(other.fingerprint for other in others)}) == 1 + len(others)
