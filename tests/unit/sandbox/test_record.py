from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_caixin.sandbox.record import Record, SlidingSecond, key_hash, make_sid

if TYPE_CHECKING:
    from pathlib import Path


def _fill(record: Record) -> None:
    record.add(1.5, 10.0, "a", "65535", "13912345678", code=0, billed=True)
    record.add(1.6, 10.5, "a", "x", "１３９", code=236301, billed=False)
    record.add(1.7, 10.9, "b", "65535", "13912345678", code=0, billed=True, fault=99004)
    record.add(1.8, 12.0, "b", "065535", "013912345678", code=None, billed=False, fault=99003)
    record.lose(2)
    record.lose(2)
    record.lose(3)


def test_a_row_says_what_was_sent_and_what_became_of_it() -> None:
    """Numbers come back as they were sent, odd texts too; only what was billed has a sid."""
    record = Record()
    _fill(record)
    rows = list(record.rows())
    assert rows[0] == {
        "n": 0,
        "at": 1.5,
        "moment": 10.0,
        "key": "a",
        "tpl_id": "65535",
        "mobile": "13912345678",
        "code": 0,
        "billed": True,
        "sid": make_sid(1.5, 0),
        "fault": 0,
        "lost": False,
    }
    assert [(row["tpl_id"], row["mobile"]) for row in rows[1:]] == [
        ("x", "１３９"),
        ("65535", "13912345678"),
        ("065535", "013912345678"),
    ]
    assert [row["code"] for row in rows] == [0, 236301, 0, None]
    assert [row["lost"] for row in rows] == [False, False, True, True]
    assert [bool(row["sid"]) for row in rows] == [True, False, True, False]


def test_the_summary_counts() -> None:
    """Bills, numbers billed twice, lost answers and the worst second are what the rows add up to."""
    record = Record()
    _fill(record)
    found = record.summary()
    assert {name: found[name] for name in ("requests", "billed", "billed_numbers", "duplicates", "lost")} == {
        "requests": 4,
        "billed": 2,
        "billed_numbers": 1,
        "duplicates": 1,
        "lost": 2,
    }
    assert found["duplicate_numbers"] == {"13912345678": 2}
    assert (found["by_code"], found["by_fault"]) == ({"0": 2, "236301": 1}, {"99003": 1, "99004": 1})
    assert (found["worst_second"], found["worst_second_billed"]) == (3, 1)
    assert (found["first_arrival"], found["last_arrival"]) == (1.5, 1.8)


def test_the_newest_come_page_by_page() -> None:
    """Each page goes on where the last one ended, and a row tells how often its number was billed."""
    record = Record()
    _fill(record)
    first, before = record.newest(limit=3)
    assert ([row["n"] for row in first], before) == ([3, 2, 1], 1)
    last, end = record.newest(limit=3, before=before)
    assert ([row["n"] for row in last], end) == ([0], None)
    assert [row["bills"] for row in first + last] == [0, 2, 0, 2]
    assert first[1] == {**record.row(2), "bills": 2}


def test_the_newest_are_found_by_a_part_of_their_number() -> None:
    """Numbers are searched as they were sent, odd texts too."""
    record = Record()
    _fill(record)
    assert [
        [row["n"] for row in record.newest(search=text)[0]] for text in ("5678", "0139", "３９", "x")
    ] == [
        [3, 2, 0],
        [3],
        [1],
        [],
    ]


def test_a_search_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """One call looks at so many sends and no more, and says where to go on."""
    monkeypatch.setattr("airflow_provider_caixin.sandbox.record._SEARCHED_ROWS", 2)
    record = Record()
    _fill(record)
    assert record.newest(search="３") == ([], 2)
    found, before = record.newest(search="３", before=2)
    assert ([row["n"] for row in found], before) == ([1], None)


def test_the_sends_to_one_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are its own and no longer number's, over every chunk, newest first, and as many as asked for."""
    monkeypatch.setattr("airflow_provider_caixin.sandbox.record._CHUNK_ROWS", 2)
    record = Record()
    _fill(record)
    record.add(1.9, 12.5, "a", "65535", "0", code=236306, billed=False)
    record.add(2.0, 13.0, "a", "65535", "13912345678", code=236303, billed=False)

    def positions(mobile: str, **options: int) -> list[int]:
        return [row["n"] for row in record.of_number(mobile, **options)]

    assert positions("13912345678") == [5, 2, 0]
    assert positions("13912345678", limit=2) == [5, 2]
    assert positions("13912345678", after=0) == [5, 2]
    assert (positions("１３９"), positions("0"), positions("5678")) == ([1], [4], [])


def test_an_empty_record_has_a_summary() -> None:
    """Nothing sent is not a special case for who reads the state."""
    found = Record().summary()
    assert (found["requests"], found["worst_second"], found["first_arrival"]) == (0, 0, None)


def test_a_record_goes_on_from_its_file(tmp_path: Path) -> None:
    """Rows, lost answers and counts are those of the first life; new rows follow them."""
    path = tmp_path / "record.jsonl"
    first = Record(path)
    _fill(first)
    second = Record(path)
    assert list(second.rows()) == list(first.rows())
    assert second.summary() == first.summary()
    assert second.add(2.0, 1.0, "a", "65536", "13912345679", code=0, billed=True) == 4
    first.close()
    second.close()
    assert [json.loads(line).get("n") for line in path.read_text().splitlines()] == [0, 1, 2, 3, 2, 3, 4]


@pytest.mark.parametrize("line", ["", "{", "[]", "{}", '{"n": 1, "lost": true}', '{"at": "x"}'])
def test_a_file_that_is_no_record_is_refused(tmp_path: Path, line: str) -> None:
    """The sentence names file and line, and the file is left as it was."""
    path = tmp_path / "notes.txt"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match=r"notes\.txt, line 1: not a line of a sandbox's record"):
        Record(path)
    assert path.read_text() == line + "\n"


@given(st.lists(st.floats(0, 10), max_size=60).map(sorted))
def test_the_worst_second_is_the_worst(moments: list[float]) -> None:
    """No half-open second that begins at an event holds more events than ``worst``, and one holds as many."""
    meter = SlidingSecond()
    for moment in moments:
        meter.add(moment)
    assert meter.worst == max(
        (sum(0 <= other - start < 1 for other in moments) for start in moments), default=0
    )


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_can_be_recorded(tpl_id: str, mobile: str) -> None:
    """What is no number is kept as text, cut to 64 characters."""
    record = Record()
    record.add(1.0, 1.0, "a", tpl_id, mobile, code=236301, billed=False)
    row = record.row(0)
    assert (row["tpl_id"], row["mobile"]) == (tpl_id[:64], mobile[:64])
    assert record.of_number(mobile) == [{**row, "bills": 0}]


def test_the_key_is_kept_as_its_hash() -> None:
    """The hash is the account name of the design: 16 hex digits of SHA-256."""
    assert key_hash("made-up-key") == "1f0991ebdd753c9e"
