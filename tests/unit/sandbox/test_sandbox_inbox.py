"""The routes behind the inbox, its files, and what keeps strangers' pages away from them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_caixin.juhe.codes import CODES
from airflow_provider_caixin.sandbox import MAGIC, SandboxServer, magic_mobile
from airflow_provider_caixin.sandbox.app import SHARED, STATIC

if TYPE_CHECKING:
    from tests.unit.sandbox.conftest import Caller

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
SCRIPTS = "\n".join(path.read_text(encoding="utf-8") for path in sorted(STATIC.glob("*.js")))


def _words(name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((STATIC / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _asked(caller: Caller, path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(caller.ask("GET", path)[2])
    return found


def test_the_page_loads_nothing_from_elsewhere(caller: Caller) -> None:
    """Page and files are there with their types, may not be framed or guessed, and bring no script but their own."""
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
    # Others are put together, as t(`count.${name}`), or stand in a list of names.
    begun = tuple(re.findall(r"\bt\(`([\w.]+\.)\$\{", SCRIPTS))
    listed = set(re.findall(r'"([\w.]+)"', SCRIPTS))
    assert {word for word in words - asked - listed if not word.startswith(begun)} <= {
        "over_rate_off",
        "outside_window_off",
    }


def test_the_inbox_loads_nothing_else_of_the_page() -> None:
    """Its scripts name files of their own and of the shared folder, and those name none of the page's."""
    for folder, inside in ((STATIC, r"\./(shared/)?[\w-]+\.js"), (SHARED, r"\./(vendor/)?[\w-]+\.js")):
        for path in folder.glob("*.js"):
            for name in re.findall(r'(?:from|import\()\s*"([^"]+)"', path.read_text(encoding="utf-8")):
                assert re.fullmatch(inside, name), (path.name, name)
                assert (folder / name).is_file() or (SHARED / name.removeprefix("./shared/")).is_file(), name


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://stranger.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["reset", "settings", "templates/65535"])
def test_another_sites_page_changes_nothing(
    caller: Caller, server: SandboxServer, headers: dict[str, str], path: str
) -> None:
    """What only a browser says of a page is believed: the sandbox has no password that such a page would lack."""
    caller.send()
    before = server.state()
    status, _, body = caller.ask("POST", f"/_sandbox/{path}", "{}", {**JSON, **headers})
    assert (status, "pages of other sites may not change the sandbox" in json.loads(body)["detail"]) == (
        403,
        True,
    )
    assert server.state() == before


def test_its_own_page_and_programs_change_things(caller: Caller, server: SandboxServer) -> None:
    """The inbox names its own origin; curl names none, and needs no type for a reset."""
    own = {"origin": server.url, "sec-fetch-site": "same-origin"}
    assert caller.ask("POST", "/_sandbox/settings", '{"quota": 3}', {**JSON, **own})[0] == 200
    assert server.state()["settings"]["quota"] == 3
    assert caller.ask("POST", "/_sandbox/reset")[0] == 200
    assert server.state()["settings"]["quota"] is None


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("stranger.example", 421),
        ("127.0.0.1.stranger.example:8088", 421),
        ("[::1", 421),
        ("localhost:8088", 200),
        ("127.0.0.1", 200),
        ("[::1]:8088", 200),
        ("sandbox:8088", 200),
        ("host.docker.internal:8088", 200),
    ],
)
def test_a_strangers_name_for_this_machine_is_refused(caller: Caller, host: str, status: int) -> None:
    """A name that a stranger let resolve to 127.0.0.1 would make the browser take his page for the sandbox's own."""
    assert caller.ask("GET", "/_sandbox/state", headers={"host": host})[0] == status
    assert caller.ask("GET", "/", headers={"host": host})[0] == status


def test_a_gateway_has_any_name(caller: Caller) -> None:
    """The gateway's own paths answer under whatever name a connection uses."""
    answer = caller.ask("POST", "/caixinv2/myTpls", "key=k", {"host": "v.juhe.cn", **FORM})
    assert json.loads(answer[2])["error_code"] == 0
