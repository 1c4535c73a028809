"""The options of ``[caixin]``: the deployment's value, else the built-in default."""

from __future__ import annotations

import pytest

from airflow_provider_caixin.settings.options import (
    CONFIG_OPTIONS,
    OPTION_MEANINGS,
    default_ledger,
    get_option,
    read_flag,
    ui_path,
)


def test_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another name than those that are defined is a mistake of ours."""
    assert get_option("send_window") == "09:00-18:00"
    monkeypatch.setenv("AIRFLOW__CAIXIN__SEND_WINDOW", "10:00-11:00")
    assert get_option("send_window") == "10:00-11:00"
    with pytest.raises(KeyError):
        get_option("sendwindow")


def test_descriptions_say_what_goes_before_an_option() -> None:
    """A connection's extra and an operator's argument, if there is one; the form's text leaves that out."""
    assert CONFIG_OPTIONS.keys() == OPTION_MEANINGS.keys()
    assert CONFIG_OPTIONS["send_window"]["description"].endswith("an operator's argument before both.")
    assert "goes before" not in "".join(OPTION_MEANINGS.values())
    assert "goes before" not in CONFIG_OPTIONS["segments_file"]["description"]


def test_the_default_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty option names none."""
    assert default_ledger() is None
    monkeypatch.setenv("AIRFLOW__CAIXIN__LEDGER_CONN_ID", " ")
    assert default_ledger() is None
    monkeypatch.setenv("AIRFLOW__CAIXIN__LEDGER_CONN_ID", "shared")
    assert default_ledger() == "shared"


@pytest.mark.parametrize(
    ("url", "path"), [("https://a.test/team/airflow/", "/team/airflow"), ("http://a.test:8080", "")]
)
def test_the_path_of_the_ui(url: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As links begin with it."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", url)
    assert ui_path() == path


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        (True, True),
        ("True", True),
        ("1", True),
        (" yes ", True),
        (1, True),
        (False, False),
        ("False", False),
        ("false", False),
        ("0", False),
    ],
    ids=repr,
)
def test_a_flag(value: object, flag: bool) -> None:
    """Also as a template or a variable writes it."""
    assert read_flag("dry_run", value) is flag


@pytest.mark.parametrize("value", [None, "", "None", "maybe", 2, [], [False]], ids=repr)
def test_what_is_no_flag(value: object) -> None:
    """It is refused and not taken for true because it is not empty."""
    with pytest.raises(ValueError, match=r"dry_run .* is neither true nor false"):
        read_flag("dry_run", value)
