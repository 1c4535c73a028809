from __future__ import annotations

import csv
import itertools
import os
import re
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import airflow.sdk.execution_time.context
import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException

from airflow_provider_caixin.notifications.caixin import CaixinNotifier
from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.rules import FrequencyCap, SendWindow
from airflow_provider_caixin.sandbox import SandboxServer, magic_mobile
from airflow_provider_caixin.session.readers import read_expiry
from airflow_provider_caixin.settings.ledgers import open_ledger
from airflow_provider_caixin.settings.options import read_flag

A, B, C = "13912340001", "13912340002", "13912340003"
BEIJING, UNICOM, VIRTUAL = "13501000001", "13012340001", "17051234567"
KEYS = ["campaign_id", "tpl_id", "total", "sent", "skipped", "rejected", "unknown", "pending", "report_file"]

pytestmark = pytest.mark.usefixtures("to_sandbox")


def operator(**arguments: Any) -> CaixinSendOperator:
    """Make an operator of template 65535."""
    return CaixinSendOperator(**{"task_id": "send", "tpl_id": 65535, **arguments})


def billed(sandbox: SandboxServer) -> list[str]:
    """Say whom the sandbox billed, in order."""
    return sorted(row["mobile"] for row in sandbox.billed())


# ---------------------------------------------------------------------- results


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
    (tmp_path / "people.csv").write_text(f"name,phone\nx,{A}\ny,{BEIJING}\nz,nobody\n")
    report = tmp_path / "made" / "report.csv"
    result = operator(
        audience_file=f"file://{tmp_path}/people.csv", audience_column="phone", report_file=str(report)
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
    (tmp_path / "people.txt").write_text(f"{A}\n{B}\n")
    assert operator(audience_file=tmp_path / "people.txt").execute(context)["sent"] == 2


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


# ---------------------------------------------------------------------- again


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
    """A new time alone is nothing; other people are refused before anything is sent, until a person said which are meant."""
    file = tmp_path / "people.txt"
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
        match=r"of 'dag/run/send/-1' \(audience_file '.*people.txt'\) changed .*: of its people 1 are new and 1 are gone, 1 of whom",
    ) as refused:
        load(B, C).execute(context)
    assert A not in str(refused.value)
    assert billed(sandbox) == []
    assert load(B, C, audience_change="keep").execute(context)["sent"] == 2
    assert "goes on with the first list: nobody is added" in caplog.text
    assert load(A, B).execute(context)["total"] == 2
    assert load(A, B, C).execute(context)["total"] == 3
    assert "of its people 1 are new. They are added." in caplog.text
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
    """Sends nothing and is not tried again, whoever sends; a connection without an account sends by the key's."""
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


# ---------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "mobiles and audience_file: neither given"),
        ({"mobiles": [A], "audience_file": "x.csv"}, "mobiles and audience_file: both given"),
        ({"mobiles": [A], "tpl_id": "{{ x }}"}, "tpl_id '{{ x }}'"),
        ({"mobiles": [A], "campaign_id": "None"}, "campaign_id 'None'"),
        ({"mobiles": [A], "campaign_id": " "}, "campaign_id ' '"),
        ({"mobiles": [A], "dry_run": "perhaps"}, "dry_run 'perhaps'"),
        ({"mobiles": [A], "expires_at": "tomorrow"}, "expires_at 'tomorrow'"),
        ({"mobiles": [A], "expires_at": 7}, "expires_at 7"),
        ({"mobiles": [A], "max_messages": -1}, "max_messages -1"),
        ({"mobiles": [A], "max_failure_ratio": 2}, "max_failure_ratio 2"),
        ({"mobiles": [A], "max_consecutive_failures": 0}, "max_consecutive_failures 0"),
        ({"mobiles": [A], "blocked_regions": ["Beijing"]}, "blocked_regions: 'Beijing'"),
        ({"mobiles": {"a": A}}, "mobiles: got a dict"),
        ({"mobiles": [[A]]}, "mobiles: item 0 is a list"),
        ({"audience_file": "people.xlsx"}, "people.xlsx"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_value_fails_without_a_retry(
    arguments: dict[str, Any], sentence: str, sandbox: SandboxServer, context: Any
) -> None:
    """What a field came to is checked in execute; the sentence names field and value and nothing is sent."""
    with pytest.raises(AirflowFailException, match=re.escape(sentence)):
        operator(**arguments).execute(context)
    assert not sandbox.requests()


def test_a_missing_file_may_come(tmp_path: Path, context: Any) -> None:
    """A file that is not there is an ordinary failure, which Airflow may retry."""
    with pytest.raises(AirflowException, match="does not exist") as caught:
        operator(audience_file=str(tmp_path / "people.csv")).execute(context)
    assert not isinstance(caught.value, AirflowFailException)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"outside_window": "explode"}, "outside_window 'explode'"),
        ({"on_unknown": "forget"}, "on_unknown 'forget'"),
        ({"audience_change": "drop"}, "audience_change 'drop'"),
        ({"send_window": "18:00-09:00"}, "18:00-09:00"),
        ({"frequency_cap": "often"}, "frequency_cap 'often'"),
        ({"blocked_regions": 24}, "blocked_regions 24"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_in_the_dag_is_an_import_error(arguments: dict[str, Any], sentence: str) -> None:
    """What no template can change is checked when the Dag is read."""
    with pytest.raises(ValueError, match=re.escape(sentence)):
        operator(mobiles=[A], **arguments)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        ("True", True),
        ("1", True),
        (" yes ", True),
        (False, False),
        ("False", False),
        ("0", False),
    ],
    ids=repr,
)
def test_truth_from_a_template(value: object, expected: object) -> None:
    """A template makes a text of True and False."""
    assert read_flag("dry_run", value) is expected


CHINA = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("off", None),
        ("close", "close"),
        (" close ", "close"),
        (timedelta(hours=2), timedelta(hours=2)),
        ("2026-11-23 18:00", datetime(2026, 11, 23, 18, tzinfo=CHINA)),
        ("2026-11-23T10:00:00+00:00", datetime(2026, 11, 23, 18, tzinfo=CHINA)),
        ("2026-11-23T10:00:00Z", datetime(2026, 11, 23, 18, tzinfo=CHINA)),
        (datetime(2026, 11, 23, 18), datetime(2026, 11, 23, 18, tzinfo=CHINA)),  # noqa: DTZ001
        (datetime(2026, 11, 23, 10, tzinfo=UTC), datetime(2026, 11, 23, 18, tzinfo=CHINA)),
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


# ---------------------------------------------------------------------- rules


def test_an_argument_goes_before_the_connection(to_sandbox: Any, context: Any) -> None:
    """Precedence: argument, then the connection's extra."""
    to_sandbox(blocked_regions=["上海"], frequency_cap="none")
    result = operator(
        mobiles=[A, BEIJING], frequency_cap="member_marketing", blocked_regions=["北京"]
    ).execute(context)
    assert result["skipped"] == {"blocked_region": 1}
    result = operator(mobiles=[A, BEIJING], campaign_id="two").execute(context)
    assert (result["sent"], result["skipped"]) == (2, {})


def test_none_means_no_rule(context: Any) -> None:
    """None is given, other than leaving the argument out."""
    mobiles = [A, BEIJING, UNICOM, VIRTUAL]
    free = {
        "frequency_cap": None,
        "blocked_regions": None,
        "allow_other_carriers": True,
        "allow_virtual_operators": True,
    }
    assert operator(mobiles=mobiles, campaign_id="one", **free).execute(context)["sent"] == 4
    assert operator(mobiles=mobiles, campaign_id="two", **free).execute(context)["sent"] == 4


LOOSENED = [
    ({"send_window": None}, "send_window is off in this Dag and 09:00-18:00 without it"),
    ({"send_window": "08:59-18:00"}, "send_window is 08:59-18:00 in this Dag"),
    ({"send_window": SendWindow("10:00-18:01")}, "send_window is 10:00-18:01 in this Dag"),
    ({"frequency_cap": None}, "frequency_cap is off in this Dag and 1 a day without it"),
    ({"frequency_cap": FrequencyCap(per_day=2)}, "frequency_cap is 2 a day in this Dag"),
    ({"blocked_regions": None}, "blocked_regions leaves out 北京、沈阳"),
    ({"blocked_regions": ["北京市", "上海"]}, "blocked_regions leaves out 沈阳"),
    ({"allow_other_carriers": True}, "allow_other_carriers"),
    ({"allow_virtual_operators": True}, "allow_virtual_operators"),
    ({"on_unknown": "resend"}, "on_unknown is resend"),
]


@pytest.mark.parametrize(("arguments", "sentence"), LOOSENED, ids=[sentence for _, sentence in LOOSENED])
def test_a_loosened_rule_is_a_warning(
    arguments: dict[str, Any],
    sentence: str,
    to_sandbox: Any,
    context: Any,
    logged: Callable[[], str],
) -> None:
    """The log says what a Dag allows that would not be allowed without it."""
    to_sandbox(send_window=None)
    operator(mobiles=[A], dry_run=True, **arguments).execute(context)
    text = logged()
    assert f"A rule is loosened: {sentence}" in text
    assert ("a field of a YAML file with nothing behind it" in text) is (None in arguments.values())


TIGHTENED = [
    {},
    {"send_window": "09:00-18:00"},
    {"send_window": "10:00-17:00"},
    {"frequency_cap": "games_health"},
    {"frequency_cap": FrequencyCap(per_day=1, rolling=True)},
    {"blocked_regions": ["辽宁", "北京"]},
]


@pytest.mark.parametrize("arguments", TIGHTENED, ids=str)
def test_a_tightened_rule_is_none(
    arguments: dict[str, Any], to_sandbox: Any, context: Any, logged: Callable[[], str]
) -> None:
    """A rule that a Dag keeps or tightens is not worth a warning."""
    to_sandbox(send_window=None)
    operator(mobiles=[A], dry_run=True, **arguments).execute(context)
    assert "loosened" not in logged()


def test_a_backfill(sandbox: SandboxServer, context: Any) -> None:
    """A backfill run sends only when the Dag says so."""
    context["dag_run"] = SimpleNamespace(run_type=SimpleNamespace(value="backfill"))
    with pytest.raises(AirflowFailException, match="allow_backfill=True"):
        operator(mobiles=[A]).execute(context)
    assert not sandbox.requests()
    assert operator(mobiles=[A], allow_backfill=True).execute(context)["sent"] == 1


# ---------------------------------------------------------------------- the template


@pytest.mark.parametrize(
    ("tpl_id", "sentence"), [(1, "Template 1 is not among"), (65537, "Template 65537 is not available")]
)
def test_a_template_that_cannot_be_sent(
    tpl_id: int, sentence: str, sandbox: SandboxServer, context: Any
) -> None:
    """The look at the template fails the task before anything is sent."""
    with pytest.raises(AirflowFailException, match=sentence):
        operator(mobiles=[A], tpl_id=tpl_id).execute(context)
    assert not sandbox.requests()


def test_without_a_look(sandbox: SandboxServer, context: Any) -> None:
    """Without the look the gateway itself refuses, and the recipient stays pending."""
    with pytest.raises(AirflowFailException, match="236303"):
        operator(mobiles=[A], tpl_id=65537, check_template=False).execute(context)
    assert len(sandbox.requests()) == 1
    sandbox.set_template(65537, available=True)
    assert operator(mobiles=[A], tpl_id=65537).execute(context)["sent"] == 1


def test_a_look_that_fails(sandbox: SandboxServer, context: Any) -> None:
    """A gateway in maintenance is a failure that Airflow may retry."""
    sandbox.configure(maintenance=True)
    with pytest.raises(AirflowException, match="10020") as caught:
        operator(mobiles=[A]).execute(context)
    assert not isinstance(caught.value, AirflowFailException)


def test_a_finished_campaign_needs_no_template(sandbox: SandboxServer, context: Any) -> None:
    """Run again, a campaign without anybody left asks the gateway nothing."""
    first = operator(mobiles=[A]).execute(context)
    sandbox.set_template(65535, available=False)
    assert operator(mobiles=[A]).execute(context) == first


def test_a_refused_account(connect: Any, sandbox: SandboxServer, context: Any) -> None:
    """A key that the gateway refuses fails without a retry; who was not sent to stays pending."""
    connect(
        host=sandbox.host,
        port=sandbox.port,
        schema="http",
        password="sandbox-10001",
        extra={"send_window": "none"},
    )
    with pytest.raises(AirflowFailException, match="10001"):
        operator(mobiles=[A], check_template=False).execute(context)


# ---------------------------------------------------------------------- the ledger's own id


class Store(dict[str, Any]):
    """A task state store."""

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        """Keep a value as the real one does."""
        assert (retention is not None) == (key == "ledger")
        self[key] = value


has_a_state_store = pytest.mark.skipif(
    not hasattr(airflow.sdk.execution_time.context, "NEVER_EXPIRE"),
    reason="Airflow 3.2 has no task state store",
)


@has_a_state_store
def test_the_ledger_is_remembered(context: Any) -> None:
    """The first attempt notes its ledger, and the same one is welcome again."""
    store = context["task_state_store"] = Store()
    operator(mobiles=[A]).execute(context)
    with closing(open_ledger(None)) as ledger:
        assert store["ledger"] == ledger.uuid
    operator(mobiles=[A]).execute(context)


@has_a_state_store
def test_another_ledger_is_refused(
    context: Any, sandbox: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container made anew has an empty ledger and would bill everything again."""
    context["task_state_store"] = Store()
    operator(mobiles=[A]).execute(context)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "new"))
    (tmp_path / "new").mkdir()
    with pytest.raises(AirflowFailException, match="would be sent again"):
        operator(mobiles=[A]).execute(context)
    assert billed(sandbox) == [A]


def test_a_store_that_fails(context: Any, logged: Callable[[], str]) -> None:
    """The store is a second net: without it a campaign goes on, with a warning."""
    context["task_state_store"] = SimpleNamespace()
    assert operator(mobiles=[A]).execute(context)["sent"] == 1
    assert "The ledger's id cannot be kept" in logged()


# ---------------------------------------------------------------------- privacy


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
    """The result that becomes an XCom holds no numbers of people."""
    assert not re.search(r"1[3-9]\d{9}", repr(operator(mobiles=[A, B]).execute(context)))


def test_a_report_to_nowhere(context: Any, sandbox: SandboxServer) -> None:
    """A template that came to None is no path of a file with full numbers."""
    with pytest.raises(AirflowFailException, match="report_file 'None' is what its template came to"):
        operator(mobiles=[A], report_file="None").execute(context)
    assert sandbox.requests() == []
