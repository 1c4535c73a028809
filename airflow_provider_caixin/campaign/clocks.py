"""The two clocks of a run: the host's and the ledger's."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable
from typing import Final

import pendulum

from airflow_provider_caixin.campaign.errors import ClocksApart
from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.rules import OPENING_GUARD_SECONDS

log = logging.getLogger(__name__)

MOST_APART: Final = 30.0


class Clocks:
    """
    What time it is by the host's clock and by the ledger's, either of which may be wrong.

    The dispatcher reads the ledger's once a tick; in between it runs on by the machine's monotonic clock, which nobody sets.

    :param clock: the host's clock, seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # The ledger's clock less the monotonic one, as the dispatcher read it last; the senders read it.
        self._ahead: float | None = None
        self._told = 0.0
        #: How many seconds the ledger's clock is ahead of the host's, at the least.
        self.apart = 0.0

    def read(self, ledger: Callable[[], float]) -> float:
        """
        Read the ledger's clock between two looks at the host's; tell of it where they are too far apart.

        :param ledger: asks the ledger; how long that takes does not matter.
        """
        before, asked_at = self._clock(), time.monotonic()
        now = ledger()
        after = self._clock()
        self._ahead = now - asked_at
        self.apart = max(0.0, now - after) + min(0.0, now - before)
        if (
            OPENING_GUARD_SECONDS < abs(self.apart) <= MOST_APART
            and abs(self.apart - self._told) > OPENING_GUARD_SECONDS
        ):
            self._told = self.apart
            log.warning(
                "The clock of this host (%s) and the ledger's (%s) are %.1f s apart: set both by NTP. A message leaves only where "
                "both say that the send window is open.",
                *(_text(after), _text(now), abs(self.apart)),
            )
        return now

    def moments(self) -> tuple[float, float]:
        """Say what time it is by the host's clock and by the ledger's, in seconds since the epoch."""
        host = self._clock()
        return host, host if self._ahead is None else time.monotonic() + self._ahead

    def ending(self) -> ClocksApart | None:
        """Say why a run has to end whose clocks cannot both be nearly right; None: they may be."""
        if abs(self.apart) <= MOST_APART:
            return None
        host, ledger = self.moments()
        return ClocksApart(
            f"The clock of this host, {platform.node()}, says {_text(host)} and the ledger's {_text(ledger)}: they are "
            f"{abs(self.apart):.0f} s apart, of which {MOST_APART:g} s are borne, and which of them is right cannot be told here, so "
            "nothing is sent. Set the clock that is wrong (NTP), or have another host run the task."
        )


def _text(moment: float) -> str:
    return f"{pendulum.from_timestamp(moment, tz=CHINA):%Y-%m-%d %H:%M:%S}"
