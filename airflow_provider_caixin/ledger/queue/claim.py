"""Claims: recipients are in flight in the ledger before anything leaves."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger.queue.draw import Recipient
from airflow_provider_caixin.ledger.rows.recipient import write_each
from airflow_provider_caixin.vocabulary import State


def write_claims(
    connection: Connection, rows: Iterable[tuple[Recipient, float]], mark: str, lease: float
) -> None:
    """
    Write recipients as in flight, before anything leaves.

    :param connection: a transaction that holds the campaign's lock.
    :param rows: each recipient and its slot.
    :param mark: the claim's id.
    :param lease: until when the claim holds, by the ledger's clock.
    """
    plain = {"state": State.IN_FLIGHT.value, "due": lease, "reason": None, "code": None, "claim": mark}
    write_each(
        connection, [{"id": one.id, **plain, "sent_at": slot, "doubt_at": one.doubt_at} for one, slot in rows]
    )
