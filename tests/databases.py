"""Marks for tests of some of the databases that a ledger may be in; without one a test runs on all three."""

from __future__ import annotations

from typing import Final

import pytest


def _only(*names: str) -> pytest.MarkDecorator:
    databases = [
        pytest.param(name, marks=[] if name == "sqlite" else [pytest.mark.service]) for name in names
    ]
    return pytest.mark.parametrize("ledger_url", databases, indirect=True)


#: Where the clock is the host's.
EMBEDDED: Final = _only("sqlite")
#: Where the clock is the server's.
SERVERS: Final = _only("postgresql", "mysql")
POSTGRESQL: Final = _only("postgresql")
MYSQL: Final = _only("mysql")
