"""Markdown has one sentence a line: a changed sentence is a changed line, and no sentence is too long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.docs.pages import PAGES, name_of, plain, prose

MOST_CHARACTERS: Final = 200

_ITEM: Final = re.compile(r"(?:[-*]|\d+\.) ")
# A list item's mark; words in bold behind it, or at the beginning of a line, are the line's heading.
_LEAD: Final = re.compile(r"(?:(?:[-*]|\d+\.) )?(?:\*\*[^*]+\*\* )?")
_END: Final = re.compile(r"[.:;!?。：；！？][)*_\"”）]*$")
_TWO_SENTENCES: Final = re.compile(r"[.!?][)*_\"”]* +[(*_\[\"“]*[A-Z]|[。！？](?![）”*]*$)")


def faults(text: str) -> Iterator[str]:
    """Yield what is wrong with the lines of a page."""
    before, indented = "", False
    for number, line in prose(text):
        words = line.lstrip()
        begins = _ITEM.match(words) is not None
        if not words:
            before = ""
            continue
        if before and not begins:
            if not _END.search(before):
                yield f"{number}: the sentence begins on the line before"
            if indented and words == line:
                yield f"{number}: the line belongs to the list item before it and is not indented"
        if _TWO_SENTENCES.search(plain(_LEAD.sub("", words, count=1))):
            yield f"{number}: more than one sentence"
        if len(line) > MOST_CHARACTERS:
            yield f"{number}: {len(line)} characters"
        indented = begins or (indented and bool(before))
        before = words


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_one_sentence_a_line(page: Path) -> None:
    """Each line of prose is one whole sentence of moderate length."""
    assert list(faults(page.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("One sentence. And another.", "1: more than one sentence"),
        ("It ends in code `a`. `b` begins the next.", "1: more than one sentence"),
        ("(One in brackets.) Another.", "1: more than one sentence"),
        ("第一句。第二句。", "1: more than one sentence"),
        ("- **A heading.** One sentence.", None),
        ("- **A heading.** One sentence. Another.", "1: more than one sentence"),
        ("It waits\nfor the window.", "2: the sentence begins on the line before"),
        ("- One.\nAnother.", "2: the line belongs to the list item before it and is not indented"),
        ("- One.\n  Another.\n\nA paragraph.\nIts second line.", None),
        ("Airflow 3.2, `a. B` and [a page](a.md).", None),
        ("| One. Two. |\n|---|", None),
        ("```\nOne. Two.\n```", None),
        ("x" * 201, "1: 201 characters"),
    ],
)
def test_faults_are_found(text: str, wrong: str | None) -> None:
    """The check sees what it is for."""
    assert list(faults(text)) == ([] if wrong is None else [wrong])
