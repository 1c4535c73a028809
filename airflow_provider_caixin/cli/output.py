"""Results on stdout: tables as Airflow's own commands print them, or what programs read."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.cli.terminal import usage_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = Mapping[str, Any]


def show(rows: Sequence[Row], output: str) -> None:
    """Print rows that all have the same keys, as table, plain, json or yaml."""
    if output in ("json", "yaml"):
        _dump([dict(row) for row in rows], output)
    elif output == "plain":
        from tabulate import tabulate

        cells = [[_text(cell) for cell in row.values()] for row in rows]
        if rows:
            # Not as numbers: an id such as 1e5 is none.
            print(tabulate(cells, headers=list(rows[0]), tablefmt="plain", disable_numparse=True))  # noqa: T201
    else:
        from airflow.cli.simple_table import AirflowConsole
        from rich.markup import escape

        AirflowConsole().print_as_table(
            [{name: escape(_text(cell)) for name, cell in row.items()} for row in rows]
        )


def show_one(record: Row, output: str, rows: Sequence[Row] | None = None) -> None:
    """Print one thing: what programs read as it is, for users a line for each property.

    :param record: the thing; a list in it is for programs alone.
    :param rows: for users instead of the properties.
    """
    if output in ("json", "yaml"):
        _dump(dict(record), output)
    elif rows is not None:
        show(rows, output)
    else:
        show(
            [
                {"property": name, "value": cell}
                for name, cell in record.items()
                if not isinstance(cell, list)
            ],
            output,
        )


def moment(seconds: float | None) -> str | None:
    """Format a moment, in seconds since the epoch, in China time."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, tz=CHINA).isoformat(sep=" ", timespec="seconds")


@contextmanager
def csv_file(path: str | None) -> Iterator[IO[str]]:
    """Open where a CSV goes; a file begins with a byte order mark, because Excel needs one.

    :param path: path or URL; None: stdout.
    :raises ReportError: when it cannot be written.
    """
    if path is None:
        yield sys.stdout
        return
    from airflow_provider_caixin.session.readers import object_path
    from airflow_provider_caixin.session.report_file import ReportFile

    with usage_errors():
        target = ReportFile(object_path(path), "file")
    with target.open() as file:
        yield file


def _text(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return str(cell)


def _dump(value: object, output: str) -> None:
    if output == "json":
        text = json.dumps(value, ensure_ascii=False)
    else:
        from airflow.utils import yaml

        text = yaml.dump(value, allow_unicode=True, sort_keys=False).rstrip()
    print(text)  # noqa: T201
