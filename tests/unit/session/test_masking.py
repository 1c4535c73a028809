"""What Airflow shows of numbers, and of arguments that may hold some."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_caixin.session.masking import MaskedArgument, MaskedNumbers
from tests.unit.sends import A, B

pytestmark = pytest.mark.usefixtures("to_sandbox")

MOBILE = "13912340001"


@pytest.mark.parametrize(
    ("mobiles", "shown"),
    [
        (MOBILE, "1 number: 139****0001"),
        ([MOBILE], "1 number: 139****0001"),
        ([MOBILE, "+86 139 1234 0002"], "2 numbers: 139****0001, 139****0002"),
        ([13912340001.0, "x13912340002", None, MOBILE], "4 numbers: 139****0001, ***, ***, ..."),
        ((MOBILE,) * 1000, "1000 numbers: 139****0001, 139****0001, 139****0001, ..."),
        ({MOBILE: 1}, "a dict"),
        ([], "0 numbers"),
        (f"['{MOBILE}', '{MOBILE}']", "2 numbers: 139****0001, 139****0001"),
        (f"{MOBILE}\n{MOBILE}", "2 numbers: 139****0001, 139****0001"),
        (f"[{MOBILE}", "a str"),
        (object, "a type"),
    ],
    ids=["one", "list", "two", "odd", "many", "dict", "none", "text of a list", "lines", "broken", "other"],
)
def test_what_airflow_shows(mobiles: Any, shown: str) -> None:
    """A count and a few masked samples, of whatever was given."""
    recipients = MaskedNumbers(mobiles)
    assert recipients.serialize() == shown
    assert MOBILE not in repr(recipients)
    assert recipients.value is mobiles


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (A, "a str"),
        ("139 1234 0001", "a str"),
        (int(A), "a int"),
        ([A, B], "a list of 2"),
        ({A: 1}, "a dict of 1"),
        (object(), "a object"),
        ("2026-11-25", "2026-11-25"),
        (3, 3),
        (True, True),
        (None, None),
    ],
)
def test_what_airflow_shows_of_an_argument(value: Any, shown: Any) -> None:
    """Nothing that could be a number or hold one."""
    argument = MaskedArgument(value)
    assert argument.serialize() == shown
    assert A not in repr(argument)
