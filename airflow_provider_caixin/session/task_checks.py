"""What a task looks at before it sends: the kind and the age of its run, and whose ledger it has."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.ledger.rows.campaign import Origin

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk.types import Logger

    from airflow_provider_caixin.ledger import Ledger

#: The key of the task state store under which the ledger's id is kept.
LEDGER_KEY: Final = "ledger"
_OLDEST_RUN: Final = timedelta(hours=24)


def origin_of(context: Context) -> Origin:
    """Return which task it is."""
    ti = context["ti"]
    return Origin(ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index)


def refuse_backfill(context: Context) -> None:
    """Stop a backfill run."""
    if _run_type(context) == "backfill":
        raise AirflowFailException(
            "This is a backfill run, which would send old campaigns today. Set allow_backfill=True on the task if that is what you "
            "want."
        )


def refuse_old_run(context: Context) -> None:
    """Stop a run that catch-up made, or that a scheduler was late for: a backfill in all but name."""
    due = getattr(context.get("dag_run"), "run_after", None)
    if due is None or _run_type(context) != "scheduled" or datetime.now(UTC) - due <= _OLDEST_RUN:
        return
    raise AirflowFailException(
        f"This scheduled run was due {due.astimezone(CHINA):%Y-%m-%d %H:%M} (Asia/Shanghai), more than 24 hours ago, and has "
        "not loaded its audience yet: it would send an old campaign today. Set allow_backfill=True on the task if that is what "
        "you want, also where a sensor before it may wait for so long."
    )


def refuse_another_ledger(ledger: Ledger, context: Context, log: logging.Logger | Logger) -> None:
    """Stop where the ledger is not the one of an earlier attempt: in a container made anew it is empty."""
    store = context.get("task_state_store")
    if store is None:
        return
    try:
        known = store.get(LEDGER_KEY)
        if known is None:
            from airflow.sdk.execution_time.context import NEVER_EXPIRE

            store.set(LEDGER_KEY, ledger.uuid, retention=NEVER_EXPIRE)
    except Exception as error:  # noqa: BLE001  # the store is a second net and not a condition
        log.warning("The ledger's id cannot be kept in the task state store: %s", error)
        return
    if known not in (None, ledger.uuid):
        raise AirflowFailException(
            f"An earlier attempt of this task used the ledger {known}, and this is {ledger.uuid}: what was sent then is not "
            "known here and would be sent again. Give this task the earlier ledger back ([caixin] ledger_conn_id, or "
            f"caixin_ledger.db in AIRFLOW_HOME). If that is not wanted, delete the key {LEDGER_KEY!r} in the task's state "
            "store and clear the task: it then starts anew."
        )


def _run_type(context: Context) -> object:
    kind = getattr(context.get("dag_run"), "run_type", None)
    return getattr(kind, "value", kind)
