from __future__ import annotations

import pickle

import pytest

from airflow_provider_caixin.juhe import (
    CODES,
    AccountRefused,
    CaixinError,
    ChannelBusy,
    GatewayError,
    Maintenance,
    NotPosted,
    NotReached,
    OutcomeUnknown,
    OutcomeUnknownCode,
    QuotaExceeded,
    RateLimited,
    RecipientRejected,
    WrongEndpoint,
)

CLASSES = {
    RecipientRejected: {236306, 236308, 236309, 424242},
    ChannelBusy: {236300, 236305},
    RateLimited: {10011},
    QuotaExceeded: {10012},
    Maintenance: {10020},
    OutcomeUnknownCode: {10014},
    AccountRefused: {
        *range(236301, 236305), 236307, *range(10001, 10006), *range(10007, 10010), 10013, 10021,
    },
}  # fmt: skip


def test_each_code_has_its_class() -> None:
    """Every code of the document, and an unlisted one, becomes the class that the design's table asks for."""
    made = {code: type(GatewayError.of(code, "")) for code in {*CODES, 424242} - {0}}
    assert made == {code: kind for kind, codes in CLASSES.items() for code in codes}


def test_an_internal_error_is_both_an_answer_and_an_unknown_outcome() -> None:
    """10014 is caught where unknown outcomes are, and still knows its code."""
    error = GatewayError.of(10014, "x")
    assert isinstance(error, OutcomeUnknown)
    assert isinstance(error, GatewayError)


@pytest.mark.parametrize("kind", [GatewayError, OutcomeUnknown, NotReached, WrongEndpoint, NotPosted])
def test_one_class_catches_all(kind: type[Exception]) -> None:
    """All of them are CaixinErrors."""
    assert issubclass(kind, CaixinError)


def test_the_text_holds_code_meaning_reason_and_remedy() -> None:
    """The sentence has all that a user needs, in both languages."""
    text = str(GatewayError.of(236303, "模板已撤回"))
    for part in ("236303", "模板无效", "template is not valid", "模板已撤回", CODES[236303].remedy):
        assert part in text


def test_a_reason_that_says_the_same_is_not_repeated() -> None:
    """The gateway's usual reason, its document's own text, appears once."""
    assert str(GatewayError.of(236306, "手机号错误")).count("手机号错误") == 1


def test_an_error_survives_pickling() -> None:
    """Airflow and multiprocessing pickle exceptions; code and reason come back."""
    error = pickle.loads(pickle.dumps(GatewayError.of(10012, "超过每日可允许请求次数!")))
    assert (type(error), error.code, error.reason) == (QuotaExceeded, 10012, "超过每日可允许请求次数!")
