from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_caixin.juhe.envelope import Envelope, integer, printable

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
LIKE_ENVELOPES = st.fixed_dictionaries(
    {}, optional={"error_code": JSON, "reason": JSON, "result": JSON, "resultcode": JSON}
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_it_reads_the_encodings_of_the_country(encoding: str) -> None:
    """UTF-8 with and without a byte order mark and GB18030 give the same text."""
    text = '{"reason":"网络繁忙，请稍后重试","result":null,"error_code":236300}'
    assert Envelope.parse(text.encode(encoding)) == Envelope(236300, "网络繁忙，请稍后重试", None)


def test_it_reads_gb18030_with_a_byte_order_mark() -> None:
    """A byte order mark in GB18030 is left out too."""
    body = '\ufeff{"reason":"成功","error_code":0}'.encode("gb18030")
    assert Envelope.parse(body) == Envelope(0, "成功", None)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (0, 0),
        ("0", 0),
        (" 0 ", 0),
        ("236306", 236306),
        (236306, 236306),
        ("00", 0),
        (-1, -1),
        (2**31 - 1, 2**31 - 1),
    ],
    ids=repr,
)
def test_a_code_is_an_int_or_digits(value: object, code: int) -> None:
    """The document says int, other products of the gateway send digits."""
    envelope = Envelope.parse(json.dumps({"error_code": value}).encode())
    assert envelope is not None
    assert envelope.code == code


@pytest.mark.parametrize(
    "value",
    [True, False, None, 0.0, "", " ", "zero", "0x0", "+0", "1_0", "０", [], [0], {}, 2**31, "9" * 20],
)
def test_what_is_no_code_makes_no_envelope(value: object) -> None:
    """Nothing but an int or ASCII digits counts: a wrong 0 would be a message that nobody was billed for."""
    assert Envelope.parse(json.dumps({"error_code": value}).encode()) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"0",
        b'"0"',
        b"[]",
        b'[{"error_code":0}]',
        b"{}",
        b'{"resultcode":"112","reason":"x","result":null}',
        b'{"error_code":0',
        b'{"error_code":0} trailing',
        b"<html><body>502 Bad Gateway</body></html>",
        b"\xff\xfe\x00",
        b"[" * 60000,
        b'{"error_code":' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_envelope(body: bytes) -> None:
    """Only one whole JSON object with an error_code is an envelope; a legacy resultcode alone is none."""
    assert Envelope.parse(body) is None


@pytest.mark.parametrize(
    ("result", "sid"),
    [
        ({"sid": "5dadab2bc3b5bfb435608c6b5"}, "5dadab2bc3b5bfb435608c6b5"),
        ({"sid": 2029865577}, "2029865577"),
        ({"sid": 1720612132040477500}, "1720612132040477500"),
        ({"sid": 0}, "0"),
        ({"sid": None}, ""),
        ({"sid": True}, ""),
        ({"sid": []}, ""),
        ({}, ""),
        (None, ""),
        ([], ""),
        ("5dadab2bc3b5bfb435608c6b5", ""),
        ({"sid": "a\x00b\ud800\n"}, "a b"),
        ({"sid": "a" * 5000}, "a" * 200),
    ],
)
def test_a_sid_is_text_whatever_it_was(result: object, sid: str) -> None:
    """An int, a string or nothing: the sid is always text that a log and a database can hold."""
    assert Envelope(0, "", result).sid == sid


@pytest.mark.parametrize("reason", [None, 5, [], {"a": 1}])
def test_a_reason_that_is_no_text_is_none(reason: object) -> None:
    """A reason of another type is left out."""
    envelope = Envelope.parse(json.dumps({"error_code": 1, "reason": reason}).encode())
    assert envelope is not None
    assert envelope.reason == ""


@settings(deadline=None)
@given(
    st.binary()
    | JSON.map(lambda value: json.dumps(value).encode())
    | LIKE_ENVELOPES.map(lambda value: json.dumps(value).encode())
)
@example(b'{"error_code":0,"result":{"sid":"\\ud800"}}')
def test_garbage_is_read_without_an_error(body: bytes) -> None:
    """Whatever comes in is an envelope with usable parts or none at all."""
    envelope = Envelope.parse(body)
    if envelope is not None:
        assert integer(json.loads(body.decode("utf-8"))["error_code"]) == envelope.code
        assert envelope.sid.encode().decode().isprintable()


@settings(deadline=None)
@given(st.text())
def test_printable_text_is_fit_for_a_line(text: str) -> None:
    """No control character, lone surrogate or line break is left, and no more than 200 characters."""
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown.encode()) <= 4 * len(shown) <= 800
