"""Airflow's own UI in a real browser, live: the connection's form, a Dag's trigger form, a task's links."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from airflow_provider_caixin.sandbox import SandboxServer
from tests.browser.conftest import picture, sign_in
from tests.system.live import LIVE, Live, Run, people

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, *LIVE]

DAG_ID = "caixin_send_one"
UNICOM = "18600001234"


@pytest.fixture
def visit(live: Live, new_page: Callable[..., Page]) -> Callable[[str], Page]:
    """Return a function that opens a page of the UI as its admin."""

    def open_page(path: str) -> Page:
        page = new_page()
        sign_in(page, live, live.token)
        page.goto(f"{live.api.url}/{path}")
        return page

    return open_page


@pytest.fixture
def trigger(visit: Callable[[str], Page]) -> Callable[[str], Page]:
    """Return a function that types a number into the form of ``caixin_send_one`` and triggers it."""

    def fill_in(number: str) -> Page:
        page = visit(f"dags/{DAG_ID}")
        page.get_by_role("button", name="Trigger").click()
        page.locator("#element_mobile").fill(number)
        page.get_by_role("dialog").get_by_role("button", name="Trigger", exact=True).click()
        return page

    return fill_in


def started(live: Live, page: Page) -> Run:
    """Give the run that the UI leads to after its form."""
    page.wait_for_url(f"**/dags/{DAG_ID}/runs/**")
    return Run(live, DAG_ID, unquote(page.url.partition("/runs/")[2]))


def details(page: Page) -> None:
    """Go from a run to the details of its task, where the links are."""
    page.get_by_role("cell", name="send", exact=True).get_by_role("link").click()
    page.locator("a[href$='/tasks/send/details']").click()


@pytest.mark.parametrize(
    ("key", "title", "words"),
    [
        ("key-of-a-form", "Test Connection Successful", "7 templates, 5 of them available"),
        ("sandbox-10001", "Test Connection Failed", "the gateway answered 10001"),
    ],
    ids=["right", "wrong"],
)
def test_a_connection_is_made_in_its_form_and_tried(
    live: Live, visit: Callable[[str], Page], key: str, title: str, words: str
) -> None:
    """AppKey has its name, there is no login; what is typed is saved; the test tells the gateway's answer."""
    conn_id = f"ui_{uuid.uuid4().hex}"
    page = visit("connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Connection ID").fill(conn_id)
    form.get_by_role("combobox", name="Connection Type").fill("Juhe")
    page.get_by_role("option", name="Caixin (Juhe video SMS)", exact=True).click()
    app_key = form.get_by_label("AppKey", exact=True)
    app_key.fill(key)
    assert app_key.get_attribute("type") == "password"
    assert [form.get_by_text(name, exact=True).count() for name in ("Host", "Login", "Password")] == [1, 0, 0]
    with SandboxServer() as gateway:
        form.get_by_label("Host").fill(gateway.host)
        form.get_by_label("Port").fill(str(gateway.port))
        form.get_by_label("Schema").fill("http")
        picture(page, "ui-connection")
        form.get_by_role("button", name="Extra Fields", exact=True).click()
        form.locator("[name=element_send_window]").fill("08:30-17:45")
        form.locator("[name=element_timeout]").fill("7.5")
        picture(page, "ui-connection-extra")
        form.get_by_role("button", name="Save").click()
        row = page.get_by_role("row").filter(has_text=conn_id)
        row.wait_for()
        saved = live.api.ask("GET", "connections", conn_id)
        assert {
            name: saved[name] for name in ("conn_type", "host", "port", "schema", "login", "password")
        } == {
            "conn_type": "caixin",
            "host": gateway.host,
            "port": gateway.port,
            "schema": "http",
            "login": None,
            "password": "***",
        }
        extra = {name: value for name, value in json.loads(saved["extra"]).items() if value is not None}
        assert extra == {"send_window": "08:30-17:45", "timeout": 7.5}
        assert gateway.state()["template_calls"] == 0
        row.get_by_role("button", name="Test Connection").click()
        told = page.get_by_role("status").filter(has_text=title)
        told.wait_for()
        picture(page, f"ui-connection-{key}")
        assert gateway.state()["template_calls"] == 1
        assert words in told.inner_text()


def test_a_number_typed_into_the_form_gets_one_message(live: Live, trigger: Callable[[str], Page]) -> None:
    """Spelled as people spell it, it is billed once; both links of its task lead where they say."""
    [number] = people(1)
    before = len(live.record())
    page = trigger(f"+86 {number[:3]}-{number[3:7]}-{number[7:]}")
    run = started(live, page)
    assert run.finish() == "success"
    assert [(row["mobile"], row["billed"]) for row in live.record()[before:]] == [(number, True)]
    details(page)
    page.get_by_role("link", name="Template media").wait_for()
    picture(page, "ui-details")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Template media").click()
    opened.value.locator("video").wait_for()
    assert opened.value.url.endswith("/media/sunrise.mp4")
    page.get_by_role("link", name="Campaign", exact=True).click()
    page.get_by_role("heading", name=f"{DAG_ID}/{run.run_id}/send", exact=True).wait_for()
    page.get_by_text("1 of 1 done").wait_for()


@pytest.mark.parametrize(
    ("number", "reason"),
    [("12345", "'12345' does not match"), ("12345678901", "'12345678901' does not match")],
    ids=["short", "wrong"],
)
def test_a_wrong_number_is_refused_in_the_form(
    live: Live, trigger: Callable[[str], Page], expected: list[str], number: str, reason: str
) -> None:
    """The form stays, with what was typed, why it will not do and what is expected; no run is made."""
    expected.append("status of 400")
    before = live.api.ask("GET", "dags", DAG_ID, "dagRuns")["total_entries"]
    page = trigger(number)
    form = page.get_by_role("dialog")
    told = form.get_by_text(f"Invalid input for param mobile: {reason}")
    told.wait_for()
    picture(page, f"ui-refused-{number}")
    assert "'Mobile number, such as 13800138000'" in told.inner_text()
    form.get_by_text("11 digits that China Mobile issued").wait_for()
    assert page.locator("#element_mobile").input_value() == number
    assert live.api.ask("GET", "dags", DAG_ID, "dagRuns")["total_entries"] == before


def test_a_number_that_a_rule_keeps_back_has_its_reason(live: Live, trigger: Callable[[str], Page]) -> None:
    """The task is skipped, and its link leads to the campaign that says why in words."""
    before = len(live.record())
    page = trigger(UNICOM)
    run = started(live, page)
    assert run.finish() == "success"
    assert run.task()["state"] == "skipped"
    assert len(live.record()) == before
    details(page)
    page.get_by_role("link", name="Campaign", exact=True).click()
    page.get_by_role("heading", name=f"{DAG_ID}/{run.run_id}/send", exact=True).wait_for()
    page.get_by_text(
        "Another network issued the number, and the gateway serves China Mobile alone."
    ).wait_for()
    picture(page, "ui-kept-back")
