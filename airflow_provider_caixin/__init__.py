"""Video SMS campaigns from Airflow through the Juhe Caixin gateway."""

from __future__ import annotations

__version__ = "0.1.0"
