"""Who a campaign goes to: numbers, segments, the classifier, and the sources of audiences."""

from __future__ import annotations

from airflow_provider_caixin.audience.classifier import Classifier
from airflow_provider_caixin.audience.errors import AudienceError
from airflow_provider_caixin.audience.numbers import mask, normalise, without_numbers
from airflow_provider_caixin.audience.segments import Segments
from airflow_provider_caixin.audience.sources.damaged_numbers import numbers_in
from airflow_provider_caixin.audience.sources.digest import digest_of
from airflow_provider_caixin.audience.sources.files import FileAudience
from airflow_provider_caixin.audience.sources.protocols import Audience
from airflow_provider_caixin.audience.sources.require_numbers import require_numbers
from airflow_provider_caixin.audience.sources.rows import QueryAudience
from airflow_provider_caixin.audience.sources.values import ListAudience, audience_from

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
