"""What can be wrong with an audience or its segment data, short of a single bad row."""

from __future__ import annotations


class AudienceError(ValueError):
    """An audience or a segment file cannot be read; the text names it, what was expected and what to do."""
