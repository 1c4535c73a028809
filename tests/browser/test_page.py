"""The Caixin page in a real browser, against a live Airflow that sends through a sandbox."""

from __future__ import annotations

import configparser
import csv
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import jwt
import pytest

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.views import recipients as recipient_views
from airflow_provider_caixin.sandbox import SandboxServer, magic_mobile
from airflow_provider_caixin.settings.ledgers import EMBEDDED_NAME
from airflow_provider_caixin.vocabulary import State
from tests.browser.conftest import NARROW, WIDE, picture, sign_in
from tests.system.live import LIVE, Live, Run, audience, wait_until
from tests.system.live import people as some_people
from tests.unit.ledger.conftest import Past

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [
    pytest.mark.browser,
    *LIVE,
    # Airflow makes up its own secret, and that is shorter than its algorithm would have it.
    pytest.mark.filterwarnings("ignore:The HMAC key is"),
]

# Of Airflow's own frame around plugins' pages.
FRAMED = "allow-scripts and allow-same-origin"

UNICOM, INVALID, WRONG = "18600001234", "12345", magic_mobile(236306)
UNKNOWN = (magic_mobile(10014), magic_mobile(10014, tries=1))
HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"

#: A heading of each part in both languages, and something that only real data can show.
PARTS = {
    "": ("Overview", "总览"),
    "templates": ("Templates", "模板"),
    "campaigns": ("Campaigns", "发送任务"),
    "recipient": ("Recipient", "号码查询"),
    "usage": ("Usage", "用量"),
}


@dataclass(frozen=True)
class Shop:
    """What a shop has done by the time that people look at the page.

    :param connection: its connection and account.
    :param run: the run of its campaign.
    :param day: the day in China on which it ran.
    :param numbers: who got its message.
    :param key: the campaign's key.
    :param hostile: the key of a campaign whose name tries to be markup.
    """

    live: Live
    gateway: SandboxServer
    connection: str
    run: Run
    day: date
    campaign_id: str
    numbers: list[str]
    key: int
    hostile: int

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.live.home / EMBEDDED_NAME


@pytest.fixture(scope="module")
def shop(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Send a campaign in which everything happens that can, and make another with a hostile name."""
    folder = tmp_path_factory.mktemp("shop")
    with SandboxServer(latency_ms=(5, 20)) as gateway:
        numbers = some_people(40)
        rows = [*numbers, *numbers[:5], UNICOM, INVALID, WRONG, *UNKNOWN]
        connection = live.connect(gateway, timeout=3)
        run = live.trigger(
            "live",
            audience=audience(folder / "a.txt", rows),
            conn_id=connection,
            report=str(folder / "r.csv"),
        )
        assert run.finish() == "success"
        day = datetime.now(CHINA).date()
        result = run.result()
        assert (result["sent"], result["unknown"]) == (40, 2)
        with_names = Past(Ledger.sqlite(live.home / EMBEDDED_NAME))
        try:
            hostile = with_names.campaign(HOSTILE, "13912340000", "13912340001", account=HOSTILE, dag=None)
            with_names.sent(hostile, {"13912340000": State.UNKNOWN}, 1.7e9)
            with with_names.ledger.reading() as ledger:
                key = next(
                    one.key
                    for one in campaigns_of(ledger, numbers[0])
                    if one.campaign_id == result["campaign_id"]
                )
        finally:
            with_names.ledger.close()
        yield Shop(live, gateway, connection, run, day, result["campaign_id"], numbers, key, hostile)


def campaigns_of(ledger: Any, number: str) -> list[Any]:
    """Give the campaigns that a number was in."""
    return list(recipient_views.history(ledger, number, datetime.now(CHINA).timestamp()))


@pytest.fixture
def visit(shop: Shop, new_page: Callable[..., Page]) -> Callable[..., Page]:
    """Return a function that opens a part of the page as somebody: ``visit("campaigns", role="viewer")``."""

    def open_part(
        part: str = "",
        *,
        role: str | None = "admin",
        language: str = "en",
        theme: str = "light",
        at: str = "/caixin/#/",
        **options: Any,
    ) -> Page:
        page = new_page(**options)
        sign_in(page, shop.live, None if role is None else token(shop.live, role))
        # Only where nothing is chosen yet: a test may choose another.
        page.add_init_script(
            f"localStorage.i18nextLng ??= {language!r}; localStorage.theme ??= {theme!r};",
        )
        page.goto(f"{shop.live.api.url}{at}{part}")
        return page

    return open_part


def token(live: Live, role: str) -> str:
    """Give what Airflow gives a user of a role who signs in; only the admin has a password."""
    settings = configparser.RawConfigParser()
    settings.read(live.home / "airflow.cfg")
    secret = settings["api_auth"]["jwt_secret"]
    claims = jwt.decode(live.token, options={"verify_signature": False})
    algorithm = jwt.get_unverified_header(live.token)["alg"]
    return jwt.encode({**claims, "sub": role, "role": role.upper()}, secret, algorithm=algorithm)


def heading(page: Page, name: str) -> None:
    """Wait until the page shows a part."""
    page.get_by_role("heading", name=name, exact=True).first.wait_for()


def text(page: Page, words: str | re.Pattern[str]) -> None:
    """Wait until the page shows a text."""
    page.get_by_text(words).first.wait_for()


def confirm(page: Page, button: str) -> None:
    """Answer the question that the page asks before something that cannot be undone or may bill."""
    page.get_by_role("dialog").get_by_role("button", name=button, exact=True).click()


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("language", "theme", "size"),
    [("en", "light", WIDE), ("zh-CN", "dark", WIDE), ("zh-CN", "light", NARROW), ("en", "dark", NARROW)],
    ids=["en-light-wide", "zh-dark-wide", "zh-light-narrow", "en-dark-narrow"],
)
def test_each_part_in_both_languages_widths_and_colours(
    visit: Callable[..., Page], shop: Shop, part: str, language: str, theme: str, size: dict[str, int]
) -> None:
    """Each part has heading, real data, the language and colours of Airflow's UI; nothing sticks out."""
    page = visit(part, language=language, theme=theme, viewport=size)
    heading(page, PARTS[part][language == "zh-CN"])
    if part == "recipient":
        page.get_by_role("textbox").fill(shop.numbers[0])
        page.keyboard.press("Enter")
    shown = {
        "": shop.connection,
        "templates": "65535",
        "campaigns": shop.campaign_id,
        "recipient": shop.campaign_id,
        "usage": shop.day.isoformat(),
    }[part]
    text(page, shown)
    assert page.evaluate("document.documentElement.lang") == language
    assert page.evaluate("document.documentElement.classList.contains('dark')") == (theme == "dark")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    picture(page, f"page-{part or 'overview'}-{language}-{theme}-{size['width']}")


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_a_campaigns_page_says_what_became_of_everybody(
    visit: Callable[..., Page], shop: Shop, language: str
) -> None:
    """The operator's link leads to the campaign, which shows its reasons, code, remedy, chart and origin."""
    page = visit(f"campaigns?id={quote(shop.campaign_id, safe='')}", language=language)
    heading(page, shop.campaign_id)
    assert page.url.endswith(f"#/campaigns/{shop.key}")
    chinese = language == "zh-CN"
    for words in (
        ("Duplicate", "重复号码"),
        ("Not a number", "号码无效"),
        ("Not China Mobile", "非中国移动号码"),
        ("wrong mobile number", "手机号错误"),
        ("Correct or drop the number in the audience.", "在人群中更正或去掉该号码。"),
    ):
        text(page, words[chinese])
    page.locator(".chart canvas").wait_for()
    assert page.get_by_role("link", name=shop.run.run_id).get_attribute("href") == (
        f"/dags/live/runs/{quote(shop.run.run_id, safe='')}"
    )
    picture(page, f"page-campaign-{language}")


def test_names_that_try_to_be_markup_stay_text(visit: Callable[..., Page], shop: Shop) -> None:
    """A campaign and an account with a hostile name are shown letter for letter, in each part with them."""
    for part in (
        "",
        "campaigns",
        f"campaigns/{shop.hostile}",
        "usage?by=campaign&from=2023-11-01&to=2023-11-30",
    ):
        page = visit(part)
        text(page, HOSTILE)
        assert page.locator("main img[src=x], main script").count() == 0
        assert page.title() != "taken"


def test_a_running_campaign_is_paused_and_resumed_by_clicking(
    visit: Callable[..., Page], shop: Shop, tmp_path: Path
) -> None:
    """Pause stops the sending within a moment, resume lets it go on, and everybody gets one message."""
    connection = shop.live.connect(shop.gateway, messages_per_second=10)
    numbers = some_people(150)
    before = len(shop.gateway.billed())
    run = shop.live.trigger("live", audience=audience(tmp_path / "a.txt", numbers), conn_id=connection)
    wait_until("some messages are out", lambda: len(shop.gateway.billed()) > before + 5)
    page = visit()
    row = page.get_by_role("listitem").filter(has_text=run.run_id).filter(has=page.get_by_role("progressbar"))
    row.get_by_text("Running", exact=True).wait_for()
    row.get_by_role("button", name="Pause").click()
    row.get_by_text("Paused", exact=True).wait_for()
    wait_until("the task has let go", lambda: run.task()["state"] == "up_for_reschedule")
    held = len(shop.gateway.billed())
    assert held < before + 150
    picture(page, "page-paused")
    row.get_by_role("link", name=run.run_id).click()
    heading(page, f"live/{run.run_id}/send")
    assert len(shop.gateway.billed()) == held
    page.get_by_role("button", name="Resume", exact=True).click()
    assert run.finish(200) == "success"
    text(page, "100%")
    page.locator("[data-status=done]").first.wait_for()
    assert len(shop.gateway.billed()) == before + 150


def test_unknown_outcomes_are_resolved(visit: Callable[..., Page], shop: Shop) -> None:
    """One counts as sent, the other goes back to be sent again; both after a question."""
    page = visit(f"campaigns/{shop.key}")
    heading(page, "2 recipients with unknown outcome")
    # Masked they are the same; recipients are in the order of their numbers.
    masked = f"Choose {UNKNOWN[0][:3]}****{UNKNOWN[0][-4:]}"
    page.get_by_role("checkbox", name=masked).first.check()
    page.get_by_role("button", name="Count as sent", exact=True).click()
    picture(page, "page-question")
    confirm(page, "Count as sent")
    heading(page, "1 recipient with unknown outcome")
    page.get_by_role("checkbox", name="Choose all on this page").check()
    page.get_by_role("button", name="Send again", exact=True).click()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    page.get_by_role("button", name="Send again", exact=True).click()
    confirm(page, "Send again")
    text(page, "1 recipient is pending again.")
    page.get_by_role("heading", name="with unknown outcome").wait_for(state="detached")
    ledger = Ledger.sqlite(shop.ledger)
    try:
        with ledger.reading() as connection:
            states = {
                one: next(entry.state for entry in campaigns_of(connection, one) if entry.key == shop.key)
                for one in UNKNOWN
            }
    finally:
        ledger.close()
    assert states == {UNKNOWN[0]: "sent", UNKNOWN[1]: "pending"}


@pytest.mark.parametrize("at", ["/caixin/#/", "/plugin/caixin#/"], ids=["alone", "framed"])
def test_the_report_is_downloaded(
    visit: Callable[..., Page], shop: Shop, expected: list[str], at: str
) -> None:
    """With full numbers and a byte order mark, in a tab of its own and in Airflow's frame."""
    expected.append(FRAMED)
    page = visit(f"campaigns/{shop.key}", at=at)
    inner: Any = page.frame_locator("iframe") if "plugin" in at else page
    inner.get_by_label("State").select_option("skipped")
    inner.get_by_label("Reason").select_option("not_china_mobile")
    with page.expect_download() as started:
        inner.get_by_role("link", name="Download the report").click()
    lines = Path(started.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert lines[0].startswith("mobile,state,reason")
    assert [line.split(",")[0] for line in lines[1:]] == [UNICOM]
    assert Path(started.value.path()).read_bytes().startswith(b"\xef\xbb\xbf")


def test_a_recipient_is_looked_up_suppressed_and_released(visit: Callable[..., Page], shop: Shop) -> None:
    """The history of a number, its place on the suppression list, and a sentence for what is no number."""
    page = visit("recipient")
    field = page.get_by_role("textbox", name="Mobile number")
    field.fill(f"+86 {shop.numbers[10]}")
    field.press("Enter")
    heading(page, shop.numbers[10])
    text(page, "Not suppressed")
    page.get_by_role("button", name="Suppress", exact=True).click()
    confirm(page, "Suppress")
    text(page, "On the suppression list")
    text(page, "opted out")
    page.get_by_role("button", name="Release", exact=True).click()
    confirm(page, "Release")
    text(page, "Not suppressed")
    assert page.get_by_role("row").filter(has_text=shop.campaign_id).count() == 1
    assert shop.numbers[10] not in page.url


def test_what_is_no_number_gets_a_sentence(visit: Callable[..., Page], expected: list[str]) -> None:
    """The server's sentence is shown as it is."""
    expected.append("status of 422")
    page = visit("recipient")
    page.get_by_role("textbox").fill("12")
    page.keyboard.press("Enter")
    text(page, "expected 11 digits")


def test_an_account_is_stopped_with_one_click(visit: Callable[..., Page], shop: Shop) -> None:
    """The switch stops it at once; letting it go may bill, so it asks."""
    page = visit()
    card = page.get_by_role("listitem").filter(
        has=page.get_by_role("heading", name=shop.connection, exact=True)
    )
    switch = card.get_by_role("switch")
    assert switch.get_attribute("aria-checked") == "true"
    switch.click()
    card.get_by_role("switch", name="Account stopped").wait_for()
    text(page, f"Account {shop.connection} is stopped")
    page.reload()
    card.get_by_role("switch", name="Account stopped").click()
    confirm(page, "Resume")
    card.get_by_role("switch", name="Sending").wait_for()


@pytest.mark.parametrize(
    ("language", "words"), [("en", "Slowed down to 25% of its rate"), ("zh-CN", "已减速至正常速度的 25%")]
)
def test_an_account_that_slowed_down_says_so(
    visit: Callable[..., Page], shop: Shop, language: str, words: str
) -> None:
    """Whoever wonders why sending is slow finds the gateway's answer on the account's card."""

    def slow_down(pace: float) -> None:
        with closing(sqlite3.connect(shop.ledger)) as ledger, ledger:
            ledger.execute("UPDATE caixin_account SET pace = ? WHERE name = ?", [pace, HOSTILE])

    slow_down(0.25)
    try:
        page = visit(language=language)
        card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=HOSTILE, exact=True))
        card.get_by_text(words).wait_for()
        picture(page, f"slowed_down_{language}")
    finally:
        slow_down(1.0)


def test_a_days_limit_is_set_and_taken_back(visit: Callable[..., Page], shop: Shop) -> None:
    """It is shown with who set it; left empty, the connection's holds again."""
    page = visit()
    card = page.get_by_role("listitem").filter(
        has=page.get_by_role("heading", name=shop.connection, exact=True)
    )
    card.get_by_role("button", name="Set a limit").click()
    page.get_by_role("dialog").get_by_label("Messages in a day, at most").fill("5000")
    confirm(page, "Save")
    text(page, "The limit is saved.")
    card.get_by_text("of 5,000").wait_for()
    card.get_by_text("set here, not by the connection").wait_for()
    card.get_by_role("button", name="Change the limit").click()
    page.get_by_role("dialog").get_by_label("Messages in a day, at most").fill("")
    confirm(page, "Save")
    card.get_by_role("button", name="Set a limit").wait_for()


def test_rejected_recipients_are_retried_and_a_campaign_is_cancelled(
    visit: Callable[..., Page], shop: Shop
) -> None:
    """Each after a question that says how many; what is cancelled offers nothing any more."""
    numbers = some_people(3)
    past = Past(Ledger.sqlite(shop.ledger))
    try:
        key = past.campaign("left over", *numbers, account=shop.connection, dag=None)
        past.sent(key, dict.fromkeys(numbers[:2], State.REJECTED), 1.7e9)
        page = visit(f"campaigns/{key}")
        page.get_by_role("button", name="Retry those rejected with 236306?").click()
        text(page, "2 recipients go back to pending.")
        picture(page, "page-retry")
        confirm(page, "Retry")
        text(page, "2 recipients are pending again.")
        assert past.counts(key) == {"pending": 3}
        page.get_by_role("button", name="Cancel", exact=True).click()
        text(page, "The 3 pending recipients of left over get nothing, now or later")
        confirm(page, "Cancel the campaign")
        page.locator("[data-status=cancelled]").first.wait_for()
        assert page.get_by_role("button", name="Pause", exact=True).count() == 0
    finally:
        past.ledger.close()


def test_usage_is_downloaded_as_it_is_shown(visit: Callable[..., Page], shop: Shop) -> None:
    """The same period and grouping, as a file for a spreadsheet."""
    page = visit("usage?by=campaign")
    text(page, shop.campaign_id)
    with page.expect_download() as started:
        page.get_by_role("link", name="CSV").click()
    rows = list(csv.reader(Path(started.value.path()).read_text(encoding="utf-8-sig").splitlines()))
    ours = next(row for row in rows if row[0] == shop.campaign_id)
    # Of its two unknown outcomes another test may have sent one back.
    assert int(ours[1]) + int(ours[2]) in (41, 42)


def test_media_is_loaded_when_asked_and_without_a_referrer(visit: Callable[..., Page], shop: Shop) -> None:
    """Nothing is fetched from the gateway before a click, and the request does not say where it is from."""
    page = visit(f"templates?connection={shop.connection}")
    asked: list[Any] = []
    page.on("request", lambda request: asked.append(request) if "/media/" in request.url else None)
    button = page.get_by_role("button", name="Load the picture of template 65536")
    button.wait_for()
    assert asked == []
    button.click()
    page.get_by_role("img", name="Picture of template 65536").wait_for()
    assert page.locator("img.media").evaluate("(one) => one.decode().then(() => one.naturalWidth > 0)")
    assert [request.all_headers().get("referer") for request in asked] == [None]
    page.get_by_role("button", name="Load the video of template 65535").click()
    page.locator("video.media").wait_for()
    picture(page, "page-media")
    page.get_by_label("Filter").fill("读书会")
    text(page, re.compile(r"^[1-9]\d* of \d+ templates$"))
    assert page.get_by_role("button", name="Load the video of template 65535").count() == 0


def test_a_gateway_that_does_not_answer_is_a_sentence(
    visit: Callable[..., Page], shop: Shop, expected: list[str]
) -> None:
    """And a way to try again."""
    expected.append("status of 50[24]")
    with SandboxServer() as gone:
        connection = shop.live.connect(gone)
    page = visit()
    session = f"{shop.live.api.url}/caixin/api/session"
    wait_until("the page knows the connection", lambda: connection in page.request.get(session).text())
    page = visit(f"templates?connection={connection}")
    text(page, "The gateway did not help")
    page.get_by_role("button", name="Try again").wait_for()


def test_who_is_not_signed_in_is_led_to_sign_in(
    visit: Callable[..., Page], shop: Shop, expected: list[str]
) -> None:
    """The page itself is refused; one that was open when the session ended says so, with a link."""
    expected.append("status of 401")
    page = visit(role=None)
    text(page, "You are not signed in")
    page = visit("campaigns")
    text(page, shop.campaign_id)
    page.context.clear_cookies()
    page.get_by_label("Search").fill("live")
    link = page.get_by_role("link", name="Sign in")
    link.wait_for()
    picture(page, "page-signed-out")
    link.click()
    page.wait_for_url("**/auth/**")


def test_a_viewer_sees_and_changes_nothing(
    visit: Callable[..., Page], shop: Shop, expected: list[str]
) -> None:
    """What is forbidden is disabled or not there, with a reason; the server refuses it all the same."""
    expected.append("status of 403")
    page = visit(f"campaigns/{shop.key}", role="viewer")
    heading(page, shop.campaign_id)
    text(page, "Only those who may edit the campaign's Dag")
    assert page.get_by_role("link", name="Download the report").count() == 0
    assert page.get_by_role("button", name="Retry").first.is_disabled()
    assert page.get_by_role("button", name="Count as sent").count() == 0
    status = page.evaluate(
        """(key) => fetch(`api/campaigns/${key}/pause`, {
          method: "POST", headers: {"Content-Type": "application/json"}, body: '{"paused": true}',
        }).then((answer) => answer.status)""",
        shop.key,
    )
    assert status == 403
    picture(page, "page-viewer")
    page = visit("recipient", role="viewer")
    text(page, "You may not look up recipients")
    page = visit("templates", role="viewer")
    text(page, "There is no Caixin connection yet")


def test_in_airflows_frame_it_keeps_its_place_language_and_links(
    visit: Callable[..., Page], shop: Shop, expected: list[str]
) -> None:
    """Deep links work by Airflow's navigation entry, language follows at once, Dag links leave the frame."""
    expected.append(FRAMED)
    page = visit(f"campaigns?id={quote(shop.campaign_id, safe='')}", at="/plugin/caixin#/")
    frame = page.frame_locator("iframe")
    frame.get_by_role("heading", name=shop.campaign_id, exact=True).wait_for()
    picture(page, "page-framed")
    frame.get_by_role("link", name="Usage").click()
    frame.get_by_role("heading", name="Usage", exact=True).wait_for()
    page.wait_for_url("**#/usage*")
    page.reload()
    frame.get_by_role("heading", name="Usage", exact=True).wait_for()
    page.evaluate("localStorage.i18nextLng = 'zh-CN'; localStorage.theme = 'dark'")
    frame.get_by_role("heading", name="用量", exact=True).wait_for()
    frame.locator("html.dark").wait_for()
    frame.get_by_role("link", name="发送任务", exact=True).click()
    frame.get_by_role("link", name=shop.campaign_id).click()
    frame.get_by_role("link", name=shop.run.run_id).click()
    page.wait_for_url(f"**/dags/live/runs/{quote(shop.run.run_id, safe='')}**")
