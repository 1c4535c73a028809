"""The report: one line of CSV for each recipient, with full numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import IO, Final

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.ledger.views.reports import ReportRow

COLUMNS: Final = ReportRow._fields
PIECE_LINES: Final = 500


def write_report(file: IO[str], rows: Iterable[ReportRow]) -> None:
    """Write recipients as CSV to a file that is open for text with ``newline=""``."""
    file.writelines(report_pieces(rows))


def report_pieces(rows: Iterable[ReportRow]) -> Iterator[str]:
    """Yield recipients as CSV, piece by piece as they come."""
    return csv_pieces(COLUMNS, map(_cells, rows))


def csv_pieces(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """Yield a table as CSV, piece by piece; no cell of it is a formula to a spreadsheet."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(columns)
    for number, row in enumerate(rows, 1):
        writer.writerow(map(_as_text, row))
        if number % PIECE_LINES == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _cells(row: ReportRow) -> list[object]:
    sent_at = None
    if row.sent_at is not None:
        sent_at = datetime.fromtimestamp(row.sent_at, tz=CHINA).isoformat(timespec="milliseconds")
    return [row.mobile, row.state, row.reason, row.error_code, row.sid, sent_at]


def _as_text(cell: object) -> object:
    # What others wrote (a row that was no number, the gateway's words) is run by a spreadsheet where it
    # begins like a formula.
    risky = isinstance(cell, str) and cell.lstrip()[:1] in ("=", "+", "-", "@", "＝", "＋", "－", "＠")
    return f"'{cell}" if risky or (isinstance(cell, str) and cell[:1] in ("\t", "\r")) else cell
