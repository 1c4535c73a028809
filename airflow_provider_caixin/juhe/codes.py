"""The gateway's codes: every ``error_code`` of its document (version 2025-02-23) as one readable table.

``zh`` is the document's own text, letter for letter. ``kind`` says what a code means for a campaign
(docs: "What an answer means"); ``cause`` and ``remedy`` are for whoever has to do something about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

__all__ = ["CODES", "Code", "Kind", "describe"]


class Kind(StrEnum):
    """What a code means for the recipient and for the campaign."""

    OK = "ok"
    """Accepted and billed."""
    RECIPIENT = "recipient"
    """This number is wrong; the next one may be right."""
    REJECTED = "rejected"
    """This message was refused for a reason of its own; too many in a row mean a bad channel."""
    BUSY = "busy"
    """The channel cannot take it now; the same message may pass seconds later."""
    RATE = "rate"
    """Too many requests from this IP address; slower ones pass."""
    QUOTA = "quota"
    """The account's allowance is used up, as a rule until the next day."""
    MAINTENANCE = "maintenance"
    """The interface is closed for a while."""
    UNKNOWN = "unknown"
    """The message may have been sent and billed; only customer service can tell."""
    FATAL = "fatal"
    """No message can pass before someone has changed something."""


@dataclass(frozen=True, slots=True)
class Code:
    """One code of the gateway.

    :param code: the ``error_code``.
    :param legacy: the ``resultcode`` that older products send beside it, or None.
    :param zh: the document's text.
    :param en: the same in English.
    :param kind: what it means for a campaign.
    :param cause: why the gateway says so, as far as the document and practice tell.
    :param remedy: what to do about it.
    """

    code: int
    legacy: int | None
    zh: str
    en: str
    kind: Kind
    cause: str
    remedy: str


_SERVICE = "Tell Juhe's customer service"

_TABLE = (
    # ---- accepted ------------------------------------------------------------------------------------
    Code(
        0, None, "success", "accepted and billed", Kind.OK,
        "The gateway took the message; whether it was delivered it never tells.",
        "Nothing to do.",
    ),
    # ---- service codes -------------------------------------------------------------------------------
    Code(
        236300, None, "网络繁忙，请稍后重试", "network busy, try again later", Kind.BUSY,
        "The gateway or its channel is overloaded for the moment.",
        "Nothing at first: the message is tried again by itself. If it lasts, send more slowly or later.",
    ),
    Code(
        236301, None, "模板id格式错误", "template id is malformed", Kind.FATAL,
        "The tplId that was sent is not a number the gateway accepts.",
        "Set tpl_id to the whole number that customer service gave you with the template's approval.",
    ),
    Code(
        236302, None, "不存在的模板", "no such template", Kind.FATAL,
        "The account has no template of this id.",
        "Compare tpl_id with the list of my templates (myTpls), and make sure that the connection holds the AppKey "
        "of the account that owns the template.",
    ),
    Code(
        236303, None, "模板无效", "template is not valid", Kind.FATAL,
        "The template is not approved, or was withdrawn after its approval.",
        "Look at its state in the list of my templates; wait for the approval, or have customer service approve it "
        "anew, or use another template.",
    ),
    Code(
        236304, None, "此模板配置异常", "template is set up wrongly", Kind.FATAL,
        "The template exists, but the gateway's own settings for it are incomplete.",
        f"{_SERVICE} the template id and this code; only they can repair it.",
    ),
    Code(
        236305, None, "通道异常", "channel failure", Kind.BUSY,
        "The carrier's channel behind the gateway failed.",
        "Nothing at first: the message is tried again by itself. If it lasts, tell customer service.",
    ),
    Code(
        236306, None, "手机号错误", "wrong mobile number", Kind.RECIPIENT,
        "The number is not one the channel can serve: mistyped, not in use, or not a China Mobile number.",
        "Correct or drop the number in the audience.",
    ),
    Code(
        236307, None, "扩展码格式错误", "extension code is malformed", Kind.FATAL,
        "The extension code set for the account or the template is wrong; a request cannot carry one.",
        f"{_SERVICE} the template id and this code; only they can repair it.",
    ),
    Code(
        236308, None, "数据异常, 请联系客服", "data problem, ask customer service", Kind.REJECTED,
        "The gateway could not process this message and gives no nearer reason.",
        f"{_SERVICE} the template id, the time and this code.",
    ),
    Code(
        236309, None, "渠道错误, 具体看返回", "channel error, see the reason returned", Kind.REJECTED,
        "The channel refused this message; the returned reason says why (hours, region, frequency or volume are "
        "possible: the gateway has no codes of their own for them).",
        "Read the reason; if it names no rule that you can keep, tell customer service.",
    ),
    # ---- system codes --------------------------------------------------------------------------------
    Code(
        10001, 101, "错误的请求KEY", "wrong AppKey", Kind.FATAL,
        "The gateway does not know this AppKey.",
        "Copy the AppKey of the video SMS interface from the Juhe console into the connection's password.",
    ),
    Code(
        10002, 102, "该KEY无请求权限", "the AppKey may not use this interface", Kind.FATAL,
        "The AppKey belongs to another of Juhe's interfaces, or video SMS was not granted to the account.",
        "Use the AppKey of the video SMS interface, or apply for it in the Juhe console.",
    ),
    Code(
        10003, 103, "KEY过期", "the AppKey has expired", Kind.FATAL,
        "The AppKey's term is over.",
        "Renew it in the Juhe console, or put the new AppKey into the connection's password.",
    ),
    Code(
        10004, 104, "错误的OPENID", "wrong OPENID", Kind.FATAL,
        "The account that the AppKey belongs to is not recognised.",
        "Compare the AppKey with the one in the Juhe console; if it is right, tell customer service.",
    ),
    Code(
        10005, 105, "应用未审核超时, 请提交认证", "the application was not verified in time", Kind.FATAL,
        "The account's verification is missing or overdue.",
        "Hand in the verification in the Juhe console and wait for its approval.",
    ),
    Code(
        10007, 107, "未知的请求源", "unknown source of the request", Kind.FATAL,
        "The gateway does not accept requests from where this one came.",
        "Look at the allowed sources in the Juhe console, and at any proxy between this host and the gateway.",
    ),
    Code(
        10008, 108, "被禁止的IP", "this IP address is forbidden", Kind.FATAL,
        "The account has an IP whitelist and this host's address is not on it, or the address was blocked.",
        "This host's IP must be added to the whitelist in the Juhe console: the public address that it (or its "
        "proxy) shows to the outside, for every host that sends.",
    ),
    Code(
        10009, 109, "被禁止的KEY", "this AppKey is forbidden", Kind.FATAL,
        "Juhe has blocked the AppKey.",
        "Ask customer service why; do not send again before it is settled.",
    ),
    Code(
        10011, 111, "当前IP请求超过限制", "too many requests from this IP address", Kind.RATE,
        "More requests came from this address than the gateway allows, perhaps from other programs too.",
        "Nothing at first: sending slows down by itself. If it lasts, lower messages_per_second, and look for other "
        "programs that use the gateway from this address.",
    ),
    Code(
        10012, 112, "请求超过次数限制", "the allowed number of requests is used up", Kind.QUOTA,
        "The account's quota, as a rule that of the day, is used up.",
        "Buy more or raise the limit in the Juhe console, or wait for the next day; max_per_day keeps below it.",
    ),
    Code(
        10013, 113, "测试KEY超过请求限制", "the test AppKey's allowance is used up", Kind.FATAL,
        "The AppKey is a test key and its few requests are spent.",
        "Put the AppKey of a paid account into the connection's password.",
    ),
    Code(
        10014, 114,
        "系统内部异常(调用充值类业务时, 请务必联系客服或通过订单查询接口检测订单, 避免造成损失)",
        "internal error (for services that cost money ask customer service what became of the order)", Kind.UNKNOWN,
        "The gateway failed while it worked on the message, which may have been sent and billed all the same.",
        "Do not send it again before customer service, or the bill, has told what became of it.",
    ),
    Code(
        10020, 120, "接口维护", "the interface is under maintenance", Kind.MAINTENANCE,
        "Juhe works on the interface.",
        "Run again later; Juhe announces maintenance in its console.",
    ),
    Code(
        10021, 121, "接口停用", "the interface is switched off", Kind.FATAL,
        "Juhe no longer offers the interface, to this account or to anybody.",
        "Ask customer service what replaces it.",
    ),
)  # fmt: skip

CODES: Mapping[int, Code] = MappingProxyType({entry.code: entry for entry in _TABLE})
"""Every code of the document, and 0, by its number."""


def describe(code: int) -> Code:
    """Return what is known about a code.

    One that the document does not list is of kind ``REJECTED``: by the document only 0 is billed.
    """
    return CODES.get(code) or Code(
        code, None, "文档未列出的错误码", "a code that the gateway's document does not list", Kind.REJECTED,
        "The gateway's document (version 2025-02-23) does not list this code; the returned reason may explain it.",
        f"{_SERVICE} the code and the reason.",
    )  # fmt: skip
