"""A template: what the gateway has approved to be sent."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Template"]

_SIGNATURE = re.compile(r"【([^】]*)】")
# In words (拒收请回复R, 退订回T, 回TD退订), or as the bare code that is well known (回T, 回复TD).
_OPT_OUT = re.compile(
    r"退订|拒收|退阅|拒绝接收|不再接收|取消(订阅|接收)|回复?\s*[\"'“‘「]?\s*(TD|[TRNQ])(?![A-Z0-9])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Template:
    """One row of ``myTpls``.

    :param tpl_id: the gateway's ``tplId``.
    :param content: the 【signature】 and the text; the gateway's document calls both together the signature.
    :param url: where the video or picture lies.
    :param available: whether it can be sent (``tpl_state`` 1); a withdrawn template stays listed.
    :param created_at: when it was made, in Asia/Shanghai; None where the gateway gave no readable time.
    """

    tpl_id: int
    content: str
    url: str
    available: bool
    created_at: datetime | None

    @property
    def signature(self) -> str:
        """The text in the first 【】 of the content, without the brackets; empty if there is none."""
        found = _SIGNATURE.search(self.content)
        return found[1] if found else ""

    @property
    def media_url(self) -> str:
        """The address at which a browser may show the media; empty if ``url`` is no such address.

        What the gateway answers is text of strangers, so it is not trusted to be one.
        """
        url = self.url.strip()
        try:
            parts = urlsplit(url)
            offered = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
        except ValueError:
            return ""
        return url if offered and url.isprintable() and " " not in url else ""

    @property
    def names_opt_out(self) -> bool:
        """Whether the text tells how to refuse further messages, which marketing has to (退订, 拒收)."""
        return _OPT_OUT.search(unicodedata.normalize("NFKC", self.content)) is not None

    def as_dict(self) -> dict[str, Any]:
        """Return the template with JSON's types only; ``created_at`` is ISO 8601 with +08:00, or None."""
        return {
            "tpl_id": self.tpl_id,
            "content": self.content,
            "url": self.url,
            "available": self.available,
            "created_at": self.created_at.isoformat() if self.created_at else None,
        }
