"""The session: who is looking, and the words of states, reasons and statuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_caixin import __version__
from airflow_provider_caixin.vocabulary import SkipReason, State, Status
from tests.unit.page.conftest import Browser


@pytest.mark.usefixtures("connect")
def test_the_words_are_served(browser: Callable[..., Browser]) -> None:
    """Of every state, reason and status in both languages, under the keys that the page asks for."""
    session = browser("viewer", "wang").get("/session")
    assert (session["user"], session["version"]) == ("wang", __version__)
    vocabulary = session["vocabulary"]
    assert vocabulary.keys() == {"zh", "en"}
    assert vocabulary["zh"].keys() == vocabulary["en"].keys()
    assert vocabulary["zh"]["state.unknown"] == State.UNKNOWN.zh == "结果待核实"
    assert vocabulary["en"]["status.waiting"] == Status.WAITING.en
    assert vocabulary["zh"]["reason.suppressed"] == SkipReason.SUPPRESSED.zh == "免打扰名单"
    assert vocabulary["en"]["why.suppressed"] == SkipReason.SUPPRESSED.why_en
