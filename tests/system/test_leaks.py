"""Neither the AppKey nor a full mobile number gets into Airflow's logs or database."""

from __future__ import annotations

import base64
import csv
import json
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_caixin.audience import normalise
from airflow_provider_caixin.sandbox import SandboxServer
from scripts.throwaway import APP_KEY, EXAMPLE_DAGS
from tests.system.leaks import Leak, Search
from tests.system.live import Live, audience, people

# Every character of it that has another spelling in a URL.
KEY = "k3y+of/a=live&test"
NUMBER = "13912340001"


def in_base64(before: int) -> Callable[[str], str]:
    """Encode a text that stands so many characters into another."""
    return lambda text: base64.b64encode(f"{'x' * before}{text}".encode()).decode()


DISGUISES: dict[str, Callable[[str], Any]] = {
    "plain": str,
    "in a sentence": lambda text: f'{{"event": "sent to {text}, 86{text}"}}',
    "quoted": lambda text: quote(f"mobile={text}", safe=""),
    "bytes": lambda text: f"...{text}...".encode(),
    "compressed": lambda text: zlib.compress(json.dumps([text]).encode()),
    "base64": in_base64(0),
    "base64 after one": in_base64(1),
    "base64 after two": in_base64(2),
}
SPELLINGS = ["+86 139 1234 0001", "139-1234-0001", "１３９１２３４０００１", "(139)1234-0001"]


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
@pytest.mark.parametrize("secret", [KEY, NUMBER])
def test_the_search_finds_what_is_planted(
    tmp_path: Path, secret: str, disguise: Callable[[str], Any]
) -> None:
    """A key or a number is found in a log and in a table, plainly and in every usual disguise."""
    planted = disguise(secret)
    search = Search([KEY], [NUMBER])
    (tmp_path / "logs" / "deep").mkdir(parents=True)
    log = tmp_path / "logs" / "deep" / "attempt=1.log"
    log.write_bytes(planted if isinstance(planted, bytes) else planted.encode())
    assert search.logs(tmp_path / "logs") == (1, {Leak("deep/attempt=1.log", secret)})
    with closing(sqlite3.connect(tmp_path / "airflow.db")) as database:
        database.execute("CREATE TABLE innocent (id, note)")
        database.execute("INSERT INTO innocent VALUES (1, ?)", [planted])
        database.commit()
    assert search.database(tmp_path / "airflow.db") == (1, {Leak("innocent.note", secret)})


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_search_knows_spellings(spelling: str) -> None:
    """A number is found however it is written."""
    assert Search([], [NUMBER]).found(f"to {spelling}.") == {NUMBER}


@pytest.mark.parametrize("text", ["139****0001", "13912340002", "1391234", "", None, 5])
def test_the_search_finds_nothing_else(text: object) -> None:
    """Masked, other and shortened numbers are none of those that are looked for."""
    assert Search([KEY], [NUMBER]).found(text) == set()


@pytest.mark.live
@pytest.mark.timeout(300)
@pytest.mark.xdist_group("live")
def test_airflow_keeps_neither_key_nor_numbers(live: Live, gateway: SandboxServer, tmp_path: Path) -> None:
    """After plain and mapped live campaigns, no log or column of Airflow's database has key or number."""
    mapped_to = people(40)
    with (EXAMPLE_DAGS / "data" / "audience.csv").open(encoding="utf-8", newline="") as file:
        numbers = {number for row in csv.DictReader(file) if (number := normalise(row["手机号"]))}
    plain = live.trigger("caixin_campaign", report_file=str(tmp_path / "report.csv"))
    paths = [audience(tmp_path / f"{part}.txt", mapped_to[part::2]) for part in range(2)]
    mapped = live.trigger("live_mapped", audience=paths, conn_id=live.connect(gateway, key=KEY))
    assert (plain.finish(), mapped.finish()) == ("success", "success")
    assert plain.result()["sent"] > 300
    assert len(gateway.billed()) == 40

    search = Search([APP_KEY, KEY], numbers | set(mapped_to))
    # Report and ledger are where full numbers belong, and no key: what is found there shows what would be
    # found elsewhere.
    assert search.found((tmp_path / "report.csv").read_bytes()) == numbers
    _, in_ledger = search.database(live.home / "caixin_ledger.db")
    assert {leak.place for leak in in_ledger} == {"caixin_recipient.number"}
    assert {leak.what for leak in in_ledger} == numbers | set(mapped_to)

    files, in_logs = search.logs(live.home / "logs")
    assert files > 5
    assert in_logs == set()
    rows, in_database = search.database(live.home / "airflow.db")
    assert rows > 50
    assert in_database == set()
