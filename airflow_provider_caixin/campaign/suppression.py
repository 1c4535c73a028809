"""Opt-out lists from outside: read like an audience, and merged into the ledger's suppression list."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from airflow_provider_caixin.audience import Audience, AudienceError, normalise
from airflow_provider_caixin.ledger import Ledger, suppressions

log = logging.getLogger(__name__)


def import_suppressions(ledger: Ledger, listed: Audience, reason: str) -> int:
    """
    Add people to the ledger's suppression list, where they stay until they are released.

    :param ledger: the ledger.
    :param listed: the people.
    :param reason: why, for people; who is on the list already keeps reason and date.
    :return: how many are new on the list.
    :raises AudienceError: see :func:`numbers_of`; what came before it is on the list.
    """
    return suppressions.suppress(ledger, numbers_of(listed), reason)


def numbers_of(listed: Audience) -> Iterator[str]:
    """
    Stream the numbers of an opt-out list, normalised.

    :param listed: its rows; how many of them are no mobile numbers is a WARNING.
    :raises AudienceError: it cannot be read, or has rows and not one of them is a mobile number: that is another file.
    """
    numbers = others = 0
    for row in listed:
        number = normalise(row)
        if number is None:
            others += 1
        else:
            numbers += 1
            yield number
    if others and not numbers:
        raise AudienceError(
            f"{listed}: none of the {others} rows is a mobile number; expected an opt-out list, one 11-digit number a row."
        )
    if others:
        log.warning(
            "%s: %d of %d rows are no mobile numbers and suppress nobody.", listed, others, others + numbers
        )
