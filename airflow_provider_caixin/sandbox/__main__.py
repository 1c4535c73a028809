"""``python -m airflow_provider_caixin.sandbox``: run the sandbox; ``--help`` has the options."""

from __future__ import annotations

import argparse
import sys

from airflow_provider_caixin.sandbox import server

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_caixin.sandbox",
        description="A gateway that behaves as the real one's document says, and bills nobody.",
    )
    server.add_arguments(parser)
    sys.exit(server.main(parser.parse_args()))
