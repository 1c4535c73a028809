"""How far a running campaign is: numbers, rate and time to go."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_caixin.vocabulary import State

RATE_SPAN_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running campaign is.

    :param rate: messages a second lately, of all processes on this campaign.
    :param eta: seconds to go at that rate; None: not known yet.
    """

    total: int
    pending: int
    in_flight: int
    sent: int
    rejected: int
    unknown: int
    skipped: int
    rate: float
    eta: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the progress as plain values, for a log line or a store."""
        return {name: getattr(self, name) for name in self.__slots__}


class ProgressMeter:
    """Measures the rate over the last seconds; one thread reads it."""

    def __init__(self) -> None:
        self._readings: deque[tuple[float, int]] = deque()

    def read(self, counts: dict[State, int], now: float) -> Progress:
        """Return how far the campaign is.

        :param counts: its recipients by state.
        :param now: of the monotonic clock.
        """
        readings = self._readings
        done = sum(counts[state] for state in (State.SENT, State.REJECTED, State.UNKNOWN))
        while readings and readings[0][0] < now - RATE_SPAN_SECONDS:
            readings.popleft()
        since, before = readings[0] if readings else (now, done)
        # Whoever waits for a busy channel is not a matter of the rate.
        moving = bool(readings) and done > readings[-1][1]
        readings.append((now, done))
        rate = (done - before) / (now - since) if now > since else 0.0
        left = counts[State.PENDING] + counts[State.IN_FLIGHT]
        return Progress(
            total=sum(counts.values()),
            rate=round(max(0.0, rate), 1),
            eta=round(left / rate, 1) if moving and rate > 0 else None,
            **counts,
        )
