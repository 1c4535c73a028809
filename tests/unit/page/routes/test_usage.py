"""What was billed and what may have been."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import datetime, timedelta

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.vocabulary import State
from tests.unit.page.conftest import HOSTILE, Browser, Told


def test_usage_on_each_database(browser: Callable[..., Browser], shared_ledger: Ledger) -> None:
    """By day of China, template, campaign and Dag; both ends of a period are in it, and others are not."""
    told = Told(shared_ledger)
    today = datetime.fromtimestamp(told.sent_at, tz=CHINA).date()
    yesterday = today - timedelta(days=1)
    midnight = datetime(today.year, today.month, today.day, tzinfo=CHINA).timestamp()
    key = told.past.campaign("=1+1", "13900000001", "13900000002", tpl_id=7)
    told.past.sent(key, {"13900000001": State.SENT}, midnight - 1)
    told.past.sent(key, {"13900000002": State.UNKNOWN}, midnight - 86_400 - 1)
    admin = browser("admin")

    def usage(by: str, first: object = yesterday, last: object = today) -> dict[str | None, tuple[int, int]]:
        answer = admin.get(f"/usage?by={by}&from={first}&to={last}")
        rows = {row["name"]: (row["billed"], row["possibly"]) for row in answer["rows"]}
        sums = tuple(sum(column) for column in zip(*rows.values(), strict=True)) or (0, 0)
        assert (answer["total"]["billed"], answer["total"]["possibly"]) == sums
        return rows

    assert usage("day") == {str(yesterday): (1, 0), str(today): (4, 1)}
    assert usage("day", today, today) == {str(today): (4, 1)}
    assert usage("day", today - timedelta(days=2), yesterday - timedelta(days=1)) == {
        str(today - timedelta(days=2)): (0, 1)
    }
    assert usage("template") == {"65535": (3, 1), "65536": (1, 0), "7": (1, 0)}
    assert usage("campaign") == {
        HOSTILE: (1, 1),
        "theirs": (1, 0),
        "by hand": (1, 0),
        "of old": (1, 0),
        "=1+1": (1, 0),
    }
    assert usage("dag") == {"dag": (2, 1), "hidden": (1, 0), None: (1, 0), "deleted": (1, 0)}
    answer = admin.ask("GET", f"/usage.csv?by=campaign&from={yesterday}&to={today}")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    table = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert table[0] == ["campaign", "billed", "possibly"]
    assert {row[0] for row in table[1:]} == {f"'{HOSTILE}", "theirs", "by hand", "of old", "'=1+1"}
