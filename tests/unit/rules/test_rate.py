from __future__ import annotations

from airflow_provider_caixin.rules import DEFAULT_RATE, GATEWAY_RATE


def test_the_rate_that_is_not_given_stays_below_the_gateways() -> None:
    """The gateway's document allows 300 messages a second, counted where they arrive."""
    assert (DEFAULT_RATE, GATEWAY_RATE) == (294.0, 300.0)
