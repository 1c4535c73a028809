"""The link from a task to its campaign."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.operators.links import CampaignLink, campaign_page
from tests.unit.page.conftest import HOSTILE


def test_the_link_of_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """It leads to a campaign of any name, behind Airflow's path; a task without a campaign offers none."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.test/airflow")
    pushed: dict[str, str] = {}
    operator = CaixinSendOperator(task_id="send", tpl_id=65535, mobiles=[], campaign_id=HOSTILE)
    [link] = [one for one in operator.operator_extra_links if isinstance(one, CampaignLink)]
    key: Any = None
    assert link.get_link(operator, ti_key=key) == ""
    ti = SimpleNamespace(xcom_push=lambda key, value: pushed.update({key: value}))
    context: Any = {"ti": ti}
    operator._offer_page(HOSTILE, context)
    address = link.get_link(operator, ti_key=key)
    assert pushed == {link.xcom_key: address}
    assert address == campaign_page(HOSTILE)
    place, _, name = address.partition("?id=")
    assert place == "/airflow/caixin/#/campaigns"
    assert not set(name) & set("\"<>=|?#& /'")
