"""Hosts' clocks that a round sets: sender processes follow them."""

from __future__ import annotations

import mmap
import struct
import time
from pathlib import Path

_NEVER = float("-inf")


class Clock:
    """The wall clock of a host: the machine's own, so many seconds off.

    :param file: eight bytes that the processes of this host read the offset from.
    """

    def __init__(self, file: Path) -> None:
        file.write_bytes(struct.pack("d", 0.0))
        self.file = file
        with file.open("r+b") as opened:
            self._shared = mmap.mmap(opened.fileno(), 8)
        self._history = [(_NEVER, 0.0)]

    @property
    def offset(self) -> float:
        """How far the clock is off now."""
        return self._history[-1][1]

    def step(self, seconds: float) -> None:
        """Step the clock.

        :param seconds: forward, or back where they are negative.
        """
        offset = self.offset + seconds
        self._history.append((time.monotonic(), offset))
        struct.pack_into("d", self._shared, 0, offset)

    def go_to(self, moment: float) -> None:
        """Set the clock.

        :param moment: seconds since the epoch.
        """
        self.step(moment - time.time() - self.offset)

    def offsets(self, moment: float, span: float) -> set[float]:
        """Return how far the clock was off within a span before a moment.

        A request that leaves was claimed a little earlier.

        :param moment: of the machine's monotonic clock.
        :param span: seconds before it.
        """
        ends = [began for began, _ in self._history[1:]] + [float("inf")]
        during = zip(self._history, ends, strict=True)
        return {offset for (began, offset), ended in during if began <= moment and ended >= moment - span}
