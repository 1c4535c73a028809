"""The words of the provider: states, skip reasons and statuses, each with what users read for it.

They stand here and nowhere else: the page gets them from its server, the command line offers them, the tables
of the documentation are made of them. A new skip reason is a member here and the rule that skips for it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal, Self


class _Word(StrEnum):
    """A word of the code and what users read for it.

    :param why_zh: the same as a sentence, where users ask for the reason.
    """

    _value_: str
    zh: str
    en: str
    why_zh: str
    why_en: str

    # Each member is written with its words; the defaults let type checkers take State("sent") for a look-up.
    def __new__(cls, value: str, zh: str = "", en: str = "", why_zh: str = "", why_en: str = "") -> Self:
        word = str.__new__(cls, value)
        word._value_, word.zh, word.en, word.why_zh, word.why_en = value, zh, en, why_zh, why_en
        return word


class State(_Word):
    """What became of a recipient. A recipient is in exactly one of these states."""

    PENDING = "pending", "待发送", "Pending"
    IN_FLIGHT = "in_flight", "发送中", "In flight"
    SENT = "sent", "提交成功（已计费）", "Sent (billed)"
    REJECTED = "rejected", "提交失败（未计费）", "Rejected (not billed)"
    UNKNOWN = "unknown", "结果待核实", "Unknown (may be billed)"
    SKIPPED = "skipped", "已过滤", "Skipped"


class SkipReason(_Word):
    """Why a recipient gets no message."""

    INVALID_NUMBER = (
        "invalid_number",
        "号码无效",
        "Not a number",
        "该行不是大陆手机号码。",
        "The row is no mainland mobile number.",
    )
    DUPLICATE = (
        "duplicate",
        "重复号码",
        "Duplicate",
        "该号码在人群中已出现过。",
        "The number was in the audience before.",
    )
    NOT_CHINA_MOBILE = (
        "not_china_mobile",
        "非中国移动号码",
        "Not China Mobile",
        "号码由其他运营商发放，网关只支持中国移动。",
        "Another network issued the number, and the gateway serves China Mobile alone.",
    )
    VIRTUAL_OPERATOR = (
        "virtual_operator",
        "虚拟运营商",
        "Virtual operator",
        "号码属于虚拟运营商。",
        "The number belongs to a virtual operator.",
    )
    BLOCKED_REGION = (
        "blocked_region",
        "屏蔽地区",
        "Blocked region",
        "号码归属地属于屏蔽地区。",
        "The number is from a region that gets nothing.",
    )
    SUPPRESSED = (
        "suppressed",
        "免打扰名单",
        "Suppressed",
        "该号码在免打扰名单中。",
        "The number is on the suppression list.",
    )
    FREQUENCY_CAP = (
        "frequency_cap",
        "频次限制",
        "Frequency cap",
        "该号码收到的短信已达频次限制。",
        "The recipient has had as many messages as the cap allows.",
    )
    OVER_BUDGET = (
        "over_budget",
        "超出预算",
        "Over budget",
        "已达到发送任务的 max_messages。",
        "The campaign's max_messages was reached.",
    )
    EXPIRED = (
        "expired",
        "已过期",
        "Expired",
        "在轮到该号码前，发送任务已到 expires_at。",
        "The campaign's expires_at came first.",
    )
    WINDOW_CLOSED = (
        "window_closed",
        "发送时段已结束",
        "Window closed",
        "发送时段已结束，且 outside_window 为 skip。",
        "The send window closed, and outside_window is skip.",
    )
    CANCELLED = (
        "cancelled",
        "已取消",
        "Cancelled",
        "发送任务已取消。",
        "The campaign was cancelled.",
    )

    @property
    def is_final(self) -> bool:
        """Whether no later run of the campaign looks at such a recipient again."""
        return self in (
            SkipReason.INVALID_NUMBER,
            SkipReason.DUPLICATE,
            SkipReason.EXPIRED,
            SkipReason.CANCELLED,
        )


#: As a set, in which any text can be looked for.
FINAL_REASONS: Final = frozenset(reason for reason in SkipReason if reason.is_final)


class Status(_Word):
    """Where a campaign stands."""

    #: A process reads an audience into it now, and none sends.
    LOADING = "loading", "载入人群", "Loading"
    RUNNING = "running", "发送中", "Running"
    PAUSED = "paused", "已暂停", "Paused"
    #: Somebody is left or was never loaded, and no process is at it now: the window is closed, a retry is
    #: due, or a task has failed.
    WAITING = "waiting", "等待中", "Waiting"
    #: Nobody is left; a next run may add recipients, or send to some whom a rule had skipped.
    DONE = "done", "已完成", "Done"
    CANCELLED = "cancelled", "已取消", "Cancelled"
    PURGED = "purged", "已清除", "Purged"


#: Where a campaign stands that may send to somebody yet.
UNFINISHED: Final = frozenset({Status.LOADING, Status.RUNNING, Status.PAUSED, Status.WAITING})

#: How much of a row that is no number is kept, in characters.
RAW_TEXT_LENGTH: Final = 64

#: What a recipient is called whom no rule held back: its campaign ended before its turn.
_NOT_SENT: Final = {"zh": "未发送", "en": "Not sent"}


def words(language: Literal["zh", "en"]) -> dict[str, str]:
    """Return all words of a language by the keys ``state.*``, ``status.*``, ``reason.*`` and ``why.*``."""
    kinds: dict[str, type[_Word]] = {"state": State, "status": Status, "reason": SkipReason}
    return {
        **{f"{kind}.{one}": getattr(one, language) for kind, words in kinds.items() for one in words},
        **{f"why.{reason}": getattr(reason, f"why_{language}") for reason in SkipReason},
        **{f"state.skipped.{reason}": _NOT_SENT[language] for reason in ("expired", "cancelled")},
    }
