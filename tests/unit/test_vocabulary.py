"""The words: one for each member in both languages, and the tables of the documentation have the same."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path

import pytest

from airflow_provider_caixin.vocabulary import SkipReason, State, Status, words

DOCS = Path(__file__).parents[2] / "docs"
MEMBERS = [*State, *SkipReason, *Status]


@pytest.mark.parametrize("word", MEMBERS, ids=repr)
def test_a_word_is_its_value(word: State | SkipReason | Status) -> None:
    """The ledger and JSON take it as text, and it is the same member again when it comes back."""
    assert type(word)(word.value) is word
    assert (f"{word}", word == word.value) == (word.value, True)
    assert pickle.loads(pickle.dumps(word)) is copy.deepcopy(word) is word


def test_both_languages_have_the_same_words() -> None:
    """Each has a word for every member and a sentence for every reason, the Chinese one in Chinese."""
    zh, en = words("zh"), words("en")
    assert list(zh) == list(en)
    assert {f"state.{state}" for state in State} | {f"status.{status}" for status in Status} <= zh.keys()
    assert {f"{group}.{reason}" for group in ("reason", "why") for reason in SkipReason} <= zh.keys()
    assert all(re.search(r"[\u4e00-\u9fff]", text) for text in zh.values())
    assert all(text.isascii() and text for text in en.values())


def test_what_a_recipient_is_called_whom_no_rule_held_back() -> None:
    """Where the campaign ended before its turn it was not sent, and not filtered."""
    assert words("zh")["state.skipped"] == "已过滤"
    assert words("zh")["state.skipped.expired"] == words("zh")["state.skipped.cancelled"] == "未发送"


def test_which_reasons_are_final() -> None:
    """The guide on rules says of each reason whether a later run looks at it again."""
    rules = (DOCS / "rules.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `(\w+)` \|.*\| (yes|no) \|$", rules, re.MULTILINE))
    assert told == {reason.value: "no" if reason.is_final else "yes" for reason in SkipReason}
