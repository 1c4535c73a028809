from __future__ import annotations

from airflow_provider_caixin.campaign.progress import RATE_SPAN_SECONDS, ProgressMeter
from airflow_provider_caixin.vocabulary import State


def counts(**numbers: int) -> dict[State, int]:
    """Count recipients by state."""
    return {state: numbers.get(state.value, 0) for state in State}


def test_rate_and_time_to_go() -> None:
    """By what was settled in the last seconds; nothing is known at first, nor while nothing moves."""
    meter = ProgressMeter()
    first = meter.read(counts(pending=90, sent=10), 100.0)
    assert (first.total, first.rate, first.eta) == (100, 0.0, None)
    second = meter.read(counts(pending=60, in_flight=10, sent=20, rejected=5, unknown=5), 102.0)
    assert (second.rate, second.eta) == (10.0, 7.0)
    waiting = meter.read(counts(pending=70, sent=20, rejected=5, unknown=5), 104.0)
    assert (waiting.rate, waiting.eta) == (5.0, None)


def test_what_is_long_past_is_forgotten() -> None:
    """A campaign that was reopened has fewer settled than before: no rate is below 0."""
    meter = ProgressMeter()
    meter.read(counts(pending=100), 0.0)
    meter.read(counts(pending=80, sent=20), RATE_SPAN_SECONDS)
    late = meter.read(counts(pending=79, sent=21), 1.5 * RATE_SPAN_SECONDS)
    assert late.rate == 0.2
    assert meter.read(counts(pending=100), 1.6 * RATE_SPAN_SECONDS).rate == 0.0
    assert late.as_dict()["pending"] == 79
