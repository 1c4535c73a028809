"""Templates as the page shows them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

from airflow_provider_caixin.juhe import Template

_KINDS: Final = {
    "video": frozenset({".3gp", ".m4v", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".webm"}),
    "picture": frozenset({".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"}),
}
_SIGNATURE: Final = re.compile(r"【[^】]*】")


def shown_template(template: Template) -> dict[str, Any]:
    """Return a template in the page's shape."""
    url = template.media_url or None
    suffix = PurePosixPath(urlsplit(url).path).suffix.lower() if url else ""
    return {
        "tpl_id": template.tpl_id,
        "signature": template.signature,
        "content": template.content,
        "text": _SIGNATURE.sub("", template.content, count=1).strip(),
        "url": url,
        "kind": next((kind for kind, suffixes in _KINDS.items() if suffix in suffixes), "other"),
        "available": template.available,
        "created_at": template.created_at.timestamp() if template.created_at else None,
    }
