"""Rules hold per message: window, expiry, budget, caps, suppression, regions, pause and cancel."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pendulum
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection

from airflow_provider_caixin.audience import AudienceError, Classifier, FileAudience, audience_from
from airflow_provider_caixin.campaign import (
    AudienceChanged,
    Campaign,
    CampaignCancelled,
    CampaignError,
    CampaignPaused,
    CampaignStopped,
    ClocksApart,
    DayVolumeUsedUp,
    FailureRatioReached,
    LedgerSilent,
    OutsideWindow,
    Plan,
    Progress,
    StoppedInSilence,
    dry_run,
)
from airflow_provider_caixin.china_time import CHINA, china_midnight
from airflow_provider_caixin.juhe.transport import Transport
from airflow_provider_caixin.ledger import Ledger, LedgerUnavailable, schema
from airflow_provider_caixin.ledger.admin import accounts, controls, restore, suppressions
from airflow_provider_caixin.ledger.errors import NoSuchCampaign
from airflow_provider_caixin.ledger.queue import sorting
from airflow_provider_caixin.ledger.rows import names as account_names
from airflow_provider_caixin.rules import FrequencyCap, SendWindow
from airflow_provider_caixin.sandbox import SandboxServer, magic_mobile
from airflow_provider_caixin.vocabulary import State

Make = Callable[..., Campaign]
# As the fixture has it.
LEASE = 7.0
OFFICE = SendWindow("09:00-18:00")
ONE_A_DAY = FrequencyCap(1)
SERVERS = pytest.mark.parametrize(
    "ledger_url",
    [pytest.param(name, marks=pytest.mark.service) for name in ("postgresql", "mysql")],
    indirect=True,
)
# The clock of the other two is the server's.
EMBEDDED = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)


def people(count: int, start: int = 0) -> list[str]:
    """Make up numbers that every rule lets pass."""
    return [str(13_912_340_000 + start + index) for index in range(count)]


def clock_at(text: str) -> Callable[[], float]:
    """Make a clock that starts at a moment in China and runs on."""
    offset = pendulum.parse(text, tz=CHINA).timestamp() - time.time()  # type: ignore[union-attr]  # a moment
    return lambda: time.time() + offset


def test_a_window_that_closes_half_way(make: Make, gateway: SandboxServer) -> None:
    """What is left waits for the next opening, and a run at that opening sends it: everyone once."""
    make(people(200))
    campaign = make(window=OFFICE, rate=50, clock=clock_at("2026-11-23 17:59:51"))
    with pytest.raises(OutsideWindow) as closed:
        campaign.send()
    first = campaign.counts()
    assert closed.value.opens_at == pendulum.datetime(2026, 11, 24, 9, tz=CHINA)
    assert 0 < first.sent < 200
    assert first.sent + first.pending == 200
    with pytest.raises(OutsideWindow):
        make(window=OFFICE, clock=clock_at("2026-11-23 20:00:00")).send()
    assert gateway.state()["billed"] == first.sent
    resumed = make(window=OFFICE, clock=clock_at("2026-11-24 09:00:01"))
    resumed.send()
    assert resumed.counts().sent == 200
    state = gateway.state()
    assert state["billed"] == state["billed_numbers"] == 200


@EMBEDDED
@pytest.mark.parametrize(
    ("host", "ledger_clock", "morning"), [(0.0, 5.0, "09:00:00.5"), (5.0, 0.0, "08:59:58.5")]
)
def test_a_message_leaves_where_both_clocks_say_that_the_window_is_open(
    make: Make, gateway: SandboxServer, host: float, ledger_clock: float, morning: str
) -> None:
    """By the one that is ahead the window closes, by the other one it opens."""
    clock = clock_at("2026-11-23 17:59:46")
    clocks: dict[str, Callable[[], float]] = {
        "clock": lambda: clock() + host,
        "ledger_clock": lambda: clock() + ledger_clock,
    }
    campaign = make(people(300), window=OFFICE, rate=50, **clocks)
    with pytest.raises(OutsideWindow) as closed:
        campaign.send()
    assert closed.value.opens_at == pendulum.datetime(2026, 11, 24, 9, tz=CHINA)
    closes = pendulum.datetime(2026, 11, 23, 18, tz=CHINA).timestamp()
    arrived = gateway.state()["last_arrival"] - time.time() + max(read() for read in clocks.values())
    before = gateway.state()["billed"]
    assert 0 < before < 300
    assert arrived < closes - 5.0
    clock = clock_at(f"2026-11-24 {morning}")
    make(window=OFFICE, rate=200, **clocks).send()
    opened = pendulum.datetime(2026, 11, 24, 9, tz=CHINA).timestamp() + 2.0
    leaves = min(read() for read in clocks.values()) - time.time()
    moments = sorted(request["moment"] for request in gateway.requests())
    assert moments[before] - time.monotonic() + time.time() + leaves >= opened


def test_clocks_that_are_far_apart_stop_the_run(make: Make, gateway: SandboxServer) -> None:
    """Nothing has left, the rest is pending, and a host whose clock is right sends it."""
    now = clock_at("2026-11-23 12:00:00")
    campaign = make(people(3), window=OFFICE, clock=lambda: now() - 40, ledger_clock=now)
    with pytest.raises(ClocksApart, match=r"says 2026-11-23 11:59:2\d and the ledger's 2026-11-23 12:00:0\d"):
        campaign.send()
    assert campaign.counts().as_result()["pending"] == 3
    assert gateway.state()["requests"] == 0
    make(window=OFFICE, clock=now).send()
    assert gateway.state()["billed"] == 3


def test_a_clock_that_is_set_wrong_while_a_run_sends(make: Make, gateway: SandboxServer) -> None:
    """Stops it; what is out is settled."""
    now, off = clock_at("2026-11-23 12:00:00"), [0.0]
    campaign = make(people(400), rate=100, clock=lambda: now() + off[0], ledger_clock=now)

    def step() -> None:
        while gateway.state()["billed"] < 20:
            time.sleep(0.01)
        off[0] = 3600.0

    thread = threading.Thread(target=step)
    thread.start()
    with pytest.raises(ClocksApart):
        campaign.send()
    thread.join()
    counts = campaign.counts()
    assert 20 <= counts.sent == gateway.state()["billed"] < 400
    assert counts.sent + counts.pending == 400


@EMBEDDED
@pytest.mark.parametrize("used", [0, 20])
@pytest.mark.parametrize("host_ahead", [True, False])
def test_nothing_leaves_while_the_clocks_name_two_days(
    make: Make, gateway: SandboxServer, ledger: Ledger, host_ahead: bool, used: int
) -> None:
    """Both say that the window is open; the run waits until both are behind midnight, also for the new day's volume."""
    midnight = pendulum.datetime(2026, 11, 24, tz=CHINA).timestamp()
    began = time.monotonic()

    def ahead() -> float:
        return midnight + 3.0 + time.monotonic() - began

    def behind() -> float:
        passed = time.monotonic() - began
        return midnight + passed + (-19.0 if passed < 1.0 else 2.0)

    host, other = (ahead, behind) if host_ahead else (behind, ahead)
    campaign = make(people(20), rate=100, max_per_day=20, clock=host, ledger_clock=other)
    with ledger.writing() as connection:
        day = sa.update(schema.account).values(day=midnight - 86_400.0, day_count=used)
        connection.execute(day)
    began = time.monotonic()
    campaign.send()
    assert gateway.state()["billed"] == 20
    assert min(request["moment"] for request in gateway.requests()) - began >= 1.0
    with ledger.reading() as connection:
        [account] = accounts.accounts(connection)
    assert (account.day, account.day_count) == (midnight, 20)


@EMBEDDED
def test_a_ledger_s_clock_that_is_a_day_ahead_forgets_no_volume(make: Make, gateway: SandboxServer) -> None:
    """The run ends by it, and what was sent today is still counted when it is right again."""
    now, off = clock_at("2026-11-23 12:00:00"), 0.0
    plan = {"max_per_day": 5, "clock": now, "ledger_clock": lambda: now() + off}
    with pytest.raises(DayVolumeUsedUp):
        make(people(20), **plan).send()
    off = 86_400.0
    with pytest.raises(ClocksApart):
        make(**plan).send()
    off = 0.0
    with pytest.raises(DayVolumeUsedUp):
        make(**plan).send()
    assert gateway.state()["billed"] == 5


@EMBEDDED
def test_an_open_campaign_whose_account_was_merged(
    make: Make, gateway: SandboxServer, ledger: Ledger
) -> None:
    """It heeds the account that it has by now, also where the old one's place in the file was taken by another."""
    with ledger.writing() as connection:
        account_names.find_account(ledger, connection, "kept")
    campaign = make(people(20), account="merged")
    accounts.merge_accounts(ledger, "merged", "kept")
    accounts.pause_account(ledger, "kept")
    with ledger.writing() as connection:
        account_names.find_account(ledger, connection, "new")
    with pytest.raises(CampaignPaused):
        campaign.send()
    assert gateway.state()["requests"] == 0


@EMBEDDED
def test_nothing_arrives_on_another_day_than_it_left(make: Make, gateway: SandboxServer) -> None:
    """The run is idle some seconds before midnight and 2 s after it, and goes on with the new day's count."""
    midnight = pendulum.datetime(2026, 11, 24, tz=CHINA).timestamp()
    began = [time.monotonic()]

    def clock() -> float:
        now = midnight - 8.2 + time.monotonic() - began[0]
        # Nothing may leave in the seconds that this clock leaves out.
        return now + 6.0 if now > midnight - 6.5 else now

    gateway.configure(latency_ms=(300, 400))
    campaign = make(people(200), rate=100, max_per_day=190, clock=clock)
    began[0] = time.monotonic()
    campaign.send()
    assert campaign.counts().sent == 200
    arrived = sorted(request["moment"] + clock() - time.monotonic() for request in gateway.requests())
    # What left before the clock's leap looks six seconds later than it was.
    before = [moment - 6.0 for moment in arrived if moment - 6.0 < midnight - 6.5]
    after = arrived[len(before) :]
    assert 10 < len(before) < 150
    assert before[-1] <= midnight - 7.0 + 0.1
    assert after[0] >= midnight + 2.0


def test_the_rest_can_be_skipped_when_the_window_closes(make: Make) -> None:
    """And a later run inside the window takes it up again."""
    campaign = make(people(3), window=OFFICE, clock=clock_at("2026-11-23 20:00:00"))
    campaign.skip_rest("window_closed")
    assert campaign.counts().skipped == {"window_closed": 3}
    again = make(window=OFFICE, clock=clock_at("2026-11-24 10:00:00"))
    again.send()
    assert again.counts().as_result()["sent"] == 3


@pytest.mark.parametrize(
    ("expires_at", "window", "now"),
    [
        (pendulum.datetime(2026, 11, 23, 11, tz=CHINA), None, "2026-11-23 11:00:00"),
        (pendulum.datetime(2026, 11, 23, 11).naive(), None, "2026-11-23 11:00:00"),
        (timedelta(seconds=0), None, None),
        ("close", OFFICE, "2099-11-23 12:00:00"),
    ],
)
def test_what_expired_is_skipped(
    make: Make, gateway: SandboxServer, expires_at: object, window: SendWindow | None, now: str | None
) -> None:
    """A stale message is not sent next morning, nor by any later run."""
    options = {"expires_at": expires_at, "window": window}
    # Today: the closing after the load was long before that of 2099.
    make(people(3), **options)
    for _ in range(2):
        campaign = make(people(3), **options, clock=clock_at(now) if now else None)
        campaign.send()
        assert campaign.counts().skipped == {"expired": 3}
    assert gateway.state()["requests"] == 0


def test_nobody_waits_a_night_to_expire(make: Make) -> None:
    """In the closing guard of the window at whose closing the campaign expires, the rest is skipped at once."""
    clock = clock_at("2026-11-23 17:59:55")
    campaign = make(
        people(3), window=OFFICE, clock=clock, expires_at=pendulum.datetime(2026, 11, 23, 18, tz=CHINA)
    )
    campaign.send()
    assert campaign.counts().skipped == {"expired": 3}


def test_an_audience_file_that_is_gone_next_morning(make: Make, tmp_path: Path) -> None:
    """The ledger has the audience; a file that was never loaded is an error."""
    file = tmp_path / "audience.txt"
    file.write_text("\n".join(people(3)))
    make().load(FileAudience(file), "dag/run/task")
    file.unlink()
    campaign = make()
    assert not campaign.load(FileAudience(file), "dag/run/task")
    campaign.send()
    assert campaign.counts().sent == 3
    with pytest.raises(AudienceError):
        campaign.load(FileAudience(file), "dag/run")
    with pytest.raises(AudienceError):
        campaign.load(FileAudience(tmp_path / "another.txt"), "dag/run/task")


def test_a_file_that_changed_under_its_campaign(
    make: Make, gateway: SandboxServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its people decide: the same are silent, more are a WARNING, others are refused until a person said which are meant."""
    file, everybody = tmp_path / "audience.txt", people(6)

    def load(numbers: list[str], **said: Any) -> bool:
        caplog.clear()
        before = file.stat().st_mtime_ns if file.exists() else 0
        file.write_text("\n".join(numbers))
        os.utime(file, ns=(before + 10**9, before + 10**9))
        return make().load(FileAudience(file), "dag/run/task/-1", **said)

    assert load(everybody[:3])
    assert load(everybody[:3])
    assert not make().load(FileAudience(file), "dag/run/task/-1")
    assert "changed" not in caplog.text
    assert load(everybody[:4])
    [warning] = [one.message for one in caplog.records if one.levelname == "WARNING"]
    assert "1 are new. They are added." in warning
    refused = r"2 are new and 1 are gone, 1 of whom .*Nobody was added.*audience_change=.add.*keep.*cancel"
    with pytest.raises(AudienceChanged, match=refused) as raised:
        load(everybody[1:])
    assert not any(number in str(raised.value) for number in everybody)
    # The path was wrong, and is corrected.
    corrected = tmp_path / "corrected.txt"
    corrected.write_text(everybody[5])
    with pytest.raises(AudienceChanged, match="1 are new and 4 are gone"):
        make().load(FileAudience(corrected), "dag/run/task/-1")
    assert not load(everybody[1:], audience_change="keep")
    assert "goes on with the first list" in caplog.text
    make().send()
    assert sorted(row["mobile"] for row in gateway.billed()) == everybody[:4]
    assert load(everybody[1:], audience_change="add")
    make().send()
    assert sorted(row["mobile"] for row in gateway.billed()) == everybody
    # Who is gone has had it: nothing is left to decide.
    assert load(everybody[1:])


def test_who_is_gone_from_a_file_and_would_get_it_all_the_same(make: Make, tmp_path: Path) -> None:
    """It is refused, until a person said so or cancelled the campaign."""
    file, everybody = tmp_path / "audience.txt", people(3)
    file.write_text("\n".join(everybody))
    make().load(FileAudience(file), "dag/run/task/-1")
    file.write_text(everybody[0])
    for _ in range(2):
        with pytest.raises(AudienceChanged, match="0 are new and 2 are gone, 2 of whom would still get"):
            make().load(FileAudience(file), "dag/run/task/-1")
    campaign = make()
    assert campaign.load(FileAudience(file), "dag/run/task/-1", audience_change="keep")
    file.unlink()
    file.write_text("")
    controls.cancel_campaign(campaign._ledger, "campaign")
    assert make().load(FileAudience(file), "dag/run/task/-1")


def test_who_is_gone_from_a_list_and_kept_out_by_a_rule(
    make: Make, gateway: SandboxServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Whom the rules of this run would let pass is still to come; whom they keep out is nobody's business any more."""
    here, beijing = people(1)[0], "13501000001"
    blocked = {"classifier": Classifier(blocked_regions=["北京"])}

    def load(*numbers: str, **plan: Any) -> bool:
        return make(**plan).load(audience_from(list(numbers)), "dag/run/task")

    assert load(here, beijing, magic_mobile(99004), **blocked)
    make(**blocked).send()
    assert load(here, magic_mobile(99004), **blocked)
    with pytest.raises(AudienceChanged, match="2 are gone, 1 of whom would still get"):
        load(here, **blocked, on_unknown="resend")
    with pytest.raises(AudienceChanged, match="2 are gone, 1 of whom would still get"):
        load(here)
    assert load(here, **blocked)
    assert load(**blocked)
    assert "Nobody is in it now: the campaign goes on with the first list." in caplog.text
    make(**blocked).send()
    assert gateway.state()["requests"] == 2


def test_nothing_of_an_unreadable_audience_is_kept(make: Make, gateway: SandboxServer) -> None:
    """It is judged before the ledger is touched, and the same source may give something better next time."""
    campaign = make()
    with pytest.raises(AudienceError, match="none of the 2 rows is a mobile number"):
        campaign.load(audience_from(["9.9", "19.9"]), "dag/run/task")
    assert campaign.counts().total == 0
    assert campaign.load(audience_from(["9.9", *people(1)]), "dag/run/task")
    campaign.send()
    assert (campaign.counts().sent, campaign.counts().skipped) == (1, {"invalid_number": 1})
    assert len(gateway.billed()) == 1


def test_progress_is_told_to_the_end(make: Make) -> None:
    """The last progress is the result, however short the run."""
    told: list[Progress] = []
    campaign = make(people(20))
    campaign.send(on_progress=told.append, every=0.05)
    assert told[-1].as_dict() | {"rate": 0, "eta": 0} == {
        "total": 20, "pending": 0, "in_flight": 0, "sent": 20, "rejected": 0, "unknown": 0, "skipped": 0,
        "rate": 0, "eta": 0,
    }  # fmt: skip
    assert [one.sent for one in told] == sorted(one.sent for one in told)


def test_expiry_half_way(make: Make) -> None:
    """Nothing leaves after it, everything before it counts."""
    campaign = make(people(100), expires_at=timedelta(seconds=0.8), rate=50)
    campaign.send()
    counts = campaign.counts()
    assert counts.sent > 0
    assert counts.sent + counts.skipped["expired"] == 100
    assert counts.skipped["expired"] > 0


def test_a_budget_holds_over_runs_and_can_be_raised(make: Make, gateway: SandboxServer) -> None:
    """At most so many billed or possibly billed; a doubt spends it too."""
    numbers = [magic_mobile(99004), *people(9)]
    for _ in range(2):
        campaign = make(numbers, max_messages=4)
        campaign.send()
        counts = campaign.counts()
        assert counts.sent + counts.unknown == 4
        assert counts.skipped == {"over_budget": 6}
    assert gateway.state()["billed"] == 4
    raised = make(max_messages=7)
    raised.send()
    assert raised.counts().skipped == {"over_budget": 3}
    make(max_messages=None).send()
    assert gateway.state()["billed"] == 10


def test_a_day_s_volume_of_the_account(make: Make, gateway: SandboxServer) -> None:
    """Counted over campaigns; what is left waits for the next day's opening."""
    make(people(3), campaign_id="first", max_per_day=5).send()
    with pytest.raises(DayVolumeUsedUp, match="max_per_day") as used_up:
        make(people(6, 100), campaign_id="second", max_per_day=5, window=None).send()
    assert used_up.value.opens_at.hour == 0
    assert gateway.state()["billed"] == 5
    make(campaign_id="second", max_per_day=50).send()
    assert gateway.state()["billed"] == 9


def test_a_cap_holds_over_campaigns(make: Make, gateway: SandboxServer) -> None:
    """Who had one today gets none from another campaign; another account has its own count."""
    make(people(5), cap=ONE_A_DAY, campaign_id="first").send()
    second = make(people(8), cap=ONE_A_DAY, campaign_id="second")
    second.send()
    assert second.counts().skipped == {"frequency_cap": 5}
    assert second.counts().sent == 3
    other = make(people(5), cap=ONE_A_DAY, campaign_id="third", account="other")
    other.send()
    assert other.counts().sent == 5
    again = make(campaign_id="second", cap=None)
    again.send()
    assert again.counts().sent == 8
    assert gateway.state()["billed"] == 5 + 8 + 5


def test_a_doubt_counts_for_the_cap(make: Make) -> None:
    """A message that may have been billed was perhaps received."""
    lost = magic_mobile(99004)
    make([lost], cap=ONE_A_DAY, campaign_id="first").send()
    second = make([lost], cap=ONE_A_DAY, campaign_id="second")
    second.send()
    assert second.counts().skipped == {"frequency_cap": 1}


@pytest.mark.usefixtures("one_china_day")
def test_two_campaigns_on_one_audience_at_once(make: Make, gateway: SandboxServer) -> None:
    """With one a day, both together send each person one message."""
    gateway.configure(latency_ms=[20, 60])
    numbers = people(200)
    both = [make(numbers, cap=ONE_A_DAY, campaign_id=name) for name in ("first", "second")]
    threads = [threading.Thread(target=campaign.send) for campaign in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    results = [campaign.counts() for campaign in both]
    assert sum(counts.sent for counts in results) == 200
    assert sum(counts.skipped["frequency_cap"] for counts in results) == 200
    state = gateway.state()
    assert state["billed"] == state["billed_numbers"] == 200
    assert state["overlapping"] == 0


def test_a_message_in_the_air_holds_the_next_one_back(make: Make, gateway: SandboxServer) -> None:
    """It decides nothing yet: when it is rejected, the other campaign's message goes out."""
    person = magic_mobile(236306, tries=1)
    gateway.configure(latency_ms=[1000, 1000])
    # A busy machine may add seconds to the latency: no answer is to be too late for that.
    patient = {"timeout": 10.0, "lease": 40.0}
    first = make([person], cap=ONE_A_DAY, campaign_id="first", **patient)
    thread = threading.Thread(target=first.send)
    thread.start()
    while not gateway.state()["in_air"]:
        time.sleep(0.02)
    second = make([person], cap=ONE_A_DAY, campaign_id="second", **patient)
    second.send()
    thread.join(30)
    assert first.counts().rejected == {"236306": 1}
    assert second.counts().sent == 1
    assert gateway.state()["overlapping"] == 0


def test_a_pilot_of_the_wrong_template(make: Make, ledger: Ledger, gateway: SandboxServer) -> None:
    """Nobody of it is left, and it can be stopped all the same: the rest is not sent."""
    make(people(3), max_messages=1).send()
    controls.cancel_campaign(ledger, "campaign")
    with pytest.raises(CampaignCancelled):
        make().send()
    assert gateway.state()["billed"] == 1


def test_a_cancelled_campaign_that_nobody_runs(make: Make, ledger: Ledger) -> None:
    """Who was pending is skipped at once: the report says so before the task comes back."""
    campaign = make(people(3))
    controls.cancel_campaign(ledger, "campaign")
    assert campaign.counts().skipped == {"cancelled": 3}


def test_suppressed_people_get_nothing(make: Make, ledger: Ledger) -> None:
    """Also not when they were loaded before they opted out; released, the next run sends."""
    campaign = make(people(3))
    assert suppressions.suppress(ledger, people(3)[1:2], "退订") == 1
    campaign.send()
    assert campaign.counts().skipped == {"suppressed": 1}
    assert suppressions.release(ledger, people(3)) == 1
    make().send()
    assert campaign.counts().sent == 3


BEIJING = "13910000001"


def test_regions_are_looked_at_again_at_each_run(make: Make, gateway: SandboxServer) -> None:
    """A region added after the load holds; one that is no longer blocked lets its people go."""
    blocked = Classifier(blocked_regions=["北京"])
    make([BEIJING, *people(2)])
    second = make(classifier=blocked)
    second.send()
    assert second.counts().skipped == {"blocked_region": 1}
    make(classifier=blocked).send()
    assert gateway.state()["billed"] == 2
    make(classifier=Classifier()).send()
    assert gateway.state()["billed"] == 3


def test_a_load_that_broke_off_under_other_rules(
    make: Make, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had skipped is looked at again: the next load takes its rows over as they are."""
    monkeypatch.setattr(sorting, "BATCH_ROWS", 1)
    first = make(classifier=Classifier(blocked_regions=["北京"]))

    def merged() -> bool:
        with ledger.reading() as connection:
            rows = sa.select(sa.func.count()).select_from(schema.recipient)
            return int(connection.execute(rows).scalar_one()) == 2

    with pytest.raises(CampaignStopped):
        first.load(audience_from([BEIJING, *people(2)]), "source", merged)
    second = make(classifier=Classifier())
    second.load(audience_from([BEIJING, *people(2)]), "source")
    second.send()
    assert second.counts().sent == 3


def test_a_restored_ledger_keeps_out_whom_it_kept_out(
    make: Make, gateway: SandboxServer, ledger: Ledger
) -> None:
    """Looser rules may have let them pass between the backup and its return."""
    blocked, free = Classifier(blocked_regions=["北京"]), Classifier()
    make([BEIJING, *people(1)], classifier=blocked).send()
    restore.restored(ledger, china_midnight(time.time()))
    for rules, others in ((free, 1), (blocked, 0), (free, 0)):
        campaign = make([BEIJING, *people(2)], classifier=rules)
        dry = dry_run(campaign.plan, ledger, audience_from([]))
        assert (dry.would_send, dry.skipped["blocked_region"]) == (others, 1)
        campaign.send()
    assert gateway.state()["billed"] == 2


def test_other_carriers_are_skipped_unless_allowed(make: Make) -> None:
    """By prefix; a ported number can be let through."""
    numbers = ["13012345678", "17051234567", "not a number", *people(1)]
    campaign = make(numbers)
    campaign.send()
    assert campaign.counts().skipped == {"not_china_mobile": 1, "virtual_operator": 1, "invalid_number": 1}
    make(classifier=Classifier(allow_other_carriers=True, allow_virtual_operators=True)).send()
    assert campaign.counts().skipped == {"invalid_number": 1}
    assert campaign.counts().sent == 3


def test_pause_and_resume_from_outside(make: Make, gateway: SandboxServer, ledger: Ledger) -> None:
    """Seen within a tick, while it runs and before it starts."""
    campaign = make(people(200), rate=100)

    def pause() -> None:
        while gateway.state()["billed"] < 10:
            time.sleep(0.01)
        controls.pause_campaign(ledger, "campaign")

    thread = threading.Thread(target=pause)
    thread.start()
    with pytest.raises(CampaignPaused):
        campaign.send()
    thread.join(30)
    sent = campaign.counts().sent
    assert 10 <= sent < 200
    with pytest.raises(CampaignPaused):
        make().send()
    assert gateway.state()["billed"] == sent
    controls.pause_campaign(ledger, "campaign", paused=False)
    make().send()
    assert gateway.state()["billed"] == gateway.state()["billed_numbers"] == 200
    with pytest.raises(NoSuchCampaign, match="no such campaign"):
        controls.pause_campaign(ledger, "other")
    with pytest.raises(NoSuchCampaign):
        controls.retry_rejected(ledger, "other", 236306)


def test_an_account_is_paused_as_a_whole(make: Make, gateway: SandboxServer, ledger: Ledger) -> None:
    """Also campaigns that start while it is; another account goes on."""
    accounts.pause_account(ledger, "account")
    for name in ("first", "second"):
        with pytest.raises(CampaignPaused):
            make(people(3), campaign_id=name).send()
    make(people(3), campaign_id="third", account="other").send()
    assert gateway.state()["billed"] == 3
    accounts.pause_account(ledger, "account", paused=False)
    make(campaign_id="first").send()
    assert gateway.state()["billed"] == 6


def test_rejected_people_can_be_tried_again(make: Make, gateway: SandboxServer, ledger: Ledger) -> None:
    """By code, after the campaign has finished."""
    once, other = magic_mobile(236309, tries=1), magic_mobile(236306)
    make([once, other, *people(3)]).send()
    assert make().counts().rejected == {"236309": 1, "236306": 1}
    assert controls.retry_rejected(ledger, "campaign", 236309) == 1
    make().send()
    assert make().counts().rejected == {"236306": 1}
    assert gateway.state()["billed"] == 4


def test_cancel_from_outside(make: Make, gateway: SandboxServer, ledger: Ledger) -> None:
    """The rest is skipped for good, also what a later load brings."""
    campaign = make(people(200), rate=100)

    def cancel() -> None:
        while gateway.state()["billed"] < 10:
            time.sleep(0.01)
        controls.cancel_campaign(ledger, "campaign")

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(CampaignCancelled):
        campaign.send()
    thread.join(30)
    counts = campaign.counts()
    assert counts.sent + counts.skipped["cancelled"] == 200
    with pytest.raises(CampaignCancelled):
        make(people(5, 1000)).send()
    assert campaign.counts().skipped["cancelled"] == counts.skipped["cancelled"] + 5
    assert gateway.state()["billed"] == counts.sent


def test_a_run_that_is_told_to_stop_ends_within_four_seconds(
    make: Make, gateway: SandboxServer, ledger: Ledger
) -> None:
    """Answers are awaited 3 s; what is still out is a doubt that blames nobody, the rest stays pending."""
    gateway.configure(answer=99001, stall_seconds=30)
    campaign = make(people(50), rate=10, timeout=10.0, lease=40.0)
    stop = threading.Event()

    def tell() -> None:
        while gateway.state()["requests"] < 3:
            time.sleep(0.01)
        stop.set()

    threading.Thread(target=tell).start()
    with pytest.raises(CampaignStopped):
        campaign.send(stop)
    counts = campaign.counts()
    assert counts.unknown == gateway.state()["requests"] > 0
    assert counts.pending == 50 - counts.unknown
    assert campaign.outcomes == {(State.UNKNOWN, ""): counts.unknown}
    with ledger.reading() as connection:
        assert [one.failures for one in accounts.accounts(connection)] == [0]


def test_a_campaign_of_which_half_failed(make: Make) -> None:
    """The ratio is reached at the half; a lone failed number fails."""
    half = make([magic_mobile(236306), *people(1)], max_failure_ratio=0.5)
    half.send()
    with pytest.raises(FailureRatioReached, match="236306: 1"):
        half.check_ratio()
    make(max_failure_ratio=0.51).check_ratio()
    make(max_failure_ratio=None).check_ratio()
    nobody = make(["x"], campaign_id="nobody")
    nobody.send()
    nobody.check_ratio()


def test_resend_asks_once_more_for_an_old_doubt(
    make: Make, gateway: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only with on_unknown="resend", only what is old enough, and only once."""
    lost, lost_again = magic_mobile(99004, tries=1), magic_mobile(99004)
    make([lost, lost_again, *people(2)]).send()
    assert make().counts().unknown == 2
    make(on_unknown="resend").send()
    assert gateway.state()["requests"] == 4
    monkeypatch.setattr("airflow_provider_caixin.campaign.dispatcher.RESEND_AFTER", 0.0)
    make(on_unknown="hold").send()
    assert gateway.state()["requests"] == 4
    for _ in range(2):
        campaign = make(on_unknown="resend", cap=ONE_A_DAY)
        campaign.send()
        assert campaign.counts().sent == 3
        assert campaign.counts().unknown == 1
        assert gateway.state()["requests"] == 6


def test_a_doubt_sent_once_more_stays_one_until_it_is_accepted(
    make: Make, gateway: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rejected or given back the second time, the first request may still have been billed: budget and cap count it."""
    monkeypatch.setattr("airflow_provider_caixin.campaign.dispatcher.RESEND_AFTER", 0.0)
    numbers = people(3)
    gateway.configure(lose_answers=1.0)
    make(numbers, max_messages=3).send()
    gateway.configure(lose_answers=0, answer=236309)
    campaign = make([*numbers, *people(2, 50)], on_unknown="resend", max_messages=3)
    campaign.send()
    assert campaign.counts().unknown == 3
    assert campaign.counts().skipped == {"over_budget": 2}
    assert gateway.state()["requests"] == 6
    gateway.configure(answer=None)
    other = make(numbers, campaign_id="other", cap=ONE_A_DAY)
    other.send()
    assert other.counts().skipped == {"frequency_cap": 3}


def test_a_doubt_waits_for_the_window(
    make: Make, gateway: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent once more outside it, and the run ends with the doubt."""
    make([magic_mobile(99004)]).send()
    monkeypatch.setattr("airflow_provider_caixin.campaign.dispatcher.RESEND_AFTER", 0.0)
    campaign = make(window=OFFICE, clock=clock_at("2026-11-23 20:00:00"), on_unknown="resend")
    campaign.send()
    assert campaign.counts().unknown == 1
    assert gateway.state()["requests"] == 1


@EMBEDDED
def test_a_clock_that_goes_back_keeps_nobody_waiting(make: Make, gateway: SandboxServer) -> None:
    """Ten seconds after a busy answer are not an hour and ten seconds."""
    gateway.configure(answer=236300, answer_count=1)
    offset = [0.0]
    campaign = make(people(3), clock=lambda: time.time() + offset[0])
    thread = threading.Thread(target=campaign.send)
    thread.start()
    while gateway.state()["requests"] < 3:
        time.sleep(0.01)
    time.sleep(0.3)
    offset[0] = -3600.0
    thread.join(8)
    assert not thread.is_alive()
    assert campaign.counts().sent == 3


def test_a_slow_rate_with_a_slow_connect(
    make: Make, gateway: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections are made anew for each message, and take longer than a tick: they leave all the same."""
    connect = Transport._connect

    def slowly(self: Transport) -> object:
        time.sleep(0.12)
        return connect(self)

    monkeypatch.setattr(Transport, "_connect", slowly)
    monkeypatch.setattr("airflow_provider_caixin.juhe.transport.MAX_IDLE_SECONDS", 0.2)
    campaign = make(people(4), rate=3)
    campaign.send()
    assert campaign.counts().sent == gateway.state()["billed"] == 4


def test_a_slow_rate_is_reached(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next slot is looked for when it comes into reach, however long an idle run would sleep."""
    monkeypatch.setattr("airflow_provider_caixin.campaign.dispatcher.IDLE", 600.0)
    campaign = make(people(4), rate=4)
    campaign.send()
    assert campaign.counts().sent == 4


def test_a_ledger_that_takes_longer_than_a_tick(
    make: Make, gateway: SandboxServer, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slots are taken as far ahead as a commit takes, so that not everything is late."""
    now = ledger.now

    def slow(connection: Any) -> float:
        time.sleep(0.005)
        read = now(connection)
        time.sleep(0.08)
        return read

    monkeypatch.setattr(ledger, "now", slow)
    campaign = make(people(60), rate=100)
    campaign.send()
    assert campaign.counts().sent == 60
    assert gateway.state()["worst_second"] <= 102


@SERVERS
def test_campaigns_on_a_quick_and_a_slow_host_share_the_rate(
    make: Make, gateway: SandboxServer, ledger_url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose commits are slow takes slots further ahead, and yet leaves some to the other one."""
    far = Ledger(ledger_url)
    writing = far.writing

    @contextmanager
    def from_afar() -> Iterator[Connection]:
        with writing() as connection:
            yield connection
            # Each statement took its time, and the gate was locked meanwhile.
            time.sleep(0.15)

    monkeypatch.setattr(far, "writing", from_afar)
    audiences = {"quick": people(200), "slow": people(200, start=200)}
    both = [
        make(audiences["quick"], campaign_id="quick", rate=60),
        make(audiences["slow"], campaign_id="slow", rate=60, ledger=far),
    ]
    threads = [threading.Thread(target=campaign.send) for campaign in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    sent = [campaign.counts().sent for campaign in both]
    far.close()
    assert sent == [200, 200]
    mobiles = [row["mobile"] for row in gateway.requests()]
    last = {name: max(mobiles.index(number) for number in numbers) for name, numbers in audiences.items()}
    together = mobiles[: min(last.values())]
    for numbers in audiences.values():
        assert len(set(together) & set(numbers)) > len(together) / 10


def test_a_dry_run_counts_what_a_run_would_do(make: Make, gateway: SandboxServer, ledger: Ledger) -> None:
    """The same counts as the real run that follows it; nothing is sent and nothing kept."""
    make(people(3), campaign_id="earlier", cap=ONE_A_DAY).send()
    rows = [*people(6), people(1)[0], BEIJING, "13012345678", "x", "x", people(6)[5]]
    rules = {"cap": ONE_A_DAY, "classifier": Classifier(blocked_regions=["北京"]), "max_messages": 2}
    plan = Plan(campaign_id="campaign", tpl_id=65535, account="account", **rules)  # type: ignore[arg-type]  # of many types
    dry = dry_run(plan, ledger, audience_from(rows)).as_result()
    with ledger.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.campaign)).scalar_one() == 1
    real = make(rows, **rules)
    real.send()
    expected = real.counts().as_result()
    assert dry.pop("would_send") == expected.pop("sent") == 2
    assert dry.pop("sent") == 0
    # Whom the cap holds back would get nothing, and is not asked about.
    assert (dry.pop("had_template"), dry.pop("had_template_among")) == (0, 3)
    assert dry == expected
    assert gateway.state()["billed"] == 5
    after = dry_run(plan, ledger, audience_from(rows)).as_result()
    assert after["would_send"] == 0
    assert after["total"] == expected["total"]


def test_a_dry_run_of_a_campaign_that_is_over(make: Make, ledger: Ledger) -> None:
    """Cancelled or expired: nobody would be sent anything."""
    campaign = make(people(3), campaign_id="cancelled")
    expiring = make(people(3), campaign_id="expired", expires_at=timedelta(hours=1))
    controls.cancel_campaign(ledger, "cancelled")
    later = time.time() + 3_700
    for one, reason in ((campaign, "cancelled"), (expiring, "expired")):
        counts = dry_run(one.plan, ledger, audience_from(people(5)), clock=lambda: later)
        assert (counts.would_send, counts.skipped) == (0, {reason: 5, "duplicate": 0})


def test_a_dry_run_that_knows_nothing_of_the_campaign_yet(make: Make, ledger: Ledger) -> None:
    """Who had a message today is capped, whichever keys there are; what has expired already is sent to nobody."""
    make(people(3, start=1), campaign_id="earlier", cap=ONE_A_DAY).send()
    plan = Plan(campaign_id="campaign", tpl_id=65535, account="account", cap=ONE_A_DAY)
    counts = dry_run(plan, ledger, audience_from(people(4)))
    assert (counts.would_send, counts.skipped) == (1, {"frequency_cap": 3})
    over = Plan(
        campaign_id="campaign",
        tpl_id=65535,
        account="account",
        expires_at=pendulum.now(CHINA).subtract(hours=1),
    )
    assert dry_run(over, ledger, audience_from(people(4))).skipped == {"expired": 4}


def test_a_dry_run_judges_what_a_budget_left_over(make: Make, ledger: Ledger) -> None:
    """As the run does that takes it up."""
    make(people(3), campaign_id="first", max_messages=1, cap=ONE_A_DAY).send()
    make(people(3), campaign_id="second", cap=ONE_A_DAY).send()
    campaign = make(campaign_id="first", cap=ONE_A_DAY)
    counts = dry_run(campaign.plan, ledger, audience_from([]))
    assert counts.would_send == 0
    campaign.send()
    assert campaign.counts().skipped == {"frequency_cap": 2}
    assert counts.skipped["frequency_cap"] == 2


def test_a_dry_run_while_messages_are_in_the_air(make: Make, ledger: Ledger) -> None:
    """They count as those that were sent: not once more, and out of the same budget."""
    campaign = make(people(3), max_messages=2)
    table = schema.recipient
    with ledger.writing() as connection:
        in_the_air = sa.update(table).where(table.c.number == people(1)[0])
        connection.execute(in_the_air.values(state="in_flight", due=ledger.now(connection) + 60))
        connection.execute(sa.update(schema.campaign).values(pending=2, in_flight=1))
    counts = dry_run(campaign.plan, ledger, audience_from(people(3)))
    assert (counts.would_send, counts.total) == (1, 3)
    assert counts.skipped == {"duplicate": 1, "over_budget": 1}
    with ledger.writing() as connection:
        connection.execute(in_the_air.values(due=ledger.now(connection) - 1))
    counts = dry_run(campaign.plan, ledger, audience_from(people(3)))
    assert (counts.would_send, counts.unknown, counts.total) == (1, 1, 3), "its sender died"
    assert counts.skipped == {"duplicate": 0, "over_budget": 1}


def test_a_loaded_audience_without_end_is_no_hindrance(make: Make) -> None:
    """An empty audience is a campaign with nothing to do."""
    campaign = make([])
    campaign.send()
    assert campaign.counts().total == 0


def test_a_ledger_that_is_locked_stops_sending_and_loses_no_answer(
    make: Make, gateway: SandboxServer, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nothing can be recorded nothing leaves; when it is back, answers are settled and the rest goes out."""
    writing, failing = ledger.writing, threading.Event()

    def sometimes() -> object:
        if failing.is_set():
            raise LedgerUnavailable("The ledger did not answer: disk full")
        return writing()

    gateway.configure(latency_ms=[100, 100])
    # Longer than a busy machine keeps an answer waiting.
    campaign = make(people(150), rate=100, timeout=5, lease=20)
    monkeypatch.setattr(ledger, "writing", sometimes)
    thread = threading.Thread(target=campaign.send)
    thread.start()
    while gateway.state()["requests"] < 30:
        time.sleep(0.01)
    failing.set()
    time.sleep(0.3)
    stuck = gateway.state()["requests"]
    time.sleep(0.5)
    assert gateway.state()["requests"] == stuck
    failing.clear()
    thread.join(30)
    assert campaign.counts().sent == 150
    assert gateway.state()["billed"] == 150


class Silence:
    """Pass a database's connections on, until it falls silent: it then takes everything and says nothing."""

    def __init__(self, host: str, port: int) -> None:
        self.fallen = threading.Event()
        self._to = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                pair = (self._listener.accept()[0], socket.create_connection(self._to))
                self._sockets += pair
                for one, other in (pair, pair[::-1]):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65_536):
                if not self.fallen.is_set():
                    other.sendall(data)

    def end(self) -> None:
        """Close everything."""
        for one in (self._listener, *self._sockets):
            one.close()


@SERVERS
@pytest.mark.parametrize(
    ("told", "kind", "within"), [(True, StoppedInSilence, 4.5), (False, LedgerSilent, LEASE + 1)]
)
def test_a_ledger_that_falls_silent(
    make: Make,
    gateway: SandboxServer,
    ledger_url: URL,
    told: bool,
    kind: type[Exception],
    within: float,
) -> None:
    """It neither answers nor fails: the run ends after a lease, or soon after it was told to, and nothing leaves meanwhile."""
    assert ledger_url.host is not None
    assert ledger_url.port is not None
    silence = Silence(ledger_url.host, ledger_url.port)
    ledger = Ledger(ledger_url.set(port=silence.port))
    stop = threading.Event()
    ended: list[BaseException] = []

    def send() -> None:
        try:
            make(people(500), rate=100, ledger=ledger).send(stop)
        except CampaignError as error:
            ended.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    while gateway.state()["requests"] < 20:
        time.sleep(0.01)
    silence.fallen.set()
    fell_at = time.monotonic()
    if told:
        stop.set()
    thread.join(20)
    assert [type(error) for error in ended] == [kind]
    assert time.monotonic() - fell_at < within
    requests = gateway.state()["requests"]
    # A tick's slots, and as much again for what had been claimed before.
    assert requests < 20 + 100
    silence.end()
    time.sleep(0.3)
    assert gateway.state()["requests"] == requests
