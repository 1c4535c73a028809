"""What can be wrong with an audience or its segment data, short of a single bad row."""

from __future__ import annotations

from airflow_provider_caixin.errors import CaixinProviderError


class AudienceError(CaixinProviderError, ValueError):
    """An audience or a segment file cannot be read; the text names it, what was expected and what to do."""
