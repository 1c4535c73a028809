"""The report: one line of CSV for each recipient, with full numbers."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import datetime
from typing import IO, Final

from airflow_provider_caixin.ledger.messages import ReportRow
from airflow_provider_caixin.rules import CHINA

COLUMNS: Final = ReportRow._fields


def write_report(file: IO[str], rows: Iterable[ReportRow]) -> None:
    """
    Write recipients as CSV.

    :param file: open for text with ``newline=""``.
    :param rows: the recipients.
    """
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for row in rows:
        sent_at = None
        if row.sent_at is not None:
            sent_at = datetime.fromtimestamp(row.sent_at, tz=CHINA).isoformat(timespec="milliseconds")
        writer.writerow([_as_text(row.mobile), row.state, row.reason, row.error_code, row.sid, sent_at])


def _as_text(cell: str) -> str:
    # A row that was no number keeps its text, and a spreadsheet runs a cell that begins like a formula.
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@") else cell
