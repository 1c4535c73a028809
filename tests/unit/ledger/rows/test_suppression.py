from __future__ import annotations

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import suppressions
from airflow_provider_caixin.ledger.rows.suppression import find_suppressed

A, B, C = "13912345678", "13912345679", "13912345680"


def test_which_of_some_numbers_are_on_the_list(ledger: Ledger) -> None:
    """Those that are asked for and no others, each once."""
    suppressions.suppress(ledger, [A, B])
    with ledger.reading() as connection:
        assert find_suppressed(connection, [A, A, C]) == {A}
        assert find_suppressed(connection, [C]) == set()
        assert find_suppressed(connection, []) == set()
