"""Loading an audience: streamed through a private sort, merged in batches, visible when it is complete."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from tempfile import SpooledTemporaryFile
from typing import Any, Final

from airflow_provider_caixin.ledger.database import Ledger
from airflow_provider_caixin.ledger.errors import LoadGivenUp
from airflow_provider_caixin.ledger.files import temporary_folder
from airflow_provider_caixin.ledger.queue import sorting
from airflow_provider_caixin.ledger.queue.loader import Loader
from airflow_provider_caixin.ledger.queue.revision import LoadUnwanted, Revision, compare
from airflow_provider_caixin.ledger.queue.sorting import AudienceRow, on_disk, sorted_audience

_POLL_SECONDS: Final = 0.5
# Of an audience that needs no file while it is compared.
_IN_MEMORY_BYTES: Final = 1 << 20


def load_audience(
    ledger: Ledger,
    campaign_key: int,
    source: str,
    rows: Callable[[], Iterable[AudienceRow]],
    *,
    lease: float,
    give_up: Callable[[], bool] = lambda: False,
    revision: Revision | None = None,
) -> bool:
    """Merge an audience into a campaign, once per source.

    The whole source is read before the ledger is touched, into a private sorted file that the operating
    system deletes by itself: that finds each number's occurrences without holding a million numbers in
    memory, a source that breaks half-way leaves nothing behind, and rows arrive in the order of the ledger's
    key, as locks must be taken.

    Rows of a load that is not complete are hidden, and a row belongs to one load. So loads that have
    recipients in common keep an order: a load takes rows from later ones and from those that died, and ends
    after the earlier ones; when one of these dies before that, it merges once more.

    A source that changed is compared with what it gave before, ahead of the first row that is merged, and
    once more when another load of it was completed meanwhile.

    :param source: who loads what; a source that is done is not opened again.
    :param rows: opens the source, in the audience's order.
    :param lease: seconds of silence after which another process may take over.
    :param give_up: asked before each batch and while another process loads the same source.
    :param revision: how to judge it where it changed; None: it is merged.
    :return: whether this call loaded it; False when it had been done.
    :raises LoadGivenUp: when ``give_up`` said so.
    :raises LoadUnwanted: when the revision said so; nobody was added.
    """
    loader = Loader(ledger, campaign_key, source, lease)
    while (taken := loader.take()) != "ours":
        if taken == "done":
            return False
        _go_on(give_up)
        # Another process is loading the same source; it is alive as long as it renews its lease.
        ledger.machine.sleep(_POLL_SECONDS)

    def renew() -> None:
        _go_on(give_up)
        loader.renew()

    def merge_once() -> bool:
        before = loader.begin(revision)
        with (
            closing(sorted_audience(rows(), renew, ledger.machine)) as stream,
            SpooledTemporaryFile(_IN_MEMORY_BYTES, "w+", encoding="ascii", dir=temporary_folder()) as spool,
        ):
            batches = iter(lambda: list(itertools.islice(stream, sorting.BATCH_ROWS)), [])
            if revision and before:
                change = compare(ledger, campaign_key, before, _spooled(batches, spool), revision, renew)
                if not revision.accepts(change):
                    raise LoadUnwanted(change)
                spool.seek(0)
                batches = map(json.loads, spool)
            for batch in batches:
                _go_on(give_up)
                loader.merge(batch)
        while (outcome := loader.finish(before, revision)) == "wait":
            _go_on(give_up)
            ledger.machine.sleep(_POLL_SECONDS)
        return outcome == "done"

    try:
        while not merge_once():
            pass
    except LoadUnwanted:
        loader.withdraw()
        raise
    except BaseException:
        loader.hand_back()
        raise
    return True


def _go_on(give_up: Callable[[], bool]) -> None:
    if give_up():
        raise LoadGivenUp("The loading of the audience was stopped; it begins anew with the next attempt.")


def _spooled(
    batches: Iterable[list[dict[str, Any]]], spool: SpooledTemporaryFile[str]
) -> Iterator[list[dict[str, Any]]]:
    """Yield batches, and keep them in a private file: a query gives other rows when it is run again."""
    for batch in batches:
        with on_disk():
            spool.write(json.dumps(batch) + "\n")
            spool.flush()
        yield batch
