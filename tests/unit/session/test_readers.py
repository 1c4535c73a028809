"""How arguments are read: flags, moments, columns; and what has passed before a load."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSkipException,
)
from airflow.sdk.definitions._internal.templater import LiteralValue

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.session.readers import read_expiry
from tests.unit.sends import A, B, C, kept, operator, run, scheduled, to_twenty

pytestmark = pytest.mark.usefixtures("to_sandbox")


EAST_8 = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("off", None),
        ("close", "close"),
        (" close ", "close"),
        (timedelta(hours=2), timedelta(hours=2)),
        ("2026-11-23 18:00", datetime(2026, 11, 23, 18, tzinfo=EAST_8)),
        ("2026-11-23T10:00:00+00:00", datetime(2026, 11, 23, 18, tzinfo=EAST_8)),
        ("2026-11-23T10:00:00Z", datetime(2026, 11, 23, 18, tzinfo=EAST_8)),
        (datetime(2026, 11, 23, 18), datetime(2026, 11, 23, 18, tzinfo=EAST_8)),  # noqa: DTZ001
        (datetime(2026, 11, 23, 10, tzinfo=UTC), datetime(2026, 11, 23, 18, tzinfo=EAST_8)),
    ],
    ids=repr,
)
def test_moments(value: object, expected: object) -> None:
    """Without a zone a moment is Asia/Shanghai."""
    assert read_expiry(value) == expected


def test_expired(sandbox: SandboxServer, context: Any) -> None:
    """What is left after the moment is skipped."""
    operator(mobiles=[A, B], max_messages=0).execute(context)
    result = operator(mobiles=[A, B], expires_at="2020-01-01 12:00").execute(context)
    assert result["skipped"] == {"expired": 2}
    assert not sandbox.requests()


def test_a_budget(context: Any) -> None:
    """max_messages limits what is billed."""
    result = operator(mobiles=[A, B, C], max_messages=2).execute(context)
    assert (result["sent"], result["skipped"]) == (2, {"over_budget": 1})


@pytest.mark.parametrize("column", [0, 1, True, 1.0], ids=repr)
def test_a_column_is_a_name(column: Any) -> None:
    """0 was taken for not given, and so was another column than the one that was meant."""
    with pytest.raises(ValueError, match=rf"audience_column {column}: expected the name of a column"):
        CaixinSendOperator(task_id="send", tpl_id=65535, audience_file="x.csv", audience_column=column)


@pytest.mark.parametrize(
    "column", [LiteralValue(0), LiteralValue(None), "{{ nothing }}", "{{ none }}"], ids=str
)
def test_a_column_from_elsewhere(column: Any, sandbox: SandboxServer, context: Any, tmp_path: Path) -> None:
    """What it came to is looked at when it is known."""
    (tmp_path / "x.csv").write_text(f"phone,mobile\n{B},{A}\n")
    with pytest.raises(AirflowFailException, match=r"audience_column .*expected"):
        run(
            to_twenty(mobiles=None, audience_file=str(tmp_path / "x.csv"), audience_column=column),
            context,
        )
    assert sandbox.requests() == []


def test_a_day_ends_with_its_last_moment() -> None:
    """As text, date or Pendulum's date: the next midnight in China."""
    end = datetime(2026, 11, 30, tzinfo=CHINA)
    for day in ("2026-11-29", " 2026-11-29 ", date(2026, 11, 29), pendulum.date(2026, 11, 29)):
        assert read_expiry(day) == end
    assert read_expiry(pendulum.datetime(2026, 11, 29, tz="Asia/Shanghai")) == end - timedelta(days=1)


@pytest.mark.usefixtures("one_china_day")
@pytest.mark.parametrize("as_text", [True, False])
def test_today_is_not_over(as_text: bool, context: Any) -> None:
    """It expired at its beginning, everybody with it."""
    today = datetime.now(CHINA).date()
    assert run(to_twenty(expires_at=str(today) if as_text else today), context)["sent"] == 20


PAST = [
    "2020-01-01 12:00",
    "2020-01-01",
    date(2020, 1, 1),
    datetime(2020, 1, 1, tzinfo=UTC),
]


@pytest.mark.parametrize("moment", PAST, ids=repr)
def test_an_expiry_that_has_passed(moment: Any, sandbox: SandboxServer, context: Any, tmp_path: Path) -> None:
    """The first load refuses it and keeps nothing; with a corrected one everybody gets the message."""
    (tmp_path / "out.txt").write_text("13500000001\n")
    with pytest.raises(AirflowFailException, match=r"expires_at 2020-01-0\d .* has passed, it is 20"):
        run(to_twenty(expires_at=moment, suppress_file=str(tmp_path / "out.txt")), context)
    assert sandbox.requests() == []
    assert kept() == 0
    tomorrow = datetime.now(CHINA).date() + timedelta(days=1)
    assert run(to_twenty(expires_at=tomorrow), context)["sent"] == 20


@pytest.mark.parametrize("outside_window", ["wait", "fail", "skip"])
def test_an_expiry_before_the_opening(outside_window: Any, sandbox: SandboxServer, context: Any) -> None:
    """An expiry before the opening leaves nobody either; a task that skips itself keeps nothing anyway."""
    now = datetime.now(CHINA)
    hour = (now + timedelta(hours=3)).hour
    window = f"{hour:02}:00-{hour:02}:59"
    made = to_twenty(
        send_window=window, outside_window=outside_window, expires_at=now + timedelta(hours=1, minutes=30)
    )
    expected = AirflowSkipException if outside_window == "skip" else AirflowFailException
    with pytest.raises(expected, match=r"opens,? 20"):
        run(made, context)
    assert sandbox.requests() == []
    assert run(to_twenty(), context)["total"] == 20


def test_an_expiry_that_passes_later(context: Any) -> None:
    """Of a campaign that is loaded, what is left expires as ever."""
    assert run(to_twenty(max_messages=5), context)["sent"] == 5
    result = run(to_twenty(expires_at="2020-01-01 12:00"), context)
    assert (result["sent"], result["skipped"]) == (5, {"expired": 15})


def test_an_expiry_that_has_passed_for_another_run(sandbox: SandboxServer, context: Any) -> None:
    """Who joins after the expiry would expire for good; who joins from an old run, be billed for that day."""
    shared: dict[str, Any] = {"campaign_id": "shared", "mobiles": [A]}
    assert run(to_twenty(**shared, expires_at=timedelta(seconds=30)), context)["sent"] == 1
    context["ti"].run_id = "another"
    shared["mobiles"] = [B]
    with pytest.raises(AirflowFailException, match="this audience of campaign 'shared' is not loaded yet"):
        run(to_twenty(**shared, expires_at=timedelta(microseconds=1)), context)
    with pytest.raises(AirflowFailException, match="has not loaded its audience yet"):
        run(to_twenty(**shared), scheduled(context, timedelta(days=5)))
    assert len(sandbox.requests()) == 1
    assert run(to_twenty(**shared), context)["sent"] == 2


@pytest.mark.parametrize("span", [timedelta(0), timedelta(hours=-1)])
def test_a_span_of_nothing(span: timedelta, context: Any) -> None:
    """It would be over before it begins."""
    with pytest.raises(AirflowFailException, match=r"expires_at -?\d+ s: expected a time above 0"):
        run(to_twenty(expires_at=span), context)
    assert kept() == 0
