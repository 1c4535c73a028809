"""The pages that people read, and their prose without code, tables and other parts that are no sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted(
    [
        *ROOT.glob("docs/**/*.md"),
        *(
            ROOT / name
            for name in (
                "README.md",
                "README.zh-CN.md",
                "CHANGELOG.md",
                "CONTRIBUTING.md",
                "SECURITY.md",
                "tests/faults/README.md",
            )
        ),
    ]
)

# A table that `make tables` writes has the words of the code.
_WRITTEN: Final = re.compile(r"<!-- table: .*?<!-- end of table -->", re.DOTALL)
_BLOCK: Final = re.compile(r"^( *)(```+).*?^\1\2$", re.DOTALL | re.MULTILINE)


def name_of(path: Path) -> str:
    """Return a file's path inside the repository, which is the id of its test."""
    return path.relative_to(ROOT).as_posix()


def without_code(text: str) -> str:
    """Return a page with as many lines, and nothing in those of code blocks and of generated tables."""
    for part in (_WRITTEN, _BLOCK):
        text = part.sub(lambda found: "\n" * found[0].count("\n"), text)
    return text


def plain(text: str) -> str:
    """Return a page's text as it is read: X for each piece of code, and links without their targets."""
    text = re.sub(r"(`+).+?\1", "X", text)
    return re.sub(r"\]\([^)\s]*\)", "]", text)


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line of a page; the text of headings, tables and code is empty."""
    for number, line in enumerate(without_code(text).splitlines(), start=1):
        yield number, "" if line.lstrip().startswith(("#", "|", "![")) else line.rstrip()
