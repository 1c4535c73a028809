"""Claims: recipients are in flight in the ledger before anything leaves."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger.queue.bulk_update import write_each
from airflow_provider_caixin.ledger.queue.draw import Recipient
from airflow_provider_caixin.vocabulary import State


def write_claims(
    connection: Connection, slots: Iterable[tuple[Recipient, float]], claim: str, lease: float
) -> None:
    """Write recipients as in flight, before anything leaves.

    :param slots: each recipient and its slot.
    :param claim: the claim's id.
    :param lease: until when the claim holds.
    """
    same = {"state": State.IN_FLIGHT.value, "due": lease, "reason": None, "code": None, "claim": claim}
    rows = [{"id": one.id, **same, "sent_at": slot, "doubt_at": one.doubt_at} for one, slot in slots]
    write_each(connection, rows)
