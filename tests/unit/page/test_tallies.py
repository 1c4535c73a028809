"""Skip reasons and codes, counted no more often than it is worth."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.admin import controls
from airflow_provider_caixin.vocabulary import State

from .conftest import HOSTILE, Browser, D, Told


def test_reasons_are_counted_anew_when_they_changed(
    browser: Callable[..., Browser], told: Told, home_ledger: Ledger
) -> None:
    """The page keeps counts, and not longer than they hold."""
    user, key = browser("user"), told.keys[HOSTILE]
    before = user.get(f"/campaigns/{key}")
    assert user.get(f"/campaigns/{key}")["as_of"] == before["as_of"], "nothing changed"
    controls.retry_rejected(home_ledger, HOSTILE, 236306)
    told.past.sent(key, {D: State.REJECTED}, told.sent_at, code=236308)
    with home_ledger.writing() as connection:
        table = schema.campaign
        ticked = sa.update(table).where(table.c.id == key)
        connection.execute(ticked.values(active_at=home_ledger.now(connection) - 60))
    after = user.get(f"/campaigns/{key}")
    assert after["counts"] == before["counts"]
    assert [one["code"] for one in after["rejected"]] == [236308]
