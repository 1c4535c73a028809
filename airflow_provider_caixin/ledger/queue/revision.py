"""A source that changed since a load of it was complete: what is different, and whether it is merged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.errors import LedgerError
from airflow_provider_caixin.ledger.queue import sorting
from airflow_provider_caixin.ledger.queue.sorting import on_disk
from airflow_provider_caixin.ledger.rows.load import complete_loads, positions_of, visible
from airflow_provider_caixin.ledger.schema import recipient
from airflow_provider_caixin.vocabulary import FINAL_REASONS, SkipReason, State

# Numbers that one statement looks up.
_LOOKUP_ROWS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Change:
    """What is different about an audience whose loader loaded another one before, in recipients, not rows.

    :param recipients: who is in the audience.
    :param new: who of them is in no complete load of the campaign.
    :param gone: whom a complete load of this loader brought, and who is not in the audience any more.
    :param left: how many of those gone would get the message all the same.
    """

    recipients: int
    new: int
    gone: int
    left: int


@dataclass(frozen=True, slots=True)
class Revision:
    """How a source is judged that changed.

    :param is_same: returns whether a complete load of that source was this loader's.
    :param reached: returns how many of these numbers the rules of this run let pass.
    :param accepts: receives what changed; returns whether to merge all the same.
    :param resends: recipients whose outcome is unknown are sent the message once more.
    """

    is_same: Callable[[str], bool]
    reached: Callable[[Connection, Sequence[str]], int]
    accepts: Callable[[Change], bool]
    resends: bool = False


class LoadUnwanted(LedgerError):
    """The audience changed and is not to be merged; the campaign stays as it is."""

    def __init__(self, change: Change) -> None:
        super().__init__("The audience changed under its campaign.")
        self.change = change


def loads_before(connection: Connection, campaign_key: int, revision: Revision | None) -> list[int]:
    """Return the complete loads that a source is compared with; none without a revision."""
    if revision is None:
        return []
    complete = complete_loads(connection, campaign_key)
    return [load_key for load_key, source in complete.items() if revision.is_same(source)]


def compare(
    ledger: Ledger,
    campaign_key: int,
    before: list[int],
    batches: Iterable[list[dict[str, Any]]],
    revision: Revision,
    renew: Callable[[], None],
) -> Change:
    """Compare an audience with the campaign and with complete loads.

    :param before: the loads, from :func:`loads_before`.
    :param batches: the audience, from :func:`~.sorting.sorted_audience`.
    :param renew: called about once a second.
    """
    recipients = new = 0
    renew_if_due = ledger.machine.once_a_second(renew)
    with ledger.reading() as connection, sorting.private_file() as scratch:
        with on_disk():
            scratch.execute("CREATE TABLE gone (number TEXT PRIMARY KEY, is_open INTEGER) WITHOUT ROWID")
            brought = _brought(connection, campaign_key, before, revision)
            scratch.executemany("INSERT INTO gone VALUES (?, ?)", brought)
        known = sa.select(sa.func.count()).where(recipient.c.occurrence == 1)
        # A sum that no index has: without statistics PostgreSQL would read the whole campaign for each
        # thousand numbers.
        known = known.where(visible(connection, campaign_key), recipient.c.campaign + 0 == campaign_key)
        for batch in batches:
            # The first occurrence of a number is the recipient; others count as duplicates.
            numbers = [
                row["number"]
                for row in batch
                if row["occurrence"] == 1 and row["reason"] != SkipReason.INVALID_NUMBER
            ]
            recipients += len(numbers)
            with on_disk():
                scratch.executemany("DELETE FROM gone WHERE number = ?", zip(numbers))
            for start in range(0, len(numbers), _LOOKUP_ROWS):
                among = numbers[start : start + _LOOKUP_ROWS]
                found = connection.execute(known.where(recipient.c.number.in_(among))).scalar_one()
                new += len(among) - found
                renew_if_due()
        (gone,) = scratch.execute("SELECT count(*) FROM gone").fetchone()
        still_open = scratch.execute("SELECT number FROM gone WHERE is_open")
        left = 0
        while fetched := still_open.fetchmany(_LOOKUP_ROWS):
            left += revision.reached(connection, [number for (number,) in fetched])
    return Change(recipients, new, gone, left)


def _brought(
    connection: Connection, campaign_key: int, before: list[int], revision: Revision
) -> Iterator[tuple[str, bool]]:
    """Yield the numbers that loads brought, and whether anything is still to come of them."""
    ours = sa.or_(*(recipient.c.position.between(*positions_of(load_key)) for load_key in before))
    rows = sa.select(recipient.c.number, recipient.c.state, recipient.c.reason).where(
        recipient.c.campaign == campaign_key, recipient.c.occurrence == 1, ours
    )
    open_states = {State.PENDING, *((State.UNKNOWN, State.IN_FLIGHT) if revision.resends else ())}
    for number, state, reason in connection.execute(rows.execution_options(yield_per=sorting.BATCH_ROWS)):
        if state != State.SKIPPED or reason != SkipReason.INVALID_NUMBER:
            yield number, state in open_states or (state == State.SKIPPED and reason not in FINAL_REASONS)
