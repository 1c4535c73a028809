"""One check of a template or a window, as sensors and triggers wait by."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_caixin.compat import NOTSET
from airflow_provider_caixin.rules import ANY_TIME, SendWindow
from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.session.template_check import TemplateCheck, window_of

pytestmark = pytest.mark.usefixtures("to_sandbox")


@pytest.mark.parametrize(
    ("tpl_id", "arguments", "found", "hopeless", "sentence"),
    [
        (65535, (), True, False, "Template 65535 is available: 【晨山书店】"),
        (65537, (), False, False, "Template 65537 is not available (tpl_state 0)"),
        (65537, ("wait", "fail"), False, True, "took it out of use"),
        (4711, (), False, False, "Template 4711 does not exist in this account"),
        (4711, ("fail", "wait"), False, True, "Juhe issues the id"),
    ],
)
def test_what_a_check_finds(
    tpl_id: int, arguments: tuple[str, ...], found: bool, hopeless: bool, sentence: str
) -> None:
    """There, not available or not there: each is waited for, or hopeless where it is not to be waited for."""
    finding = TemplateCheck.of("caixin_default").find(tpl_id, *arguments)
    assert (finding.template is not None, finding.hopeless) == (found, hopeless)
    assert sentence in finding.sentence


def test_a_gateway_that_does_not_answer_or_refuses(sandbox: SandboxServer, connect: Any) -> None:
    """The first may pass; a refused account stays refused until a person acts."""
    sandbox.configure(maintenance=True)
    away = TemplateCheck.of("caixin_default")
    assert (away.error is not None, away.is_final, away.find(65535).hopeless) == (True, False, False)
    sandbox.configure(maintenance=False)
    connect("refused", host=sandbox.host, port=sandbox.port, schema="http", password="sandbox-10001")
    refused = TemplateCheck.of("refused")
    assert (refused.is_final, refused.find(65535).hopeless) == (True, True)
    connect("keyless", password="")
    assert TemplateCheck.of("keyless").is_final


def test_whose_window_holds(connect: Any) -> None:
    """The argument's, where it is given; the connection is read only else."""
    connect("shop", extra={"send_window": "10:00-11:00"})
    assert window_of(NOTSET, "shop") == SendWindow("10:00-11:00")
    assert window_of("12:00-13:00", "no such connection") == SendWindow("12:00-13:00")
    assert window_of(None, "no such connection") == ANY_TIME
