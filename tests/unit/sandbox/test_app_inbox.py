"""The routes behind the inbox, its files, and what keeps strangers' pages away from them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from airflow_provider_caixin.juhe.codes import CODES
from airflow_provider_caixin.sandbox import MAGIC, magic_mobile
from airflow_provider_caixin.sandbox.app import STATIC

if TYPE_CHECKING:
    from tests.unit.sandbox.conftest import Caller

SCRIPTS = "\n".join(path.read_text(encoding="utf-8") for path in sorted(STATIC.glob("*.js")))


def _words(name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((STATIC / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _asked(caller: Caller, path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(caller.ask("GET", path)[2])
    return found


def test_the_page_loads_nothing_from_elsewhere(caller: Caller) -> None:
    """Page and files have their types, may not be framed or guessed, and bring no script but their own."""
    status, headers, body = caller.ask("GET", "/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    for name in re.findall(r'(?:src|href)="([^"#]+)"', body.decode()):
        assert caller.ask("GET", f"/{name}")[0] == 200
    policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert {policy[f"{kind}-src"] for kind in ("script", "style", "img", "media", "connect")} == {"'self'"}
    assert headers["x-content-type-options"] == "nosniff"
    for name in ("inbox.js", "shared/parts.js", "shared/vendor/preact.js"):
        assert "javascript" in caller.ask("GET", f"/static/{name}")[1]["content-type"]
    assert caller.ask("GET", "/static/../app.py")[0] == 404


def test_media_may_be_shown_by_other_pages(caller: Caller) -> None:
    """A page that lists templates shows them, wherever it is from; the type still is what it says."""
    headers = caller.ask("GET", "/media/hills.jpeg", headers={"host": "gateway.example"})[1]
    assert headers["x-content-type-options"] == "nosniff"
    assert "cross-origin-resource-policy" not in headers


def test_the_inbox_gives_the_newest_first(caller: Caller) -> None:
    """Pages, a search, and the sends to one number; a record that began anew has another name."""
    for number in range(3):
        caller.send(f"1391234567{number}")
    caller.send("13912345670")
    page = _asked(caller, "/_sandbox/inbox?limit=3")
    assert [row["mobile"] for row in page["messages"]] == ["13912345670", "13912345672", "13912345671"]
    rest = _asked(caller, f"/_sandbox/inbox?before={page['before']}")
    assert ([row["n"] for row in rest["messages"]], rest["before"]) == ([0], None)
    assert [row["n"] for row in _asked(caller, "/_sandbox/inbox?search=72")["messages"]] == [2]
    phone = _asked(caller, "/_sandbox/phone?mobile=13912345670")
    assert [(row["n"], row["bills"]) for row in phone["messages"]] == [(3, 2), (0, 2)]
    assert [row["n"] for row in _asked(caller, "/_sandbox/phone?mobile=13912345670&after=0")["messages"]] == [
        3
    ]
    caller.server.reset()
    empty = _asked(caller, "/_sandbox/inbox")
    assert (empty["messages"], empty["before"]) == ([], None)
    assert empty["record"] != page["record"] == rest["record"] == phone["record"]
    assert [caller.ask("GET", f"/_sandbox/inbox?{wrong}")[0] for wrong in ("limit=201", "before=-1")] == [
        422,
        422,
    ]


def test_codes_come_with_their_words_and_numbers(caller: Caller) -> None:
    """All of the document's codes are there; success has no magic number."""
    found = {entry["number"]: entry for entry in json.loads(caller.ask("GET", "/_sandbox/codes")[2])}
    assert found.keys() == CODES.keys()
    assert found[236306] == {
        "number": 236306,
        "zh": "手机号错误",
        "en": "wrong mobile number",
        "mobile": magic_mobile(236306),
        "mobile_first_try": magic_mobile(236306, tries=1),
    }
    assert found[0]["mobile"] is None


def test_both_languages_say_everything() -> None:
    """Every word has its Chinese, with the same gaps to fill, and so has every fault."""
    english, chinese = _words("words.en"), _words("words.zh")
    assert english["tab.switches"] == "Switches"
    assert english.keys() == chinese.keys()
    gaps = [
        {key: sorted(re.findall(r"\{\w+\}", text)) for key, text in words.items()}
        for words in (english, chinese)
    ]
    assert gaps[0] == gaps[1]
    said = {key for key, text in chinese.items() if re.search("[一-鿿]", text)}
    assert chinese.keys() - said == {"sid", "language"}
    assert {int(number) for number in _words("faults.zh")} == set(MAGIC)


def test_no_word_is_missing() -> None:
    """What the page asks to be said by its name is there."""
    words = _words("words.en").keys()
    asked = set(re.findall(r'\bt\(\s*"([\w.]+)"', SCRIPTS))
    assert len(asked) > 80
    assert asked - words == set()
