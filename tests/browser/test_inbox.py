"""The sandbox's inbox in a real browser, against a real sandbox."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import pytest

from airflow_provider_caixin.sandbox import SandboxServer, magic_mobile
from tests.browser.conftest import NARROW, WIDE, picture, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

MOBILE = "13912345678"
PICTURE, VIDEO, AWAITING, DISABLED = 65536, 65535, 65538, 65537
HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    """Run a sandbox in this process."""
    with SandboxServer() as server:
        yield server


def send(sandbox: SandboxServer, mobile: str = MOBILE, tpl_id: object = VIDEO) -> None:
    """Send one message, whatever becomes of its answer."""
    connection = http.client.HTTPConnection(sandbox.host, sandbox.port, timeout=30)
    try:
        form = urlencode({"key": "made-up-key", "tplId": tpl_id, "mobile": mobile})
        connection.request(
            "POST", "/caixinv2/send", form, {"content-type": "application/x-www-form-urlencoded"}
        )
        connection.getresponse().read()
    except (ConnectionError, http.client.HTTPException):
        pass
    finally:
        connection.close()


def visit(page: Page, sandbox: SandboxServer, address: str = "/") -> None:
    """Open the inbox and wait until it has heard from the sandbox."""
    page.goto(f"{sandbox.url}{address}")
    page.wait_for_selector('#link[data-link="live"]')


def counted(page: Page, name: str, value: str) -> None:
    """Wait until one of the figures on top is this."""
    page.wait_for_selector(f'[data-count="{name}"] dd:text-is("{value}")')


def open_phone(page: Page, mobile: str = MOBILE) -> None:
    """Click the newest message to a number."""
    page.locator(f'[data-number="{mobile}"]').first.click()
    page.wait_for_selector(".thread")


def tab(page: Page, name: str) -> None:
    """Open one of the three panels."""
    page.get_by_role("tab", name=name).click()


def test_a_message_arrives_by_itself(page: Page, sandbox: SandboxServer) -> None:
    """The page that was empty shows it, its telephone has text and picture, and the figures count it."""
    visit(page, sandbox)
    assert page.get_by_role("heading", name="Nothing has arrived yet").is_visible()
    assert page.get_by_text("Test numbers, shown in full.").is_visible()
    picture(page, "inbox-empty")
    send(sandbox, tpl_id=PICTURE)
    counted(page, "billed", "1")
    open_phone(page)
    bubble = page.locator(".bubble")
    assert "【晨山书店】你好，新一期读书会" in bubble.inner_text()
    assert bubble.get_by_text("billed", exact=True).is_visible()
    shown = bubble.get_by_role("img", name="Picture of the template")
    shown.scroll_into_view_if_needed()
    until(page, "document.querySelector('.bubble img').naturalWidth === 480")
    assert page.locator(".phone h2").inner_text() == "139 1234 5678"
    picture(page, "inbox-picture")


def test_a_video_plays_on_a_click_and_goes_on(page: Page, sandbox: SandboxServer) -> None:
    """Nothing plays by itself; another message to the same telephone does not stop what plays."""
    send(sandbox)
    visit(page, sandbox)
    open_phone(page)
    video = page.locator(".bubble video")
    assert video.evaluate("video => video.paused && !video.controls")
    page.get_by_role("button", name="Play the video").click()
    until(page, "document.querySelector('.bubble video').currentTime > 0.1")
    video.evaluate("video => { video.loop = true; }")
    send(sandbox, tpl_id=PICTURE)
    page.wait_for_selector(".bubble >> nth=1")
    assert video.evaluate("video => !video.paused && video.controls && video.currentTime > 0.1")


def test_what_went_wrong_is_told_in_words(new_page: Callable[..., Page], sandbox: SandboxServer) -> None:
    """Billed twice, lost answer, rejected, not accepted: list, phone, findings say so, in both languages."""
    send(sandbox)
    send(sandbox, tpl_id=DISABLED)
    send(sandbox)
    send(sandbox, magic_mobile(99004))
    send(sandbox, magic_mobile(99010))
    page = new_page()
    visit(page, sandbox)
    rows = page.locator("#messages li")
    assert [row.replace("\n", " ").split(":")[-1][3:] for row in rows.all_inner_texts()[:2]] == [
        "Not accepted, HTTP 500 with a page. not accepted",
        "晨山书店 会员日：全场图书八五折，凭此短信到店再领书签一枚。拒收请回复R billed answer lost",
    ]
    assert page.locator('[data-count="duplicates"][data-tone="bad"] dd').inner_text() == "1"
    page.get_by_role("button", name="139 1234 5678 2×").click()
    assert (
        page.locator(".missed").inner_text().startswith("Not received, not billed\n\ntemplate is not valid")
    )
    assert page.locator(".bubble .badge[data-tone=bad]").all_inner_texts() == ["billed 2×", "billed 2×"]
    open_phone(page, magic_mobile(99004))
    page.wait_for_selector("text=Accepted and billed, connection reset: the answer is lost.")
    decided = page.locator("#findings tr")
    assert decided.filter(has_text="236303").inner_text() == "236303\ttemplate is not valid\t1"
    picture(page, "inbox-findings")
    chinese = new_page(locale="zh-CN", color_scheme="dark")
    visit(chinese, sandbox, f"/#{MOBILE}")
    chinese.wait_for_selector('.missed:has-text("模板无效")')
    assert chinese.locator("#findings").get_by_text("未受理，HTTP 500 和一个网页。").is_visible()
    picture(chinese, "inbox-findings-zh-dark")


def test_what_others_wrote_is_text(page: Page, sandbox: SandboxServer) -> None:
    """Markup in a number, a template id or a template is shown as written; an odd address is not followed."""
    templates = sandbox._sandbox.templates  # type: ignore[union-attr]
    hostile = replace(
        templates._by_id[PICTURE], content=f"【{HOSTILE}】{HOSTILE}", media="../javascript:alert(1)"
    )
    templates._by_id[PICTURE] = hostile
    send(sandbox, tpl_id=PICTURE)
    send(sandbox, HOSTILE, HOSTILE)
    visit(page, sandbox, f"/#{quote(HOSTILE[:64])}")
    assert page.locator(".phone h2").inner_text() == HOSTILE[:64]
    assert HOSTILE[:64] in page.locator(".missed footer").inner_text()
    open_phone(page)
    assert f"【{HOSTILE}】{HOSTILE}" in page.locator(".bubble .text").inner_text()
    assert "javascript:alert(1) cannot be shown" in page.locator(".bubble .media").inner_text()
    tab(page, "Switches")
    assert HOSTILE in page.locator(f'[data-template="{PICTURE}"]').inner_text()
    page.fill("#search", HOSTILE[1:20])
    page.wait_for_selector('#where:text-is("1 found")')
    page.fill("#search", f"{HOSTILE[:40]}y")
    page.wait_for_selector("#nothing:has-text('No message to a number with “<img')")
    assert page.title() == "Caixin sandbox"
    assert page.locator("main img[src=x], main script").count() == 0


def test_a_number_is_found_by_a_part_of_it(page: Page, sandbox: SandboxServer) -> None:
    """The search narrows the list; pages lead to what is older and back."""
    for number in range(120):
        send(sandbox, f"139{number:08d}", PICTURE)
    visit(page, sandbox)
    numbers = page.locator("#messages .number")
    assert (numbers.count(), numbers.first.inner_text()) == (50, "139 0000 0119")
    page.get_by_role("button", name="Older").click()
    page.wait_for_selector('#messages .number >> nth=0 >> text="139 0000 0069"')
    page.get_by_role("button", name="Older").click()
    page.wait_for_selector('#messages .number >> nth=0 >> text="139 0000 0019"')
    assert numbers.count() == 20
    assert page.get_by_role("button", name="Older").is_disabled()
    page.get_by_role("button", name="Newest").click()
    page.wait_for_selector('#messages .number >> nth=0 >> text="139 0000 0119"')
    page.get_by_role("searchbox", name="Search by number").fill("0000 0007")
    page.wait_for_selector('#where:text-is("1 found")')
    assert numbers.all_inner_texts() == ["139 0000 0007"]


def test_the_list_holds_still_when_asked(page: Page, sandbox: SandboxServer) -> None:
    """Pause and scrolling keep the list, a button counts what is new, a campaign's flood stays one page."""
    for number in range(60):
        send(sandbox, f"139{number:08d}", PICTURE)
    visit(page, sandbox)
    page.get_by_role("button", name="Pause").click()
    page.wait_for_selector('#link[data-link="held"]')
    for number in range(60, 400):
        send(sandbox, f"139{number:08d}", PICTURE)
    page.get_by_role("button", name="Show 340 new").wait_for()
    counted(page, "requests", "400")
    assert page.locator("#messages .number").first.inner_text() == "139 0000 0059"
    page.get_by_role("button", name="Resume").click()
    page.wait_for_selector('#messages .number >> nth=0 >> text="139 0000 0399"')
    assert page.locator("#messages li").count() == 50
    page.locator("#messages").evaluate("list => list.scrollTo(0, 500)")
    page.wait_for_selector('#link[data-link="held"]')
    send(sandbox)
    page.get_by_role("button", name="Show 1 new").click()
    page.wait_for_selector('#messages .number >> nth=0 >> text="139 1234 5678"')


def test_switches_change_the_sandbox_and_follow_it(page: Page, sandbox: SandboxServer) -> None:
    """What is set on the page holds in the sandbox, and what a program sets shows on the page."""
    visit(page, sandbox)
    tab(page, "Switches")

    def settings() -> dict[str, object]:
        found: dict[str, object] = sandbox.state()["settings"]
        return found

    page.get_by_label("Lose answers of billed messages").select_option(label="every 20th")
    page.get_by_label("Least milliseconds").fill("1")
    page.get_by_label("Most milliseconds").fill("2.5")
    page.get_by_label("Most milliseconds").press("Enter")
    page.wait_for_selector('tr:has-text("latency_ms") >> td:text-is("[1,2.5]")', state="attached")
    page.get_by_label("Answer valid sends with").select_option("10014")
    page.get_by_label("for how many sends").fill("2")
    page.get_by_label("for how many sends").press("Enter")
    page.wait_for_selector('#answer-now:has-text("In force for 2 more sends.")')
    send(sandbox)
    page.wait_for_selector('#answer-now:has-text("In force for 1 more sends.")')
    page.get_by_role("switch", name="Maintenance").click()
    page.wait_for_selector('[role=switch][aria-checked="true"]:has-text("Maintenance")')
    page.get_by_role("switch", name="Refuse sends above 300").click()
    page.wait_for_selector('[role=switch][aria-checked="true"]:has-text("Refuse")')
    found = settings()
    assert (found["lose_answers"], found["latency_ms"], found["maintenance"]) == (20, [1, 2.5], True)
    assert (found["answer"], found["answer_count"], found["rate_limit_answer"]) == (10014, 1, 10011)
    picture(page, "inbox-switches")
    sandbox.configure(lose_answers=7, maintenance=False)
    page.wait_for_selector('[role=switch][aria-checked="false"]:has-text("Maintenance")')
    lose = page.get_by_label("Lose answers of billed messages").element_handle()
    page.wait_for_function("select => select.selectedOptions[0].text === 'every 7th'", arg=lose)


def test_a_wrong_value_gets_a_sentence(page: Page, sandbox: SandboxServer, expected: list[str]) -> None:
    """The sandbox's own words are shown, and nothing is changed."""
    expected.append("status of 422")
    visit(page, sandbox)
    tab(page, "Switches")
    page.get_by_label("Least milliseconds").fill("9")
    page.get_by_label("Most milliseconds").fill("1")
    page.get_by_label("Most milliseconds").press("Enter")
    page.wait_for_selector("text=Not done: latency_ms: expected [least, most] milliseconds")
    assert sandbox.state()["settings"]["latency_ms"] == [0, 0]


def test_a_template_is_switched_now_and_later(page: Page, sandbox: SandboxServer) -> None:
    """One click makes it available, another not, and a number of seconds makes it so by itself."""

    def available() -> bool:
        return any(
            item["tplId"] == AWAITING and item["tpl_state"] == 1 for item in sandbox.state()["templates"]
        )

    visit(page, sandbox)
    tab(page, "Switches")
    switch = page.get_by_role("switch", name=f"Template {AWAITING} is available")
    card = page.locator(f'[data-template="{AWAITING}"]')
    switch.click()
    page.wait_for_selector(f'[data-template="{AWAITING}"] [aria-checked="true"]')
    assert available()
    switch.click()
    page.wait_for_selector(f'[data-template="{AWAITING}"] [aria-checked="false"]')
    assert not available()
    card.get_by_role("spinbutton").fill("2")
    card.get_by_role("button", name="Available in").click()
    card.get_by_text("available at").wait_for()
    page.wait_for_selector(f'[data-template="{AWAITING}"] [aria-checked="true"]')
    assert available()


def test_a_reset_is_asked_about(page: Page, sandbox: SandboxServer) -> None:
    """Escape and the first button keep everything; the other one empties page and sandbox."""
    send(sandbox)
    visit(page, sandbox)
    open_phone(page)
    tab(page, "Switches")
    opener = page.get_by_role("button", name="Reset the sandbox …")
    opener.click()
    page.keyboard.press("Escape")
    opener.click()
    page.get_by_role("button", name="Keep everything").click()
    assert sandbox.state()["requests"] == 1
    opener.click()
    page.get_by_role("button", name="Reset", exact=True).click()
    page.wait_for_selector("text=Nothing has arrived yet")
    page.wait_for_selector("text=Nothing was sent to this number since the sandbox was reset.")
    assert sandbox.state()["requests"] == 0
    send(sandbox, tpl_id=PICTURE)
    page.wait_for_selector(".bubble")
    counted(page, "requests", "1")


def test_the_magic_numbers_are_listed(page: Page, sandbox: SandboxServer) -> None:
    """Each with its words, as the sandbox itself has them."""
    visit(page, sandbox)
    tab(page, "Magic numbers")
    fault = page.locator("#magic li").filter(has_text="99004")
    assert "Accepted and billed, connection reset: the answer is lost." in fault.inner_text()
    assert magic_mobile(99004) in fault.inner_text()
    assert magic_mobile(99004, tries=1) in fault.inner_text()
    picture(page, "inbox-magic")


def test_the_language_is_the_readers(new_page: Callable[..., Page], sandbox: SandboxServer) -> None:
    """The browser's language at first, then whichever was chosen, also after a reload."""
    page = new_page(locale="zh-TW")
    visit(page, sandbox)
    assert (page.title(), page.locator("html").get_attribute("lang")) == ("视频短信沙箱", "zh-CN")
    page.get_by_role("button", name="English").click()
    assert (page.title(), page.locator("html").get_attribute("lang")) == ("Caixin sandbox", "en")
    tab(page, "Switches")
    assert page.get_by_text("Lose answers of billed messages").is_visible()
    visit(page, sandbox)
    assert page.title() == "Caixin sandbox"


def test_a_sandbox_that_is_gone_is_told_and_comes_back(
    page: Page, sandbox: SandboxServer, expected: list[str]
) -> None:
    """A sentence says since when, what was seen stays, the page goes on by itself, also after a new start."""
    expected.append("ERR_CONNECTION|ERR_EMPTY_RESPONSE")
    send(sandbox, tpl_id=PICTURE)
    visit(page, sandbox)
    open_phone(page)
    sandbox.stop()
    page.get_by_role("alert").filter(has_text="The sandbox does not answer. What you see is from").wait_for()
    assert page.locator("#messages li").count() == 1
    picture(page, "inbox-gone")
    with SandboxServer(port=sandbox.port) as other:
        page.wait_for_selector('#link[data-link="live"]')
        page.wait_for_selector("text=Nothing has arrived yet")
        page.wait_for_selector("text=Nothing was sent to this number since the sandbox was reset.")
        send(other, tpl_id=PICTURE)
        page.wait_for_selector(".bubble")


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_it_is_usable_on_a_telephone(
    new_page: Callable[..., Page], sandbox: SandboxServer, locale: str
) -> None:
    """At 390 pixels nothing sticks out; list, telephone and switches take turns; the browser's back works."""
    send(sandbox, "1" * 64, VIDEO)
    send(sandbox)
    page = new_page(viewport=NARROW, locale=locale)
    visit(page, sandbox)

    def fits() -> bool:
        inside: bool = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        return inside

    assert fits()
    picture(page, f"inbox-narrow-{locale}")
    open_phone(page)
    assert page.locator(".phone").is_visible()
    assert fits()
    picture(page, f"inbox-narrow-phone-{locale}")
    page.locator("#back").click()
    assert page.evaluate("document.activeElement.dataset.number") == MOBILE
    open_phone(page, "1" * 64)
    assert fits()
    page.go_back()
    assert page.locator("#messages").is_visible()
    page.locator('[data-show="side"]').click()
    for panel in page.get_by_role("tab").all():
        panel.click()
        assert fits()
        picture(page, f"inbox-narrow-{panel.get_attribute('aria-controls')}-{locale}")


def test_the_keyboard_reaches_everything(page: Page, sandbox: SandboxServer) -> None:
    """Tab from the top: language, search, pause, messages; arrows in the list and among tabs; Enter opens."""
    send(sandbox, "13900000001", PICTURE)
    send(sandbox, tpl_id=PICTURE)
    visit(page, sandbox)

    def focused() -> str:
        found: str = page.evaluate("document.activeElement.dataset.number ?? document.activeElement.id")
        return found

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    seen = []
    for _ in range(4):
        page.keyboard.press("Tab")
        seen.append(focused())
    assert seen == ["language", "search", "pause", MOBILE]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector('.phone h2:text-is("139 0000 0001")')
    send(sandbox, "13900000003", PICTURE)
    page.wait_for_selector('[data-number="13900000003"]')
    assert focused() == "13900000001"
    page.locator("#tab-findings").focus()
    page.keyboard.press("ArrowRight")
    assert (focused(), page.locator("#switches").is_visible()) == ("tab-switches", True)
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, select, [role]')].filter(element => element.checkVisibility() && "
        "!(element.innerText || element.ariaLabel || element.role === 'status' || element.labels?.length || element.getAttribute('aria-labelledby')))"
        ".map(element => element.outerHTML)"
    )
    assert unnamed == []


def test_another_page_in_the_same_browser_changes_nothing(
    page: Page, sandbox: SandboxServer, expected: list[str]
) -> None:
    """A form and a fetch from another origin reach the sandbox without effect; only its own page may."""
    expected.append("status of 403|Content Security Policy|Failed to fetch|ERR_FAILED|CORS")
    send(sandbox)
    with SandboxServer() as stranger:
        page.goto(f"{stranger.url.replace('127.0.0.1', 'localhost')}/media/hills.jpeg")
        # its own policy would stop it before the sandbox could: a stranger has none
        page.route(
            "**/stranger", lambda route: route.fulfill(content_type="text/html", body="<h1>stranger</h1>")
        )
        page.goto(f"{stranger.url.replace('127.0.0.1', 'localhost')}/stranger")
        page.evaluate(
            "address => fetch(address, {method: 'POST', mode: 'no-cors', body: '{}'}).catch(() => null)",
            f"{sandbox.url}/_sandbox/reset",
        )
        assert sandbox.state()["requests"] == 1
        with page.expect_navigation():
            page.evaluate(
                "address => { const form = document.createElement('form'); form.method = 'POST'; form.action = address;"
                "document.body.append(form); form.submit(); }",
                f"{sandbox.url}/_sandbox/reset",
            )
        assert "pages of other sites may not change the sandbox" in page.content()
    assert sandbox.state()["requests"] == 1


def test_a_campaign_goes_on_beside_it(page: Page, sandbox: SandboxServer) -> None:
    """While messages pour in, the figures follow, the page stays one page long, and its telephone too."""
    visit(page, sandbox)
    stopped = threading.Event()

    def pour() -> None:
        number = 0
        while not stopped.is_set():
            send(sandbox, f"138{number:08d}", PICTURE)
            send(sandbox, MOBILE, PICTURE)
            number += 1
            time.sleep(0.002)

    sender = threading.Thread(target=pour)
    sender.start()
    try:
        page.wait_for_selector(f'[data-number="{MOBILE}"]')
        page.locator(f'[data-number="{MOBILE}"]').first.click()
        until(
            page,
            "Number(document.querySelector('[data-count=requests] dd').innerText.replace(',', '')) > 600",
        )
    finally:
        stopped.set()
        sender.join()
    counted(page, "requests", f"{sandbox.state()['requests']:,}")
    assert page.locator("#messages li").count() == 50
    page.wait_for_selector(".thread p:has-text('Only the last 100 are shown.')")
    assert page.locator(".bubble").count() == 100
    assert page.viewport_size == WIDE
    assert page.locator("#pace .line").get_attribute("d") != ""
