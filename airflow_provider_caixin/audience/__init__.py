"""Who a campaign goes to: numbers, segments, the classifier, and the sources audiences are streamed from."""

from __future__ import annotations

from airflow_provider_caixin.audience.classifier import Classifier
from airflow_provider_caixin.audience.errors import AudienceError
from airflow_provider_caixin.audience.numbers import mask, normalise, without_numbers
from airflow_provider_caixin.audience.segments import Segments
from airflow_provider_caixin.audience.sources.audience import Audience
from airflow_provider_caixin.audience.sources.files import FileAudience
from airflow_provider_caixin.audience.sources.lists import ListAudience, audience_from
from airflow_provider_caixin.audience.sources.remnants import numbers_in
from airflow_provider_caixin.audience.sources.require_numbers import require_numbers
from airflow_provider_caixin.audience.sources.rows import QueryAudience, digest_of

__all__ = [
    "Audience",
    "AudienceError",
    "Classifier",
    "FileAudience",
    "ListAudience",
    "QueryAudience",
    "Segments",
    "audience_from",
    "digest_of",
    "mask",
    "normalise",
    "numbers_in",
    "require_numbers",
    "without_numbers",
]
