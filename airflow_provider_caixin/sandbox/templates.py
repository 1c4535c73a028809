"""The sandbox's built-in templates, one for each thing that a client has to deal with."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

HINT = "拒收请回复R"
"""What a marketing message has to end with, so that its reader knows how to refuse the next one."""


@dataclass(frozen=True, slots=True)
class SandboxTemplate:
    """A template as the sandbox keeps it.

    :param content: signature in 【】 and text.
    :param media: file under ``/media``.
    :param available: whether it may be sent now.
    :param created_at: China time without a zone, as the gateway writes it.
    :param available_from: Unix time in seconds from which on it is available although ``available`` is False.
    :param broken: listed as available, but a send is answered 236304 (此模板配置异常).
    """

    tpl_id: int
    content: str
    media: str
    available: bool
    created_at: str
    available_from: float | None = None
    broken: bool = False

    def is_available(self) -> bool:
        """Return whether a send with this template is accepted now, 236304 aside."""
        return self.available or (self.available_from is not None and time.time() >= self.available_from)

    def as_listed(self, base_url: str) -> dict[str, object]:
        """Return the item of ``myTpls``, with the fields of the document in its order.

        :param base_url: this sandbox's address, without a slash at the end.
        """
        return {
            "tplId": self.tpl_id,
            "url": f"{base_url}/media/{self.media}",
            "content": self.content,
            "tpl_state": int(self.is_available()),
            "created_at": self.created_at,
        }


_BUILT_IN = (
    SandboxTemplate(
        65535,
        f"【晨山书店】会员日：全场图书八五折，凭此短信到店再领书签一枚。{HINT}",
        "sunrise.mp4",
        True,
        "2021-05-19 18:09:15",
    ),
    SandboxTemplate(
        65536,
        f"【晨山书店】你好，新一期读书会周六下午开始。{HINT}",
        "hills.jpeg",
        True,
        "2021-05-21 10:19:13",
    ),
    SandboxTemplate(
        65537, f"【晨山书店】去年的活动，模板已停用。{HINT}", "hills.jpeg", False, "2020-11-02 09:00:00"
    ),
    SandboxTemplate(
        65538, f"【晨山书店】新模板，等待审核。{HINT}", "sunrise.mp4", False, "2025-02-23 00:06:00"
    ),
    SandboxTemplate(
        65539, "【晨山书店】您预订的图书已到店，请在七日内领取。", "hills.jpeg", True, "2024-03-08 14:30:00"
    ),
    SandboxTemplate(
        65540,
        "【晨山书店】尊敬的会员：入秋以来，我们新到图书三百余种，涵盖文学、历史、艺术与少儿读物；每周六下午三点在二楼举办读书会，"
        "本月邀请四位作者与读者见面，到场者均可获赠签名藏书票一枚。会员积分将于十二月三十一日清零，可在任一门店兑换图书或文具，"
        "也可捐赠给山区小学的阅览室，每一百积分捐出一本新书。门店营业时间为上午九点至晚上九点，节假日不休；如需送书上门，"
        f"请在小程序中下单，同城当日送达。期待与您在书页间相见，祝您阅读愉快。{HINT}",
        "hills.jpeg",
        True,
        "2024-09-10 08:00:00",
    ),
    SandboxTemplate(
        65541, f"【晨山书店】素材缺失的模板。{HINT}", "missing.mp4", True, "2023-06-01 12:00:00", broken=True
    ),
)

AWAITING_REVIEW = 65538
"""The template that is unavailable at first and becomes available on request or after a time."""


class Templates:
    """The templates of one sandbox.

    :param available_after: seconds from now after which ``AWAITING_REVIEW`` becomes available; None: only on
        request.
    """

    def __init__(self, available_after: float | None = None) -> None:
        self._available_after = available_after
        self.reset()

    def reset(self) -> None:
        """Go back to the built-in templates; the time of ``available_after`` starts anew."""
        self._by_id = {template.tpl_id: template for template in _BUILT_IN}
        if self._available_after is not None:
            self.change(AWAITING_REVIEW, available=False, available_in=self._available_after)

    def get(self, tpl_id: int) -> SandboxTemplate | None:
        """Return the template, None where there is none of this id."""
        return self._by_id.get(tpl_id)

    def change(
        self, tpl_id: int, *, available: bool, available_in: float | None = None
    ) -> SandboxTemplate | None:
        """Make a template available or unavailable, and return it; None where there is none of this id.

        :param available_in: seconds after which it becomes available; None: never by itself.
        """
        if tpl_id not in self._by_id:
            return None
        moment = None if available_in is None else time.time() + available_in
        changed = replace(self._by_id[tpl_id], available=available, available_from=moment)
        self._by_id[tpl_id] = changed
        return changed

    def listed(self, base_url: str) -> list[dict[str, object]]:
        """Return what ``myTpls`` answers as ``result``."""
        return [template.as_listed(base_url) for template in self._by_id.values()]
