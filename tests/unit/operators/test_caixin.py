"""The send operator: results, campaigns that go on, privacy, asset events, dry runs and budgets."""

from __future__ import annotations

import csv
import itertools
import os
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    Asset,
)
from airflow.sdk import AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_caixin.notifications.caixin import CaixinNotifier
from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.operators.links import TemplateMediaLink
from airflow_provider_caixin.sandbox import SandboxServer, magic_mobile
from tests.unit.conftest import Connect
from tests.unit.sends import BEIJING, UNICOM, VIRTUAL, A, B, C, billed, operator

pytestmark = pytest.mark.usefixtures("to_sandbox")

KEYS = ["campaign_id", "tpl_id", "total", "sent", "skipped", "rejected", "unknown", "pending", "report_file"]


def test_a_list(sandbox: SandboxServer, context: Any) -> None:
    """Counts by outcome come back, and their total is the sum of the others."""
    rejected, lost = magic_mobile(236306), magic_mobile(99004)
    mobiles = [A, B, C, f"+86{A}", BEIJING, UNICOM, VIRTUAL, "12", rejected, lost]
    result = operator(mobiles=mobiles, max_failure_ratio=0.9).execute(context)
    assert list(result) == KEYS
    assert result == {
        "campaign_id": "dag/run/send",
        "tpl_id": 65535,
        "total": 10,
        "sent": 3,
        "skipped": {
            "blocked_region": 1,
            "duplicate": 1,
            "invalid_number": 1,
            "not_china_mobile": 1,
            "virtual_operator": 1,
        },
        "rejected": {"236306": 1},
        "unknown": 1,
        "pending": 0,
        "report_file": None,
    }
    assert billed(sandbox) == sorted([A, B, C, lost])


def test_a_single_number(sandbox: SandboxServer, context: Any) -> None:
    """A single number that was sent has its sid in the result."""
    result = operator(mobiles=A).execute(context)
    assert list(result) == [*KEYS, "sid"]
    assert (result["total"], result["sent"]) == (1, 1)
    assert result["sid"] in {row["sid"] for row in sandbox.billed()}


def test_a_single_number_that_is_skipped(
    sandbox: SandboxServer, context: Any, logged: Callable[[], str]
) -> None:
    """The task is skipped, and the reason is what Airflow logs last."""
    with pytest.raises(AirflowSkipException, match="skipped as blocked_region"):
        operator(mobiles=BEIJING).execute(context)
    assert not sandbox.requests()
    assert "None of the" not in logged()


def test_a_single_number_that_is_rejected(context: Any) -> None:
    """A lone failed number fails the task without a retry."""
    with pytest.raises(AirflowFailException, match="236306"):
        operator(mobiles=magic_mobile(236306)).execute(context)


def test_a_list_of_one_that_is_skipped(context: Any) -> None:
    """A list is a list, also with one number in it."""
    result = operator(mobiles=[BEIJING]).execute(context)
    assert (result["total"], result["skipped"]) == (1, {"blocked_region": 1})
    assert "sid" not in result


def test_nobody(context: Any, logged: Callable[[], str]) -> None:
    """An audience of which nobody gets the message is a warning."""
    assert operator(mobiles=[BEIJING, UNICOM]).execute(context)["sent"] == 0
    assert "None of the 2 recipients got the message" in logged()


def test_an_empty_list(context: Any, logged: Callable[[], str]) -> None:
    """A list without numbers is an audience of nobody, with a warning."""
    assert operator(mobiles=[]).execute(context)["total"] == 0
    assert "None of the 0 recipients" in logged()


def test_a_file_and_a_report(tmp_path: Path, context: Any) -> None:
    """A file is read by path or URL, and the report has a line for each of its rows."""
    (tmp_path / "recipients.csv").write_text(f"name,phone\nx,{A}\ny,{BEIJING}\nz,nobody\n")
    report = tmp_path / "made" / "report.csv"
    result = operator(
        audience_file=f"file://{tmp_path}/recipients.csv", audience_column="phone", report_file=str(report)
    ).execute(context)
    assert result["report_file"] == str(report)
    assert report.read_bytes().startswith(b"\xef\xbb\xbfmobile,state,reason,error_code,sid,sent_at\r\n")
    with report.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["mobile"], row["state"], row["reason"]) for row in rows] == [
        (A, "sent", ""),
        (BEIJING, "skipped", "blocked_region"),
        ("nobody", "skipped", "invalid_number"),
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+08:00", rows[0]["sent_at"])


def test_a_path_object(tmp_path: Path, context: Any) -> None:
    """A path may be a path, and not only text."""
    (tmp_path / "recipients.txt").write_text(f"{A}\n{B}\n")
    assert operator(audience_file=tmp_path / "recipients.txt").execute(context)["sent"] == 2


def test_too_many_failures(tmp_path: Path, context: Any, logged: Callable[[], str]) -> None:
    """At the ratio the task fails without a retry, after summary and report."""
    report = tmp_path / "report.csv"
    mobiles = [A, magic_mobile(236306)]
    with pytest.raises(AirflowFailException, match="50%"):
        operator(mobiles=mobiles, report_file=str(report)).execute(context)
    assert len(report.read_text(encoding="utf-8-sig").splitlines()) == 3
    assert "2 recipients: 1 sent, 1 (236306: 1) rejected" in logged()


def test_a_dry_run(sandbox: SandboxServer, context: Any) -> None:
    """All rules, no request, nothing kept; a real run after it sends."""
    dry = operator(mobiles=[A, B, BEIJING, A], dry_run="True").execute(context)
    assert (dry["sent"], dry["would_send"], dry["total"]) == (0, 2, 4)
    assert dry["skipped"] == {"blocked_region": 1, "duplicate": 1}
    assert not sandbox.requests()
    assert operator(mobiles=[A, B]).execute(context)["sent"] == 2


def test_again_sends_nothing(sandbox: SandboxServer, context: Any) -> None:
    """A cleared task gives the same counts and no second bill."""
    first = operator(mobiles=[A, B]).execute(context)
    assert operator(mobiles=[A, B]).execute(context) == first
    assert billed(sandbox) == [A, B]


def test_one_id_is_one_campaign(sandbox: SandboxServer, context: Any) -> None:
    """Another task with the same id adds its audience to the campaign."""
    operator(mobiles=[A, B], campaign_id="spring").execute(context)
    context["ti"].task_id = "other"
    assert operator(mobiles=[B, C], campaign_id="spring").execute(context)["total"] == 3
    assert billed(sandbox) == [A, B, C]


def test_a_file_that_was_corrected_while_its_task_waited(
    sandbox: SandboxServer, context: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A new time alone is nothing; other recipients are refused before a send, until you say which."""
    file = tmp_path / "recipients.txt"
    moments = itertools.count(10**9)
    opens = datetime.now(timezone(timedelta(hours=8))) + timedelta(hours=3)

    def load(*numbers: str, **arguments: Any) -> CaixinSendOperator:
        file.write_text("\n".join(numbers))
        os.utime(file, times=(moment := next(moments), moment))
        return operator(audience_file=str(file), **arguments)

    closed = {"send_window": f"{opens:%H}:00-{opens:%H}:30", "outside_window": "fail"}
    for _ in range(2):
        with pytest.raises(AirflowFailException, match="2 recipients stay pending"):
            load(A, B, **closed).execute(context)
    assert "changed" not in caplog.text
    with pytest.raises(
        AirflowFailException,
        match=r"of 'dag/run/send/-1' \(audience_file '.*recipients.txt'\) changed .*: of its recipients 1 are new and 1 are gone, 1 of whom",
    ) as refused:
        load(B, C).execute(context)
    assert A not in str(refused.value)
    assert billed(sandbox) == []
    assert load(B, C, audience_change="keep").execute(context)["sent"] == 2
    assert "goes on with the first list: nobody is added" in caplog.text
    assert load(A, B).execute(context)["total"] == 2
    assert load(A, B, C).execute(context)["total"] == 3
    assert "of its recipients 1 are new. They are added." in caplog.text
    assert billed(sandbox) == [A, B, C]


@pytest.mark.parametrize(
    ("map_index", "campaign_id"), [(-1, "dag/run/send"), (0, "dag/run/send/0"), (7, "dag/run/send/7")]
)
def test_the_default_id(map_index: int, campaign_id: str, context: Any) -> None:
    """Each task instance has a campaign of its own unless it is told otherwise."""
    context["ti"].map_index = map_index
    assert operator(mobiles=[A]).execute(context)["campaign_id"] == campaign_id


def test_another_template_under_the_id(context: Any) -> None:
    """A campaign has one template; the sentence names the way."""
    operator(mobiles=[A], campaign_id="spring").execute(context)
    with pytest.raises(AirflowFailException, match="'spring' belongs to a campaign with template 65535"):
        operator(mobiles=[B], campaign_id="spring", tpl_id=65536).execute(context)


def test_another_account_for_the_same_key(
    sandbox: SandboxServer, context: Any, connect: Callable[..., None]
) -> None:
    """Nothing is sent or retried, whoever sends; a connection without an account sends by the key's."""
    gateway = {"host": sandbox.host, "port": sandbox.port, "schema": "http"}
    connect("brand", **gateway, extra={"account": "brand", "send_window": "none"})
    connect("plain", **gateway, extra={"send_window": "none"})
    operator(mobiles=[A, B], campaign_id="first", caixin_conn_id="brand").execute(context)
    connect("shop", **gateway, extra={"account": "shop", "send_window": "none", "frequency_cap": "none"})
    for one in (
        operator(mobiles=[A], caixin_conn_id="shop").execute,
        operator(mobiles=[A], caixin_conn_id="shop", dry_run=True).execute,
        CaixinNotifier(tpl_id=65536, mobiles=A, caixin_conn_id="shop").notify,
    ):
        with pytest.raises(AirflowFailException, match=r"account 'shop'.* belongs to account 'brand'"):
            one(context)
    result = operator(mobiles=[A, B], campaign_id="second", caixin_conn_id="plain").execute(context)
    assert result["skipped"] == {"frequency_cap": 2}
    assert billed(sandbox) == [A, B]


def test_the_cap_holds_across_campaigns(context: Any) -> None:
    """Who got a message today gets none from another campaign."""
    operator(mobiles=[A], campaign_id="one").execute(context)
    assert operator(mobiles=[A, B], campaign_id="two").execute(context)["skipped"] == {"frequency_cap": 1}


def test_a_missing_file_may_come(tmp_path: Path, context: Any) -> None:
    """A file that is not there is an ordinary failure, which Airflow may retry."""
    with pytest.raises(AirflowException, match="does not exist") as caught:
        operator(audience_file=str(tmp_path / "recipients.csv")).execute(context)
    assert not isinstance(caught.value, AirflowFailException)


def test_no_number_and_no_key_in_the_log(
    sandbox: SandboxServer, tmp_path: Path, context: Any, logged: Callable[[], str], connect: Any
) -> None:
    """Whatever happens, logs and errors hold neither the AppKey nor a full number."""
    key = "a-key-like-no-other-0123"
    connect(host=sandbox.host, port=sandbox.port, schema="http", password=key, extra={"send_window": "none"})
    mobiles = [A, BEIJING, f"x{A}", *(magic_mobile(code) for code in (236306, 236309, 10014, 99004, 99052))]
    with pytest.raises(AirflowException) as caught:
        operator(mobiles=mobiles, report_file=str(tmp_path / "report.csv")).execute(context)
    with pytest.raises(AirflowException) as other:
        operator(mobiles=[A], tpl_id=1, campaign_id="x").execute(context)
    text = f"{logged()}{caught.value}{other.value}"
    assert "recipients" in text
    assert key not in text
    assert not re.search(r"1[3-9]\d{9}", text)


def test_counts_only(context: Any) -> None:
    """The result that becomes an XCom holds no numbers of recipients."""
    assert not re.search(r"1[3-9]\d{9}", repr(operator(mobiles=[A, B]).execute(context)))


def test_a_report_to_nowhere(context: Any, sandbox: SandboxServer) -> None:
    """A template that came to None is no path of a file with full numbers."""
    with pytest.raises(AirflowFailException, match="report_file 'None' is what its template came to"):
        operator(mobiles=[A], report_file="None").execute(context)
    assert sandbox.requests() == []


def test_asset_events(context: Any) -> None:
    """Each asset among the outlets gets the counts, beside what the Dag put there; no number and no sid."""
    sent, other, alias = Asset("sent"), Asset("other"), AssetAlias("alias")
    events = OutletEventAccessors()
    events[other].extra["by"] = "me"
    result = operator(mobiles=A, outlets=[sent, other, alias]).execute(dict(context, outlet_events=events))  # type: ignore[arg-type]
    counts = {key: value for key, value in result.items() if key not in ("report_file", "sid")}
    assert counts["sent"] == 1
    assert events[sent].extra == counts
    assert events[other].extra == {"by": "me", **counts}
    assert A not in repr(events)


def test_the_media_link(context: Any, sandbox: SandboxServer) -> None:
    """It leads to the video once the template is read: the UI does not ask again when the task has ended."""
    task = operator(mobiles=[A])
    pushed: dict[str, tuple[str, int]] = {}
    context["ti"].xcom_push = lambda key, value: pushed.update({key: (value, len(sandbox.requests()))})
    link = TemplateMediaLink()
    assert link.get_link(task, ti_key=context["ti"]) == ""
    task.execute(context)
    assert link.get_link(task, ti_key=context["ti"]) == f"{sandbox.url}/media/sunrise.mp4"
    assert pushed[link.xcom_key] == (f"{sandbox.url}/media/sunrise.mp4", 0)
    assert [one.name for one in task.operator_extra_links] == ["Campaign", "Template media"]


def test_who_had_the_template(context: Any, to_sandbox: Connect) -> None:
    """A dry run counts who would get it and already did, in another campaign or this one's other rows."""
    to_sandbox(frequency_cap="none")
    operator(mobiles=[A, B, magic_mobile(99004)], campaign_id="before", max_failure_ratio=None).execute(
        context
    )
    operator(tpl_id=65536, mobiles=[C], campaign_id="another template").execute(context)
    mobiles = [A, B, C, C, magic_mobile(99004), "12"]
    result = operator(mobiles=mobiles, dry_run=True, campaign_id="now").execute(context)
    assert (result["would_send"], result["had_template"], result["had_template_among"]) == (4, 3, 4)
    operator(mobiles=[C], campaign_id="now").execute(context)
    result = operator(mobiles=mobiles, dry_run=True, campaign_id="now").execute(context)
    assert (result["would_send"], result["had_template"], result["had_template_among"]) == (3, 3, 3)
    assert "had_template" not in operator(mobiles=[C], campaign_id="now").execute(context)


@pytest.mark.parametrize(("given", "sent"), [("1", 1), (" 0 ", 0), ("off", 2), (" Off", 2)])
def test_a_budget_may_be_a_template(context: Any, given: Any, sent: int) -> None:
    """Jinja makes a text of a number."""
    assert operator(mobiles=[A, B], max_messages=given).execute(context)["sent"] == sent


@pytest.mark.parametrize("given", ["many", "-2", "1.5", -1, 2.5, True, "None", ""])
def test_a_budget_that_is_none(context: Any, given: Any) -> None:
    """It is refused before anything is sent."""
    with pytest.raises(
        AirflowFailException, match=r"max_messages .*: expected a (whole number from 0, or None|value)"
    ):
        operator(mobiles=[A], max_messages=given).execute(context)
