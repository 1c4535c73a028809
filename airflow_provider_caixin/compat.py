"""What of Airflow has no public address yet: imported here and nowhere else."""

from __future__ import annotations

from airflow.sdk.definitions._internal.templater import Templater
from airflow.sdk.definitions._internal.types import NOTSET, ArgNotSet

__all__ = ["NOTSET", "ArgNotSet", "Templater"]
