"""Who may get a message now: suppression, cap and what is in the air.

Carriers and regions are the classifier's.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from airflow_provider_caixin.audience import Classifier
from airflow_provider_caixin.campaign.judge import judge
from airflow_provider_caixin.ledger import Ledger, schema
from airflow_provider_caixin.ledger.admin import suppressions
from airflow_provider_caixin.ledger.queue.draw import Recipient
from airflow_provider_caixin.rules import FrequencyCap
from airflow_provider_caixin.vocabulary import SkipReason
from tests.unit.campaign.conftest import NUMBERS, Make, plan

ONE_A_DAY = FrequencyCap(1)


def judged(ledger: Ledger, numbers: list[str], *, key: int = 0, **fields: Any) -> dict[str, str]:
    """Judge numbers by the first account's history; return what became of each."""
    with ledger.reading() as connection:
        account = connection.execute(sa.select(schema.account.c.id)).scalars().first()
        rows = [Recipient(key, number, 0) for number in numbers]
        judgement = judge(connection, plan(**fields), account, rows, ledger.now(connection))
    found = {one.number: "passed" for one in judgement.passed} | {
        one.number: "waiting" for one in judgement.waiting
    }
    return found | {one.number: reason.value for reason, rows in judgement.skipped.items() for one in rows}


def test_suppressed_numbers_never_pass(sqlite_ledger: Ledger) -> None:
    """Neither those on the ledger's list nor those that this run was given."""
    suppressions.suppress(sqlite_ledger, NUMBERS[:1], "退订")
    found = judged(sqlite_ledger, NUMBERS[:3], suppressed=frozenset(NUMBERS[1:2]))
    assert list(found.values()) == ["passed", "suppressed", "suppressed"]


def test_a_region_goes_before_the_list(sqlite_ledger: Ledger) -> None:
    """The first rule that holds is the reason."""
    suppressions.suppress(sqlite_ledger, ["13910000001"], "退订")
    blocked = Classifier(blocked_regions=["北京"])
    assert judged(sqlite_ledger, ["13910000001"], classifier=blocked) == {
        "13910000001": SkipReason.BLOCKED_REGION.value
    }


def test_what_is_in_the_air_holds_the_next_one_back(make: Make, sqlite_ledger: Ledger) -> None:
    """It skips nobody before it is known what became of it; one's own earlier attempt counts for nothing."""
    make(NUMBERS[:3], cap=ONE_A_DAY).send()
    table = schema.recipient
    with sqlite_ledger.writing() as connection:
        now = sqlite_ledger.now(connection)
        flying = {"state": "in_flight", "due": now + 60}
        connection.execute(sa.update(table).where(table.c.number == NUMBERS[0]).values(flying))
        dead = {"state": "in_flight", "due": now - 1}
        connection.execute(sa.update(table).where(table.c.number == NUMBERS[1]).values(dead))
        key = connection.execute(sa.select(table.c.id).where(table.c.number == NUMBERS[2])).scalar_one()
    found = judged(sqlite_ledger, NUMBERS[:4], cap=ONE_A_DAY)
    assert [found[number] for number in NUMBERS[:4]] == [
        "waiting",
        "frequency_cap",
        "frequency_cap",
        "passed",
    ]
    assert judged(sqlite_ledger, NUMBERS[2:3], cap=ONE_A_DAY, key=key) == {NUMBERS[2]: "passed"}
    assert judged(sqlite_ledger, NUMBERS[:1]) == {NUMBERS[0]: "passed"}
