"""One word for each thing (docs/words.md): the words that were retired are found nowhere."""

from __future__ import annotations

import io
import json
import keyword
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.docs.pages import PAGES, ROOT, name_of, plain, without_code

# Folders whose Python sources are checked: names, comments and strings.
SOURCES: Final[tuple[str, ...]] = ("airflow_provider_caixin",)
# Folders whose words.*.json are checked.
PAGE_WORDS: Final[tuple[str, ...]] = ("airflow_provider_caixin/page/static",)

# A retired word in its forms, and the word in use. Whole words, whether capital letters or not.
RETIRED: Final = {
    r"books?": "ledger",
    r"doubts?|doubted|doubtful": "unknown outcome, unknown",
    r"gates?": "pacer",
    r"limiters?|throttl\w+": "pacer",
    r"persons?|people": "recipient, number; for those who use the software: someone, user",
    r"opt[- ]?out lists?|lists? of opt[- ]?outs|black ?lists?": "suppression list",
    r"退订名单|黑名单": "免打扰名单",
    r"彩信": "聚合视频短信 (the page), 视频短信 (a message)",
}
# What is retired as a name in code, and may stand in a sentence.
RETIRED_NAMES: Final = {
    r"mobile": "number",
    r"catalogue": "what it holds: campaigns",
    r"upkeep": "what it does: retention, erasure",
    r"places": "what it tells: which ledger",
    r"shell": "what it holds: the arguments of the command line",
    r"bounded": "what it limits",
    r"covering": "what it holds",
    r"sight": "what it holds",
    r"weather": "faults",
}
# Names that stay: where (a file or folder, "" for everywhere), which, why. A sentence can always be written
# anew.
ALLOWED: Final = (
    ("", r"doubt_\w+", "columns of the database keep their names"),
    ("", r"\w*(?:china_mobile|CHINA_MOBILE)\w*", "the network's name"),
    ("", r"magic_mobile|from_mobile", "public names of the sandbox, which users' tests import"),
    ("", r"mobile numbers?", "what a number is"),
    ("airflow_provider_caixin/hooks", r"mobile", "argument of CaixinHook.send, a public name"),
    ("airflow_provider_caixin/campaign", r"mobile", "the client's argument, and a column of the report"),
    ("airflow_provider_caixin/ledger/views/reports.py", r"mobile", "a column of the report"),
    ("airflow_provider_caixin/juhe", r"\w*mobile\w*|\w*MOBILE\w*", "the gateway's field"),
    ("airflow_provider_caixin/sandbox", r"\w*mobile\w*|\w*MOBILE\w*", "the gateway's field"),
    (
        "airflow_provider_caixin/audience",
        r"\w*mobile\w*|\w*MOBILE\w*",
        "names of columns, and the operator's argument",
    ),
)


def _pattern(words: dict[str, str]) -> re.Pattern[str]:
    """Return what finds the retired words; Chinese has no ends of words."""
    return re.compile(
        "|".join(rf"\b(?:{word})\b" if word.isascii() else f"(?:{word})" for word in words), re.IGNORECASE
    )


_IN_PROSE: Final = _pattern(RETIRED)
_IN_NAMES: Final = _pattern(RETIRED | RETIRED_NAMES)


def in_text(text: str) -> list[str]:
    """Return the retired words of a text."""
    return _IN_PROSE.findall(text)


def in_name(name: str) -> list[str]:
    """Return the retired words that an identifier or a file's name is made of."""
    return _IN_NAMES.findall(re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_.\-/]", " ", name))


def without_allowed(text: str, path: str = "") -> str:
    """Return a text without the names that are allowed in this file."""
    for place, name, _ in ALLOWED:
        if path.startswith(place):
            text = re.sub(rf"\b{name}\b", "_", text)
    return text


def in_markdown(text: str) -> Iterator[str]:
    """Yield a page's retired words with their lines; code keeps the names that the code has.

    The table of words names the retired ones in the cells under "Not".
    """
    rest_of_table = False
    for number, line in enumerate(without_code(text).splitlines(), start=1):
        rest_of_table = line.startswith("|") and (rest_of_table or line.endswith("| Not |"))
        said = line.rsplit("|", 2)[0] if rest_of_table else line
        yield from (f"{number}: {word}" for word in in_text(plain(said)))


def in_json(text: str) -> Iterator[str]:
    """Yield the retired words of keys and texts, however deep."""

    def of(key: str, value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from (f"{name}: {word}" for word in in_name(name))
                yield from of(name, inner)
        else:
            yield from (f"{key}: {word}" for word in in_text(str(value)))

    yield from of("", json.loads(text))


def in_python(text: str) -> Iterator[str]:
    """Yield the retired words of identifiers, comments and strings with their lines."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
            found = in_name(token.string)
        elif token.type in (tokenize.NAME, tokenize.OP, tokenize.NUMBER):
            continue
        else:
            found = in_text(token.string)
        yield from (f"{token.start[0]}: {word}" for word in found)


FINDERS: Final = {".md": in_markdown, ".json": in_json, ".py": in_python}
FILES: Final = [
    *PAGES,
    *(path for folder in PAGE_WORDS for path in sorted((ROOT / folder).rglob("words.*.json"))),
    *(path for folder in SOURCES for path in sorted((ROOT / folder).rglob("*.py"))),
]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_retired_word(path: Path) -> None:
    """Neither the file's name nor what is written in it has a retired word."""
    name = name_of(path)
    found = [] if path.suffix == ".md" else [f"{name}: {word}" for word in in_name(name)]
    text = without_allowed(path.read_text(encoding="utf-8"), name)
    assert [*found, *FINDERS[path.suffix](text)] == []


@pytest.mark.parametrize(
    ("suffix", "text", "found"),
    [
        (".md", "Two people.\n\n| People |", ["1: people", "3: People"]),
        (".md", "An opt-out list of `people`, in [a page](doubts.md).", ["1: opt-out list"]),
        (".md", "```\npeople\n```\n加入退订名单。", ["4: 退订名单"]),
        (".md", "| Word | Not |\n|---|---|\n| ledger | book |\n\nA book.", ["5: book"]),
        (".md", "Somebody opted out; aggregated bookings of a personal kind.", []),
        (".json", '{"doubts.n": {"one": "{n} in doubt"}}', ["doubts.n: doubts", "one: doubt"]),
        (
            ".py",
            "class GateKeeper:\n    mobile_of = None  # of a person\n",
            ["1: Gate", "2: mobile", "2: person"],
        ),
        (".py", 'say(f"{n} people", doubt_at, mobiles)', ["1: people"]),
        (".py", '"""The mobile column, at such places in any weather."""', []),
    ],
)
def test_retired_words_are_found(suffix: str, text: str, found: list[str]) -> None:
    """The check sees what it is for, and nothing else."""
    assert list(FINDERS[suffix](without_allowed(text))) == found


def test_the_table_of_words_names_them() -> None:
    """What a word of the table replaces is named beside it."""
    page = (ROOT / "docs" / "words.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split("|") for line in page.splitlines() if line.startswith("| ")]
    beside = {cells[0].strip(): cells[-1] for cells in rows if len(cells) == 5}
    for word, expected in {
        "ledger": ["book"],
        "unknown outcome": ["doubt"],
        "pacer": ["gate", "limiter", "throttle"],
        "recipient": ["person", "people"],
        "suppression list": ["opt-out list", "blacklist", "退订名单", "黑名单"],
        "the Caixin page": ["彩信"],
    }.items():
        assert in_text(beside[word])[: len(expected)] == expected
