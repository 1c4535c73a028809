"""``make tables``: write those tables of docs/ anew that say what the code says.

A table stands between ``<!-- table: NAME -->`` and ``<!-- end of table -->`` in whatever page shows it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from airflow_provider_caixin.juhe.codes import CODES
from airflow_provider_caixin.sandbox.magic import MAGIC, magic_mobile
from airflow_provider_caixin.settings.options import CONFIG_OPTIONS, SECTION

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ROOT / "docs"
CHINESE: Final = ROOT / "airflow_provider_caixin" / "page" / "static" / "codes.zh.json"

_PLACE: Final = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def codes() -> str:
    """Return the gateway's codes in English."""
    rows = (
        (f"{one.code}", f"{one.zh}<br>{one.en}", f"`{one.kind}`", one.cause, one.remedy)
        for one in CODES.values()
    )
    return _table(("Code", "Text", "Kind", "Cause", "Remedy"), rows)


def codes_zh() -> str:
    """Return the gateway's codes in Chinese."""
    words = json.loads(CHINESE.read_text(encoding="utf-8"))
    rows = (
        (
            f"{one.code}",
            "" if one.legacy is None else f"{one.legacy}",
            one.zh,
            words[str(one.code)]["cause"],
            words[str(one.code)]["remedy"],
        )
        for one in CODES.values()
    )
    return _table(("错误码", "resultcode", "说明", "原因", "处理"), rows)


def options() -> str:
    """Return the options of the configuration."""
    rows = (
        (
            f"`{name}`",
            f"`AIRFLOW__{SECTION.upper()}__{name.upper()}`",
            f"`{option['default']}`" if option["default"] else "",
            option["description"],
        )
        for name, option in CONFIG_OPTIONS.items()
    )
    return _table(("Option", "Environment", "Default", "Meaning"), rows)


def faults() -> str:
    """Return the sandbox's faults."""
    rows = (
        (f"`{magic_mobile(number)}`", f"`{fault.name}`", "yes" if fault.billed else "no", fault.what)
        for number, fault in MAGIC.items()
    )
    return _table(("Number", "Name", "Billed", "What the sandbox does"), rows)


TABLES: Final[Mapping[str, Callable[[], str]]] = {
    table.__name__: table for table in (codes, codes_zh, options, faults)
}


def written(page: str) -> str:
    """Return a page's text with its tables as they are to be.

    :raises KeyError: when it has a table that is not known.
    """
    return _PLACE.sub(lambda place: f"{place[1]}\n{TABLES[place[2]]()}\n\n{place[3]}", page)


def main() -> None:
    """Write all pages that have tables."""
    for path in sorted(DOCS.glob("**/*.md")):
        page = path.read_text(encoding="utf-8")
        new = written(page)
        if new != page:
            path.write_text(new, encoding="utf-8")
            print(path.relative_to(ROOT))


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    header = list(columns)
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


if __name__ == "__main__":
    main()
