"""Who a campaign goes to: numbers, segments, the classifier, and the sources audiences are streamed from."""

from __future__ import annotations

from airflow_provider_caixin.audience.classifier import Classifier
from airflow_provider_caixin.audience.exceptions import AudienceError
from airflow_provider_caixin.audience.numbers import mask, normalise
from airflow_provider_caixin.audience.segments import Segments
from airflow_provider_caixin.audience.sources import Audience, FileAudience, ListAudience, audience_from

__all__ = [
    "Audience",
    "AudienceError",
    "Classifier",
    "FileAudience",
    "ListAudience",
    "Segments",
    "audience_from",
    "mask",
    "normalise",
]
