"""What an audience and its file are, to whoever reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol


class Audience(Protocol):
    """The rows of an audience, as often as they are asked for."""

    @property
    def fingerprint(self) -> str:
        """A short text that is the same for the same audience and holds no number in clear."""

    def __iter__(self) -> Iterator[object]:
        """Yield the rows as they are, good and bad."""


class Openable(Protocol):
    """A file: :class:`pathlib.Path`, Airflow's ``ObjectStoragePath``, or what looks like them."""

    @property
    def name(self) -> str:
        """The last part of the path."""

    def open(self, mode: str, /) -> Any:
        """Open the file; the result is a context manager with ``read(size)``."""

    def stat(self) -> Any:
        """Return size and time of change, as attributes ``st_size`` and ``st_mtime``, or as a mapping."""
