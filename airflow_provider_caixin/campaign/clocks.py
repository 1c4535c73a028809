"""The clocks of a run: its machine's and the ledger's."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable
from typing import Final, NamedTuple

import pendulum

from airflow_provider_caixin.campaign.errors import ClocksApart
from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.machine import Machine
from airflow_provider_caixin.rules import OPENING_GUARD_SECONDS

log = logging.getLogger(__name__)

MOST_SECONDS_APART: Final = 30.0


class Moments(NamedTuple):
    """What time it is by the host's clock and by the ledger's, in seconds since the epoch."""

    host: float
    ledger: float


class Clocks:
    """What time it is by the host's clock and by the ledger's, either of which may be wrong.

    The dispatcher reads the ledger's once a tick; in between it runs on by the machine's monotonic clock,
    which nobody sets.

    :param machine: whose clocks these are.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        # The ledger's clock less the monotonic one. Written by the dispatcher's thread, read by the senders.
        self._ahead: float | None = None
        # How far the clocks were apart when it was last said. The dispatcher's thread only.
        self._told = 0.0
        #: How many seconds the ledger's clock is ahead of the host's, at the least. Written by the
        #: dispatcher's thread, read by the senders.
        self.apart = 0.0

    def read(self, ledger: Callable[[], float]) -> float:
        """Read the ledger's clock between two looks at the host's; warn where they are too far apart.

        :param ledger: asks the ledger; how long that takes does not matter.
        """
        before, asked_at = self.machine.clock(), self.machine.monotonic()
        now = ledger()
        after = self.machine.clock()
        self._ahead = now - asked_at
        self.apart = max(0.0, now - after) + min(0.0, now - before)
        if (
            self.are_near
            and abs(self.apart) > OPENING_GUARD_SECONDS
            and abs(self.apart - self._told) > OPENING_GUARD_SECONDS
        ):
            self._told = self.apart
            log.warning(
                "The clock of this host (%s) and the ledger's (%s) are %.1f s apart: set both by NTP. A message leaves only where "
                "both say that the send window is open.",
                *(_text(after), _text(now), abs(self.apart)),
            )
        return now

    @property
    def are_near(self) -> bool:
        """Whether both clocks may be nearly right."""
        return abs(self.apart) <= MOST_SECONDS_APART

    def moments(self) -> Moments:
        """Return what time it is."""
        host = self.machine.clock()
        return Moments(host, host if self._ahead is None else self.machine.monotonic() + self._ahead)

    def ending(self) -> ClocksApart | None:
        """Return the error that ends a run whose clocks cannot both be nearly right; None: they may be."""
        if self.are_near:
            return None
        host, ledger = self.moments()
        return ClocksApart(
            f"The clock of this host, {platform.node()}, says {_text(host)} and the ledger's {_text(ledger)}: they are "
            f"{abs(self.apart):.0f} s apart, of which {MOST_SECONDS_APART:g} s are borne, and which of them is right cannot be told "
            "here, so nothing is sent. Set the clock that is wrong (NTP), or have another host run the task."
        )


def _text(moment: float) -> str:
    return f"{pendulum.from_timestamp(moment, tz=CHINA):%Y-%m-%d %H:%M:%S}"
