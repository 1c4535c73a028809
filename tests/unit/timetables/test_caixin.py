from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timedelta
from typing import Any

import pendulum
import pytest
import time_machine
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DataInterval, TimeRestriction
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.rules import SendWindow
from airflow_provider_caixin.timetables.caixin import SendWindowTimetable


def china(text: str) -> pendulum.DateTime:
    """Read a moment of May 2025, such as ``"06 09:30"``, in China."""
    return pendulum.instance(datetime.strptime(f"2025-05-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=CHINA))


def next_slot(
    timetable: SendWindowTimetable,
    now: str,
    *,
    last: str | None = None,
    earliest: str | None = "01 00:00",
    latest: str | None = None,
    catchup: bool = False,
) -> str | None:
    """Ask for the next slot at a moment, as the scheduler does."""
    restriction = TimeRestriction(earliest and china(earliest), latest and china(latest), catchup)  # type: ignore[arg-type]
    with time_machine.travel(china(now), tick=False):
        info = timetable.next_dagrun_info(
            last_automated_data_interval=DataInterval.exact(china(last)) if last else None,
            restriction=restriction,
        )
    if info is None:
        return None
    assert info.data_interval == DataInterval.exact(info.run_after)
    assert info.run_after.timezone_name == "UTC"
    return info.run_after.astimezone(CHINA).strftime("%d %H:%M")


@pytest.mark.parametrize(
    ("now", "slot"),
    [
        ("06 08:00", "06 09:00"),
        ("06 09:00", "06 09:00"),
        ("06 09:01", "06 09:30"),
        ("06 17:30", "06 17:30"),
        ("06 17:31", "07 09:00"),
        ("06 22:33", "07 09:00"),
    ],
)
def test_every_half_hour(now: str, slot: str) -> None:
    """Slots begin at the opening and end before the closing; one that has passed is left out."""
    timetable = SendWindowTimetable(every=30, send_window="09:00-18:00")
    assert next_slot(timetable, now) == slot
    # The scheduler was down for days, or the Dag was paused.
    assert next_slot(timetable, now, last="02 09:00") == slot


@pytest.mark.parametrize(
    ("now", "slot"),
    [("06 08:00", "06 09:20"), ("06 09:21", "06 10:20"), ("09 17:21", "12 09:20"), ("10 12:00", "12 09:20")],
)
def test_cron(now: str, slot: str) -> None:
    """Only those times of a cron expression count that lie within the window; the 10th was a Saturday."""
    timetable = SendWindowTimetable(cron="20 */1 * * 1-5", send_window="09:00-18:00")
    assert next_slot(timetable, now) == slot


def test_the_slot_after_the_last() -> None:
    """A slot that was used is not used again, also within its own minute."""
    timetable = SendWindowTimetable(every=30, send_window="09:00-18:00")
    assert next_slot(timetable, "06 09:30", last="06 09:30") == "06 10:00"


def test_a_slot_that_is_due_survives_a_parse() -> None:
    """The Dag processor asks, too, between the slot and the moment when the scheduler makes its run."""
    timetable = SendWindowTimetable(every=30, send_window="09:00-18:00")
    restriction = TimeRestriction(None, None, catchup=False)

    def ask(last: str | None, seconds: float) -> str:
        with time_machine.travel(china("06 10:00") + timedelta(seconds=seconds), tick=False):
            info = timetable.next_dagrun_info(
                last_automated_data_interval=DataInterval.exact(china(last)) if last else None,
                restriction=restriction,
            )
        assert info is not None
        return info.run_after.astimezone(CHINA).strftime("%H:%M")

    for last in ("06 09:30", None):
        assert [ask(last, seconds) for seconds in (-1, 0, 0.5, 59, 60)] == ["10:00"] * 4 + ["10:30"]
    assert ask("06 10:00", 0.5) == "10:30"


def test_catchup() -> None:
    """Somebody who asks for the missed slots gets them, one after the other, from the Dag's start on."""
    timetable = SendWindowTimetable(every=240, send_window="09:00-18:00")
    assert next_slot(timetable, "06 12:00", catchup=True) == "01 09:00"
    assert next_slot(timetable, "06 12:00", catchup=True, last="01 17:00") == "02 09:00"
    assert next_slot(timetable, "06 12:00", catchup=True, earliest=None) is None


def test_start_and_end_of_the_dag() -> None:
    """Its start may be ahead, and after its end there are no more runs."""
    timetable = SendWindowTimetable(every=30, send_window="09:00-18:00")
    assert next_slot(timetable, "06 12:00", earliest="08 12:10") == "08 12:30"
    assert next_slot(timetable, "06 12:00", earliest=None) == "06 12:00"
    assert next_slot(timetable, "06 17:45", latest="07 08:59") is None


def test_a_run_that_a_person_triggers() -> None:
    """It starts at any hour."""
    moment = china("06 23:15")
    interval = SendWindowTimetable(every=30).infer_manual_data_interval(run_after=moment)
    assert interval == DataInterval.exact(moment)


@given(
    moment=st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)),  # noqa: DTZ001  # in China, below
    opens=st.integers(0, 1438),
    length=st.integers(1, 1440),
    every=st.integers(1, 1440),
)
def test_any_slot(moment: datetime, opens: int, length: int, every: int) -> None:
    """It is the first on the grid that begins at the opening, not before the moment, within the window."""
    closes = min(opens + length, 1440)
    every = min(every, closes - opens)
    window = SendWindow(f"{opens // 60}:{opens % 60:02}", f"{closes // 60}:{closes % 60:02}")
    floor = pendulum.instance(moment.replace(tzinfo=CHINA))
    slot = SendWindowTimetable(every, send_window=window)._slot(floor).in_timezone(CHINA)
    assert slot >= floor
    assert window.contains(slot)
    minute = slot.hour * 60 + slot.minute
    assert (slot.second, (minute - opens) % every) == (0, 0)
    before = slot - timedelta(minutes=every) if minute > opens else None
    assert before is None or before < floor
    assert minute > opens or slot - timedelta(days=1) < floor


@pytest.mark.parametrize(
    ("arguments", "summary"),
    [
        ({"every": 30}, "every 30 min in 09:00-18:00"),
        ({"every": timedelta(hours=1), "send_window": "10:00-17:30"}, "every 60 min in 10:00-17:30"),
        ({"every": 15, "send_window": None}, "every 15 min in 00:00-24:00"),
        ({"cron": "0  10 * * 1-5"}, "0 10 * * 1-5 in 09:00-18:00"),
    ],
)
def test_a_dag_with_it_comes_back_from_the_database(arguments: dict[str, Any], summary: str) -> None:
    """Through Airflow's own encoding, which finds the class by the plugin; the UI shows when runs start."""
    timetable = SendWindowTimetable(**arguments)
    dag = DAG("a_dag", schedule=timetable, start_date=china("01 00:00"))
    stored = json.loads(json.dumps(DagSerialization.to_dict(dag)))
    read: Any = DagSerialization.from_dict(stored).timetable
    assert type(read) is SendWindowTimetable
    assert read.serialize() == timetable.serialize()
    assert read.summary == summary
    assert "Asia/Shanghai" in read.description


def test_the_configured_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not given, the window is the deployment's; it is stored with the Dag."""
    monkeypatch.setenv("AIRFLOW__CAIXIN__SEND_WINDOW", "10:00-11:00")
    assert SendWindowTimetable(every=30).serialize()["send_window"] == "10:00-11:00"
    monkeypatch.setenv("AIRFLOW__CAIXIN__SEND_WINDOW", "none")
    assert SendWindowTimetable(every=30).serialize()["send_window"] == "00:00-24:00"
    monkeypatch.setenv("AIRFLOW__CAIXIN__SEND_WINDOW", "late")
    with pytest.raises(ValueError, match=r"\[caixin\] configuration: send_window 'late'"):
        SendWindowTimetable(every=30)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "neither given"),
        ({"every": 5, "cron": "0 10 * * *"}, "both given"),
        ({"every": 0}, "every 0 is not a number of minutes"),
        ({"every": True}, "every True"),
        ({"every": "30"}, "every '30'"),
        ({"every": 541}, "to the length of the send window 09:00-18:00"),
        ({"every": timedelta(seconds=90)}, "a timedelta of whole minutes"),
        ({"cron": "0 3 * * *"}, "has no time within the send window"),
        ({"cron": "0 10 30 2 *"}, "times that come"),
        ({"cron": "* * * * * *"}, "expected five fields"),
        ({"cron": "@daily"}, "expected five fields"),
        ({"cron": "not a cron at all"}, "is not a cron expression"),
        ({"cron": 5}, "cron 5 is not"),
        ({"every": 5, "send_window": "18:00-09:00"}, "ends before it begins"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], sentence: str) -> None:
    """A Dag with such a schedule is an import error that says what to write."""
    with pytest.raises(ValueError, match=sentence):
        SendWindowTimetable(**arguments)


def test_the_plugin_is_found_and_light() -> None:
    """Airflow finds the timetable by the entry point, and its processes get nothing else of ours by that."""
    program = """
import sys
import airflow.timetables.base, airflow.sdk.plugins_manager
before = set(sys.modules)
from importlib.metadata import entry_points
[entry] = [one for one in entry_points(group="airflow.plugins") if one.name == "caixin"]
plugin = entry.load()()
plugin.on_load()
print([timetable.__name__ for timetable in plugin.timetables])
heavy = ("croniter", "fastapi", "requests", "uvicorn", "urllib3")
ours = tuple("airflow_provider_caixin." + room for room in ("campaign", "hooks", "juhe", "ledger", "operators", "sandbox"))
print(sorted(name for name in set(sys.modules) - before if name.split(".")[0] in heavy or name.startswith(ours)))
"""
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert output.stdout.splitlines()[-2:] == ["['SendWindowTimetable']", "[]"]
