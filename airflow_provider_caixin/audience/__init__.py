"""Who a campaign goes to: numbers, segments, the classifier, and the sources audiences are streamed from."""

from __future__ import annotations

from airflow_provider_caixin.audience.classifier import Classifier
from airflow_provider_caixin.audience.exceptions import AudienceError
from airflow_provider_caixin.audience.numbers import mask, normalise, without_numbers
from airflow_provider_caixin.audience.queries import QueryAudience, digest_of
from airflow_provider_caixin.audience.readable import readable
from airflow_provider_caixin.audience.remains import numbers_in
from airflow_provider_caixin.audience.segments import Segments
from airflow_provider_caixin.audience.sources import Audience, FileAudience, ListAudience, audience_from

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
    "readable",
    "without_numbers",
]
