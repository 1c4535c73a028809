"""The package with shorter waits than in production: an idle minute would be most of a scenario."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final
from unittest.mock import patch

from airflow_provider_caixin.campaign import answers, claiming, health
from airflow_provider_caixin.ledger.queue import sorting

SHORTER: Final = (
    (answers, "BUSY_DELAY_SECONDS", (0.5, 1.0, 2.0)),
    (health, "BUSY_DELAY_SECONDS", (0.5, 1.0, 2.0)),
    (health, "FAILING_FOR_SECONDS", 3.0),
    (health, "SLOWEST_FOR_SECONDS", 10.0),
    (claiming, "RESEND_AFTER_SECONDS", 6.0),
    (claiming, "RESEND_LOOK_SECONDS", 1.0),
    # Rows that make a batch: an audience of this size has three.
    (sorting, "BATCH_ROWS", 20),
)


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def shorter() -> Iterator[list[str]]:
    """Shorten the waits for a while; give what the package logs as errors: defects that it survived."""
    logger, errors = logging.getLogger("airflow_provider_caixin"), _Errors()
    level = logger.level
    with ExitStack() as stack:
        for module, name, value in SHORTER:
            stack.enter_context(patch.object(module, name, value))
        stack.callback(logger.setLevel, level)
        stack.callback(logger.removeHandler, errors)
        logger.addHandler(errors)
        logger.setLevel(logging.ERROR)
        yield errors.lines
