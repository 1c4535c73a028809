"""Whatever a list or a file holds: nothing that is no number reaches the gateway."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_caixin.audience import AudienceError, audience_from, normalise
from airflow_provider_caixin.campaign import Campaign, Plan
from airflow_provider_caixin.juhe import JuheClient
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.sandbox import SandboxServer

EXAMPLES, ROWS = 50, 200

DIGITS = st.text("0123456789", min_size=6, max_size=16)
ALMOST = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "+86", "0086", "86", "+1", "'", "\t", " ", "１", "1", "139", "+"]),
    DIGITS,
    st.sampled_from(["", ".0", ".5", "E+10", " ", "\n", "x", "-", "０"]),
    st.sampled_from(["", " ", "元", "\0", "\ud800"]),
)
GARBAGE = st.one_of(
    ALMOST,
    DIGITS,
    st.text(max_size=30),
    st.integers(),
    st.floats(),
    st.none(),
    st.booleans(),
    st.binary(max_size=20),
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SandboxServer, Ledger]]:
    """Run one sandbox and one ledger for all examples."""
    path: Path = tmp_path_factory.mktemp("garbage") / "ledger.db"
    with SandboxServer(rate_limit=None) as gateway:
        ledger = Ledger.sqlite(path)
        yield gateway, ledger
        ledger.close()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(st.lists(GARBAGE, min_size=ROWS, max_size=ROWS))
def test_no_garbage_reaches_the_gateway(bench: tuple[SandboxServer, Ledger], rows: list[Any]) -> None:
    """Ten thousand rows: each becomes a state, and what is sent is what the row says.

    Where none says a number, nothing is.
    """
    gateway, ledger = bench
    gateway.reset()
    client = JuheClient("k" * 32, host=gateway.host, port=gateway.port, schema="http", timeout=5)
    campaign = Campaign(
        Plan(campaign_id=uuid.uuid4().hex, tpl_id=65535, account="a", timeout=5), ledger, client
    )
    if not any(map(normalise, rows)):
        with pytest.raises(AudienceError, match="none of the 200 rows is a mobile number"):
            campaign.load(audience_from(rows), "garbage")
        client.close()
        assert campaign.counts().total == 0
        return
    campaign.load(audience_from(rows), "garbage")
    campaign.send()
    client.close()
    counts = campaign.counts()
    sent = [row["mobile"] for row in gateway.requests()]
    assert all(re.fullmatch(r"1[3-9][0-9]{9}", mobile) for mobile in sent)
    assert len(sent) == len(set(sent))
    assert set(sent) <= {normalise(row) for row in rows}
    assert counts.total == ROWS
    invalid = sum(normalise(row) is None for row in rows)
    assert counts.skipped["invalid_number"] + counts.skipped["duplicate"] >= invalid
