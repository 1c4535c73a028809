from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_caixin.juhe import Template

MADE = datetime(2021, 5, 19, 18, 9, 15, tzinfo=ZoneInfo("Asia/Shanghai"))


def _template(content: str, created_at: datetime | None = MADE) -> Template:
    return Template(65535, content, "https://example.com/a.mp4", available=True, created_at=created_at)


@pytest.mark.parametrize(
    ("content", "signature"),
    [
        ("【聚合数据】测试模板内容", "聚合数据"),
        ("你好【聚合数据】再见【别的】", "聚合数据"),
        ("没有签名", ""),
        ("【没有结尾", ""),
        ("", ""),
    ],
)
def test_the_signature_is_what_stands_in_the_first_brackets(content: str, signature: str) -> None:
    """The signature is the text in 【】, and empty where there is none."""
    assert _template(content).signature == signature


def test_a_template_becomes_json() -> None:
    """An XCom can hold a template; its time keeps the zone."""
    assert json.loads(json.dumps(_template("【a】b").as_dict())) == {
        "tpl_id": 65535,
        "content": "【a】b",
        "url": "https://example.com/a.mp4",
        "available": True,
        "created_at": "2021-05-19T18:09:15+08:00",
    }


def test_an_unknown_time_stays_unknown() -> None:
    """A template without a readable time has None for it."""
    assert _template("", None).as_dict()["created_at"] is None


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//host/x",
        "http:///x",
        "/media/x.mp4",
        "http://user:secret@host/x.mp4",
        "https://host/x y",
        "https://host/x\ny",
        "http://[/x",
        "",
    ],
)
def test_addresses_that_are_not_offered(url: str) -> None:
    """Only whole http and https addresses without a password in them."""
    assert replace(_template(""), url=url).media_url == ""
    good = "HTTPS://v.juhe.cn/a.mp4?x=1"
    assert replace(_template(""), url=f" {good}\n").media_url == good
