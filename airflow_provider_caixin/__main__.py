"""``python -m airflow_provider_caixin``: the command line without Airflow around it."""

from __future__ import annotations

import sys

from airflow_provider_caixin.cli import main

if __name__ == "__main__":
    sys.exit(main())
