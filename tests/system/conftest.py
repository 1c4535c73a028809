"""What tests with a live Airflow share, beside the Airflow itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_caixin.sandbox import SandboxServer


@pytest.fixture
def gateway() -> Iterator[SandboxServer]:
    """Run a sandbox on a free port."""
    with SandboxServer(latency_ms=(20, 60)) as server:
        yield server
