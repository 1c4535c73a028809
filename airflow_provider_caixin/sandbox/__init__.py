"""A gateway of our own that behaves as the real one's document says, and bills nobody.

``SandboxServer`` runs one from Python, ``command.main`` from a command line. The names are imported when they
are asked for: the command line needs the options of ``command`` without FastAPI behind them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_caixin.sandbox.magic import MAGIC, magic_mobile
    from airflow_provider_caixin.sandbox.server import SandboxServer

__all__ = ["MAGIC", "SandboxServer", "magic_mobile"]

_HOMES = {"MAGIC": "magic", "SandboxServer": "server", "magic_mobile": "magic"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
