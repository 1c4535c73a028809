"""The page's words: the same in both languages, all of them used, and one for whatever the server names."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeGuard, get_args

import pytest

from airflow_provider_caixin import vocabulary
from airflow_provider_caixin.audience.prefixes import Carrier
from airflow_provider_caixin.juhe.codes import CODES
from airflow_provider_caixin.page.problems import Kind
from airflow_provider_caixin.vocabulary import SkipReason, State, Status

PACKAGE = Path(__file__).parents[3] / "airflow_provider_caixin"
STATIC = PACKAGE / "page" / "static"
SHARED = STATIC / "shared"
SCRIPTS = "\n".join(
    path.read_text(encoding="utf-8") for folder in (STATIC, SHARED) for path in sorted(folder.glob("*.js"))
)

PLACE = re.compile(r"\{(\w+)\}")


def words(language: Literal["en", "zh"]) -> dict[str, Any]:
    """Return the page's words of a language: its own, and those of the vocabulary, which its server gives."""
    own: dict[str, Any] = json.loads((STATIC / f"words.{language}.json").read_text(encoding="utf-8"))
    given = vocabulary.words(language)
    assert own.keys() & given.keys() == set()
    return own | given


EN, ZH = words("en"), words("zh")


def places(word: str | dict[str, str]) -> set[str]:
    """Give what is filled in, in any form of a word."""
    return set(PLACE.findall(" ".join(word.values()) if isinstance(word, dict) else word))


def test_both_languages_have_the_same_keys_in_the_same_order() -> None:
    """What is said in one is said in the other."""
    assert list(EN) == list(ZH)


@pytest.mark.parametrize("key", EN)
def test_both_languages_fill_in_the_same(key: str) -> None:
    """No sentence loses a figure, and both have forms for numbers or neither."""
    assert places(EN[key]) == places(ZH[key])
    assert isinstance(EN[key], dict) == isinstance(ZH[key], dict)
    if isinstance(EN[key], dict):
        assert (set(EN[key]), set(ZH[key])) == ({"one", "other"}, {"other"})
    assert "" not in (EN[key], ZH[key])


def test_chinese_is_chinese() -> None:
    """No word was forgotten; names stay as they are."""
    same = {key for key in EN if EN[key] == ZH[key]}
    assert same <= {"by.dag"}
    untold = [key for key in ZH if not re.search(r"[\u4e00-\u9fff]", json.dumps(ZH[key], ensure_ascii=False))]
    assert set(untold) <= {"by.dag", "of", "templates.shown"} | same


def test_each_word_is_used_and_each_that_is_used_is_there() -> None:
    """A key stands in the scripts as it is, or as a beginning that is completed there."""
    stems = set(re.findall(r"t\(`([\w.]+\.)\$\{", SCRIPTS))
    stems |= {f"{group}." for group in re.findall(r"\bword\(\"([\w.]+)\"", SCRIPTS)}
    unused = [
        key for key in EN if f'"{key}"' not in SCRIPTS and not any(key.startswith(stem) for stem in stems)
    ]
    assert unused == []
    asked = set(re.findall(r"\bt\(\s*\"([\w.]+)\"", SCRIPTS))
    asked |= {
        key
        for condition in re.findall(r"\bt\([^\"`()]*\?([^,)]*)", SCRIPTS)
        for key in re.findall(r"\"([\w.]+)\"", condition)
    }
    assert asked
    assert asked - set(EN) == set()


def test_there_is_a_word_for_what_the_server_names() -> None:
    """States, reasons, statuses, carriers and kinds of problems."""
    named = [
        *(f"state.{state}" for state in State),
        *(f"status.{status}" for status in Status),
        *(f"{group}.{reason}" for group in ("reason", "why") for reason in SkipReason),
        *(f"carrier.{carrier}" for carrier in get_args(Carrier)),
        *(f"kind.{kind}" for kind in get_args(Kind)),
    ]
    assert set(named) - set(EN) == set()


def test_each_code_is_explained_in_chinese() -> None:
    """The gateway's table has cause and remedy in English; the Chinese is complete and holds nothing else."""
    explained = json.loads((STATIC / "codes.zh.json").read_text(encoding="utf-8"))
    assert {int(code) for code in explained} == set(CODES)
    for entry in explained.values():
        assert set(entry) == {"cause", "remedy"}
        assert all(re.search(r"[\u4e00-\u9fff]", text) for text in entry.values())


def is_demand(node: ast.AST) -> TypeGuard[ast.Call]:
    """Tell whether a right is asked for here."""
    return isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "demand"


def sentences() -> Iterator[str]:
    """Give the server's sentences, as far as they stand in its code, with {} for what is filled in."""
    for path in (*(PACKAGE / "page").rglob("*.py"), PACKAGE / "session" / "rules.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Problem":
                given = node.args[2]
            elif is_demand(node):
                given = node.args[1]
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "loosened.append":
                given = node.args[0]
            elif isinstance(node, ast.Yield) and path.name == "rules.py" and node.value is not None:
                given = node.value
            else:
                continue
            text = plain(given)
            if text is not None:
                yield f"You may not {text}." if is_demand(node) else text


def plain(node: ast.expr) -> str | None:
    """Give a string as it stands; None: it is not written there."""
    if isinstance(node, ast.JoinedStr):
        # Where something was given is "in this Dag" or "in this command".
        return "".join(
            str(part.value)
            if isinstance(part, ast.Constant)
            else "in this {}"
            if getattr(getattr(part, "value", None), "id", "") == "where"
            else "{}"
            for part in node.values
        )
    return str(node.value) if isinstance(node, ast.Constant) else None


def test_what_the_server_says_is_said_in_chinese() -> None:
    """Each sentence of its code has a translation, which fills in nothing else."""
    told = json.loads((STATIC / "sentences.zh.json").read_text(encoding="utf-8"))
    patterns = [re.compile(PLACE.sub(".+", re.sub(r"[.*+?^$()|]", r"\\\g<0>", one))) for one in told]
    found = list(sentences())
    assert len(found) > 15
    assert [one for one in found if not any(pattern.fullmatch(one) for pattern in patterns)] == []
    for sentence, translation in told.items():
        assert places(translation) <= places(sentence)
        assert re.search(r"[\u4e00-\u9fff]", translation)


def test_nothing_is_rendered_as_markup_and_nothing_comes_from_elsewhere() -> None:
    """What others wrote stays text; scripts, styles and words are the page's own."""
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert way not in SCRIPTS
    assert "dangerously" not in SCRIPTS
    own = [
        path for path in (*STATIC.glob("*.*"), *SHARED.glob("*.*")) if path.suffix in (".js", ".css", ".html")
    ]
    for path in own:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"https?://", text), path.name
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script>|<style|\son\w+=|\sstyle=", page)


def test_vendored_libraries_have_version_and_licence() -> None:
    """Each is named in the folder's README with its version and has its licence beside it."""
    vendor = SHARED / "vendor"
    told = (vendor / "README.md").read_text(encoding="utf-8")
    for path in vendor.iterdir():
        if path.suffix in (".js", ".css"):
            row = re.search(rf"\| {re.escape(path.name)} \|.*\| \d+\.\d+\.\d+ \|.*?(\w+\.LICENSE)", told)
            assert row, path.name
            assert (vendor / row[1]).is_file()
