from __future__ import annotations

import dataclasses

import pytest

from airflow_provider_caixin.juhe import CODES, Kind, describe

# The gateway's document of 2025-02-23: code, text, legacy resultcode.
DOCUMENT = [
    (236300, "网络繁忙，请稍后重试", None, Kind.BUSY),
    (236301, "模板id格式错误", None, Kind.FATAL),
    (236302, "不存在的模板", None, Kind.FATAL),
    (236303, "模板无效", None, Kind.FATAL),
    (236304, "此模板配置异常", None, Kind.FATAL),
    (236305, "通道异常", None, Kind.BUSY),
    (236306, "手机号错误", None, Kind.RECIPIENT),
    (236307, "扩展码格式错误", None, Kind.FATAL),
    (236308, "数据异常, 请联系客服", None, Kind.REJECTED),
    (236309, "渠道错误, 具体看返回", None, Kind.REJECTED),
    (10001, "错误的请求KEY", 101, Kind.FATAL),
    (10002, "该KEY无请求权限", 102, Kind.FATAL),
    (10003, "KEY过期", 103, Kind.FATAL),
    (10004, "错误的OPENID", 104, Kind.FATAL),
    (10005, "应用未审核超时, 请提交认证", 105, Kind.FATAL),
    (10007, "未知的请求源", 107, Kind.FATAL),
    (10008, "被禁止的IP", 108, Kind.FATAL),
    (10009, "被禁止的KEY", 109, Kind.FATAL),
    (10011, "当前IP请求超过限制", 111, Kind.RATE),
    (10012, "请求超过次数限制", 112, Kind.QUOTA),
    (10013, "测试KEY超过请求限制", 113, Kind.FATAL),
    (
        10014,
        "系统内部异常(调用充值类业务时, 请务必联系客服或通过订单查询接口检测订单, 避免造成损失)",
        114,
        Kind.UNKNOWN,
    ),
    (10020, "接口维护", 120, Kind.MAINTENANCE),
    (10021, "接口停用", 121, Kind.FATAL),
]


def test_the_table_is_the_document() -> None:
    """The table has the document's codes, letter for letter, and 0; each with the kind of the design."""
    table = [
        (entry.code, entry.zh, entry.legacy, entry.kind)
        for entry in CODES.values()
        if entry.kind is not Kind.OK
    ]
    assert table == DOCUMENT
    assert CODES[0].kind is Kind.OK
    assert len(CODES) == len(DOCUMENT) + 1


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_says_what_to_do(code: int) -> None:
    """Each entry stands under its own number and has a name, a cause and a remedy in English."""
    entry = CODES[code]
    assert entry.code == code
    assert entry.en.isascii()
    for sentence in (entry.cause, entry.remedy):
        assert sentence.isascii()
        assert sentence.endswith(".")


def test_the_forbidden_address_names_the_whitelist() -> None:
    """10008 tells the user at the keyboard about the whitelist."""
    assert "This host's IP must be added to the whitelist in the Juhe console" in CODES[10008].remedy


@pytest.mark.parametrize("code", [1, -1, 236310, 10006, 10010, 99999])
def test_a_code_outside_the_document_is_a_refusal(code: int) -> None:
    """By the document only 0 is billed, so an unlisted code is a refusal that keeps its number."""
    entry = describe(code)
    assert (entry.code, entry.kind, entry.legacy) == (code, Kind.REJECTED, None)
    assert code not in CODES


def test_the_table_cannot_be_changed() -> None:
    """Neither the table nor an entry of it can be changed by those who share it."""
    with pytest.raises(TypeError):
        CODES[1] = CODES[0]  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        CODES[0].en = "else"  # type: ignore[misc]
