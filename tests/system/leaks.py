"""A search for what must not be there: AppKeys and full mobile numbers in Airflow's logs and database."""

from __future__ import annotations

import base64
import re
import sqlite3
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_plus

_NUMBER = re.compile(r"(?=(1[3-9]\d)[\s().-]{0,2}(\d{4})[\s().-]{0,2}(\d{4}))")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{14,}")


class Leak(NamedTuple):
    """Something that was found, and where."""

    place: str
    what: str


class Search:
    """What is looked for.

    :param keys: AppKeys.
    :param numbers: mobile numbers, 11 digits each.
    """

    def __init__(self, keys: Iterable[str], numbers: Iterable[str]) -> None:
        self._keys = set(keys)
        self._numbers = set(numbers)

    def logs(self, folder: Path) -> tuple[int, set[Leak]]:
        """Search every file below a folder; return how many there are, and what was found."""
        files = [path for path in folder.rglob("*") if path.is_file()]
        return len(files), {
            Leak(str(path.relative_to(folder)), what)
            for path in files
            for what in self.found(path.read_bytes())
        }

    def database(self, path: Path) -> tuple[int, set[Leak]]:
        """Search every column of every table; return how many rows there are, and what was found."""
        count, leaks = 0, set()
        with closing(sqlite3.connect(path)) as database:
            database.row_factory = sqlite3.Row
            tables = [
                row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            for table in tables:
                for row in database.execute(f'SELECT * FROM "{table}"'):
                    count += 1
                    if _is_the_dags_own(table, row):
                        continue
                    for column in row.keys():  # noqa: SIM118  # a Row's iteration gives its values
                        leaks |= {Leak(f"{table}.{column}", what) for what in self.found(row[column])}
        return count, leaks

    def found(self, value: Any) -> set[str]:
        """Return the keys and numbers that are in a value, plainly or in a usual disguise."""
        return {what for text in _readings(value) for what in self._in(text)}

    def _in(self, text: str) -> Iterator[str]:
        yield from (key for key in self._keys if key in text)
        for match in _NUMBER.finditer(text):
            if (number := "".join(match.groups())) in self._numbers:
                yield number


def _readings(value: Any) -> Iterator[str]:
    """Read a value in every way that a program or a person easily could."""
    if isinstance(value, bytes):
        text = value.decode("utf-8", "replace")
        with suppress(zlib.error):
            yield from _readings(zlib.decompress(value))
    else:
        text = str(value)
    text = unicodedata.normalize("NFKC", text)
    yield text
    if "%" in text:
        yield unquote(text)
        yield unquote_plus(text)
    for run in _BASE64.findall(text):
        for start in range(4):
            part = run[start:].replace("-", "+").replace("_", "/")
            # One character is no byte; of two or three the padding is missing.
            part = part[: -1 if len(part) % 4 == 1 else None]
            yield base64.b64decode(part + "=" * (-len(part) % 4)).decode("latin-1")


def _is_the_dags_own(table: str, row: sqlite3.Row) -> bool:
    """Tell whether a Dag put its numbers there: the example that passes chunks of numbers through XCom."""
    return table == "xcom" and (row["dag_id"], row["task_id"]) == ("caixin_mapped", "chunks")
