"""Lists of numbers to suppress; as files and arguments they are in the tests of operator and command line."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_caixin.audience import AudienceError, audience_from
from airflow_provider_caixin.campaign import DamagedRows, check_suppressions, import_suppressions, numbers_of
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import suppressions
from tests.unit.campaign.conftest import NUMBERS

DAMAGED = "1.39123E+10"


def test_a_list_is_merged_into_the_ledgers(sqlite_ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    """Who is on it already is not new; what is no number is counted, once, as a WARNING."""
    assert import_suppressions(sqlite_ledger, audience_from(NUMBERS[:2]), "退订") == 2
    with caplog.at_level(logging.WARNING):
        assert import_suppressions(sqlite_ledger, audience_from([*NUMBERS[1:3], "x"]), "again") == 1
    assert "1 of 3 rows are no mobile numbers" in caplog.text
    assert {one.number: one.reason for one in suppressions.suppressed(sqlite_ledger)}[NUMBERS[1]] == "退订"


def test_a_list_is_checked_without_being_kept(sqlite_ledger: Ledger) -> None:
    """With the rows that may be damaged, and where they stand."""
    import_suppressions(sqlite_ledger, audience_from(NUMBERS[:1]), "退订")
    found = check_suppressions(sqlite_ledger, audience_from([*NUMBERS[:2], "x", DAMAGED]))
    assert (found.numbers, found.new, found.others, found.damaged) == (2, 1, 1, 1)
    assert found.rows[0].startswith("row 4: ")
    assert len(list(suppressions.suppressed(sqlite_ledger))) == 1


def test_damaged_numbers_are_refused_after_the_last_row(sqlite_ledger: Ledger) -> None:
    """Whatever can be read is on the list by then.

    Five of them are named, with their shape and not as they are.
    """
    with pytest.raises(DamagedRows, match="What can be read is on the suppression list") as raised:
        import_suppressions(sqlite_ledger, audience_from([*[DAMAGED] * 6, NUMBERS[0]]), "退订")
    assert "6 rows may be damaged" in str(raised.value)
    assert "and 1 more" in str(raised.value)
    assert DAMAGED not in str(raised.value)
    assert [one.number for one in suppressions.suppressed(sqlite_ledger)] == NUMBERS[:1]


def test_a_list_without_a_number_is_another_file() -> None:
    """An empty one is none."""
    assert list(numbers_of(audience_from([]))) == []
    with pytest.raises(AudienceError, match="none of the 2 rows"):
        list(numbers_of(audience_from(["x", "y"])))
