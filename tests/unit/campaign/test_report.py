from __future__ import annotations

import io

from airflow_provider_caixin.campaign.report import write_report
from airflow_provider_caixin.ledger.views.reports import ReportRow


def test_a_report_line_has_what_a_person_needs() -> None:
    """China time, the gateway's words, and no cell that a spreadsheet would run."""
    file = io.StringIO(newline="")
    write_report(
        file,
        [
            ReportRow("13912345678", "sent", None, 0, "5dad", 1_795_396_500.25),
            ReportRow("13912345679", "rejected", "手机号错误, x", 236306, None, 1_795_396_500.0),
            ReportRow('=HYPERLINK("http://example.com")', "skipped", "invalid_number", None, None, None),
        ],
    )
    assert file.getvalue().splitlines() == [
        "mobile,state,reason,error_code,sid,sent_at",
        "13912345678,sent,,0,5dad,2026-11-23T09:15:00.250+08:00",
        '13912345679,rejected,"手机号错误, x",236306,,2026-11-23T09:15:00.000+08:00',
        '"\'=HYPERLINK(""http://example.com"")",skipped,invalid_number,,,',
    ]
