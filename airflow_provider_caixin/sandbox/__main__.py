"""``python -m airflow_provider_caixin.sandbox``: run the sandbox; ``--help`` has the options."""

from __future__ import annotations

import argparse
import sys

from airflow_provider_caixin.sandbox import command

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_caixin.sandbox",
        description="A gateway that behaves as the real one's document says, and bills nobody.",
    )
    command.add_arguments(parser)
    sys.exit(command.main(parser.parse_args()))
