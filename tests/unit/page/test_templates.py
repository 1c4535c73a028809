"""A template in the page's shape."""

from __future__ import annotations

import pytest

from airflow_provider_caixin.juhe import Template
from airflow_provider_caixin.page.templates import shown_template


@pytest.mark.parametrize(
    ("url", "kind", "shown"),
    [
        ("http://media.test/a.MP4?x=1", "video", "http://media.test/a.MP4?x=1"),
        ("https://media.test/a.jpeg", "picture", "https://media.test/a.jpeg"),
        ("https://media.test/a.txt", "other", "https://media.test/a.txt"),
        ("javascript:alert(1)//a.mp4", "other", None),
        ("", "other", None),
    ],
)
def test_its_media(url: str, kind: str, shown: str | None) -> None:
    """Only an address that a browser may load, and what is behind it by its name."""
    found = shown_template(Template(1, "【店】 好消息", url, available=True, created_at=None))
    assert (found["kind"], found["url"]) == (kind, shown)


def test_its_text() -> None:
    """The signature stands apart, once."""
    found = shown_template(Template(1, "【店】好消息【节】 退订回T", "", available=False, created_at=None))
    assert (found["signature"], found["text"]) == ("店", "好消息【节】 退订回T")
    assert (found["available"], found["created_at"]) == (False, None)
