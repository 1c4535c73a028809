from __future__ import annotations

import pytest

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import suppressions


def test_the_list_grows_shrinks_and_is_read(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over batches; who is on it keeps reason and date."""
    monkeypatch.setattr(suppressions, "_BATCH_ROWS", 7)
    numbers = [str(13_900_000_000 + index) for index in range(20)]
    assert suppressions.suppress(ledger, [*numbers[::-1], numbers[3]], "退订") == 20
    assert suppressions.count_new(ledger, [*numbers, "13911111111"]) == 1
    assert suppressions.suppress(ledger, ["13900000003", "13911111111"], "x" * 500) == 1
    assert suppressions.count_new(ledger, [*numbers, "13911111111"]) == 0
    listed = list(suppressions.suppressed(ledger))
    assert [one.number for one in listed] == [*numbers, "13911111111"]
    assert {one.reason for one in listed} == {"退订", "x" * 200}
    with ledger.reading() as connection:
        assert 0 <= ledger.now(connection) - listed[0].added_at < 60
    assert suppressions.release(ledger, [*numbers[:9], "13922222222"]) == 9
    assert len(list(suppressions.suppressed(ledger))) == 12
