"""The send window, by the clocks of host and ledger; and what expires."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pendulum
import pytest
import sqlalchemy as sa

from airflow_provider_caixin.campaign import (
    ClocksApart,
    DayVolumeUsedUp,
    OutsideWindow,
)
from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.admin import accounts
from airflow_provider_caixin.rules import SendWindow
from airflow_provider_caixin.sandbox import SandboxServer
from tests.databases import EMBEDDED
from tests.integration.campaigns import OFFICE, Make, clock_at, numbers


def test_a_window_that_closes_half_way(make: Make, gateway: SandboxServer) -> None:
    """What is left waits for the next opening, and a run at that opening sends it: everyone once."""
    make(numbers(200))
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
    campaign = make(numbers(300), window=OFFICE, rate=50, **clocks)
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
    campaign = make(numbers(3), window=OFFICE, clock=lambda: now() - 40, ledger_clock=now)
    with pytest.raises(ClocksApart, match=r"says 2026-11-23 11:59:2\d and the ledger's 2026-11-23 12:00:0\d"):
        campaign.send()
    assert campaign.counts().as_result()["pending"] == 3
    assert gateway.state()["requests"] == 0
    make(window=OFFICE, clock=now).send()
    assert gateway.state()["billed"] == 3


def test_a_clock_that_is_set_wrong_while_a_run_sends(make: Make, gateway: SandboxServer) -> None:
    """Stops it; what is out is settled."""
    now, off = clock_at("2026-11-23 12:00:00"), [0.0]
    campaign = make(numbers(400), rate=100, clock=lambda: now() + off[0], ledger_clock=now)

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
    """Both say that the window is open.

    The run waits until both are behind midnight, also for the new day's volume.
    """
    midnight = pendulum.datetime(2026, 11, 24, tz=CHINA).timestamp()
    began = time.monotonic()

    def ahead() -> float:
        return midnight + 3.0 + time.monotonic() - began

    def behind() -> float:
        passed = time.monotonic() - began
        return midnight + passed + (-19.0 if passed < 1.0 else 2.0)

    host, other = (ahead, behind) if host_ahead else (behind, ahead)
    campaign = make(numbers(20), rate=100, max_per_day=20, clock=host, ledger_clock=other)
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
        make(numbers(20), **plan).send()
    off = 86_400.0
    with pytest.raises(ClocksApart):
        make(**plan).send()
    off = 0.0
    with pytest.raises(DayVolumeUsedUp):
        make(**plan).send()
    assert gateway.state()["billed"] == 5


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
    campaign = make(numbers(200), rate=100, max_per_day=190, clock=clock)
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
    campaign = make(numbers(3), window=OFFICE, clock=clock_at("2026-11-23 20:00:00"))
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
    make(numbers(3), **options)
    for _ in range(2):
        campaign = make(numbers(3), **options, clock=clock_at(now) if now else None)
        campaign.send()
        assert campaign.counts().skipped == {"expired": 3}
    assert gateway.state()["requests"] == 0


def test_nobody_waits_a_night_to_expire(make: Make) -> None:
    """In the closing guard of the window at whose closing the campaign expires.

    The rest is skipped at once.
    """
    clock = clock_at("2026-11-23 17:59:55")
    campaign = make(
        numbers(3), window=OFFICE, clock=clock, expires_at=pendulum.datetime(2026, 11, 23, 18, tz=CHINA)
    )
    campaign.send()
    assert campaign.counts().skipped == {"expired": 3}


def test_expiry_half_way(make: Make) -> None:
    """Nothing leaves after it, everything before it counts."""
    campaign = make(numbers(100), expires_at=timedelta(seconds=0.8), rate=50)
    campaign.send()
    counts = campaign.counts()
    assert counts.sent > 0
    assert counts.sent + counts.skipped["expired"] == 100
    assert counts.skipped["expired"] > 0


@EMBEDDED
def test_a_clock_that_goes_back_keeps_nobody_waiting(make: Make, gateway: SandboxServer) -> None:
    """Ten seconds after a busy answer are not an hour and ten seconds."""
    gateway.configure(answer=236300, answer_count=1)
    offset = [0.0]
    campaign = make(numbers(3), clock=lambda: time.time() + offset[0])
    thread = threading.Thread(target=campaign.send)
    thread.start()
    while gateway.state()["requests"] < 3:
        time.sleep(0.01)
    time.sleep(0.3)
    offset[0] = -3600.0
    thread.join(8)
    assert not thread.is_alive()
    assert campaign.counts().sent == 3
