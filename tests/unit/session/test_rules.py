"""The rules in force: an argument goes before the connection, and what it loosens is a warning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_caixin.rules import FrequencyCap, SendWindow
from tests.unit.sends import BEIJING, UNICOM, VIRTUAL, A, operator

pytestmark = pytest.mark.usefixtures("to_sandbox")


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
