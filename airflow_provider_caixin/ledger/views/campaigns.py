"""The campaigns of a ledger as they are looked up: a page of them at a time, each with where it stands."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import schema
from airflow_provider_caixin.ledger.rows import lease as lease_rows
from airflow_provider_caixin.ledger.rows.campaign import ACTIVE_SECONDS
from airflow_provider_caixin.vocabulary import State, Status

_table: Final = schema.campaign
_account: Final = schema.account


@dataclass(frozen=True, slots=True)
class Summary:
    """A campaign as it stands, with its counts as of now.

    :param account_paused: whether the account is paused; ``paused`` is the campaign's own flag.
    :param loading_until: when the last lease of a load that is not done ends; None: there is no such load.
    :param active_at: the last tick of any process that sends for it.
    :param rate: messages a second that its last run was set to.
    :param loosened: a sentence for each rule that its last run loosened, one a line.
    """

    key: int
    campaign_id: str
    tpl_id: int
    account: str
    account_paused: bool
    created_at: float
    loaded_at: float | None
    loading_until: float | None
    active_at: float | None
    purged_at: float | None
    quota_since: float | None
    paused: bool
    cancelled: bool
    dag_id: str | None
    run_id: str | None
    task_id: str | None
    map_index: int | None
    rate: float | None
    loosened: str | None
    pending: int
    in_flight: int
    sent: int
    rejected: int
    unknown: int
    skipped: int

    @property
    def total(self) -> int:
        """How many recipients it has."""
        return sum(getattr(self, state.value) for state in State)

    @property
    def left(self) -> int:
        """How many of them have no outcome yet."""
        return self.pending + self.in_flight

    @property
    def is_over(self) -> bool:
        """Whether it sends nothing any more, whoever runs it: cancelled, or its recipients forgotten."""
        return self.cancelled or self.purged_at is not None

    def status(self, now: float) -> Status:
        """Return where it stands."""
        if self.purged_at is not None:
            return Status.PURGED
        if self.cancelled:
            return Status.CANCELLED
        loading = now <= (self.loading_until or 0.0) <= now + schema.FAR_AHEAD_SECONDS
        if self.loaded_at is not None and not self.left and not loading:
            return Status.DONE
        if self.paused or self.account_paused:
            return Status.PAUSED
        if self.active_at is not None and now - self.active_at < ACTIVE_SECONDS:
            return Status.RUNNING
        return Status.LOADING if loading else Status.WAITING


def campaigns(
    connection: Connection,
    now: float,
    *,
    search: str | None = None,
    status: Status | AbstractSet[Status] | None = None,
    with_unknown: bool = False,
    account: str | None = None,
    dag_ids: AbstractSet[str] | None = None,
    without_dag: bool = True,
    before: int | None = None,
    most: int = 50,
) -> list[Summary]:
    """Return a page of campaigns, the newest first.

    :param search: part of the campaign's id or the whole template id.
    :param status: only those that stand there, or at one of these.
    :param with_unknown: only those with recipients whose outcome is unknown.
    :param account: only those of this account's name.
    :param before: the key of the last one that is known already.
    """
    statement = _summaries(now).order_by(_table.c.id.desc()).limit(most)
    if search:
        named = _table.c.campaign_id.contains(search, autoescape=True)
        statement = statement.where(
            sa.or_(named, _table.c.tpl_id == int(search)) if _is_id(search) else named
        )
    if status is not None:
        among = {status} if isinstance(status, Status) else status
        statement = statement.where(sa.or_(*(_stands(now)[one] for one in sorted(among))))
    if with_unknown:
        some = _table.c.unknown + lease_rows.run_out_of_each(now) > 0
        statement = statement.where(some, _table.c.purged_at.is_(None))
    if account is not None:
        statement = statement.where(_account.c.name == account)
    if dag_ids is not None:
        statement = statement.where(of_dags(dag_ids, without_dag=without_dag))
    if before is not None:
        statement = statement.where(_table.c.id < before)
    return [Summary(**row._mapping) for row in connection.execute(statement)]


def campaign(connection: Connection, campaign_key: int, now: float) -> Summary | None:
    """Return one campaign; None: there is none."""
    return _one(connection, now, _table.c.id == campaign_key)


def find(connection: Connection, campaign_id: str, now: float) -> Summary | None:
    """Return the campaign of a name; None: there is none."""
    return _one(connection, now, _table.c.hash == schema.digest(campaign_id))


def dags(connection: Connection) -> set[str]:
    """Return the ids of all Dags that have campaigns."""
    found = sa.select(_table.c.dag_id).where(_table.c.dag_id.is_not(None)).distinct()
    return set(connection.execute(found).scalars())


def accounts_of(connection: Connection, dag_ids: AbstractSet[str], *, without_dag: bool) -> set[str]:
    """Return the names of the accounts that Dags send by."""
    found = sa.select(_account.c.name).join(_table, _table.c.account == _account.c.id).distinct()
    return set(connection.execute(found.where(of_dags(dag_ids, without_dag=without_dag))).scalars())


def quota_since(connection: Connection) -> dict[str, float]:
    """Return the names of the accounts whose quota is used up (10012), each with since when."""
    found = (
        sa.select(_account.c.name, sa.func.max(_table.c.quota_since))
        .join(_table, _table.c.account == _account.c.id)
        .where(_table.c.quota_since.is_not(None))
        .group_by(_account.c.name)
    )
    return {row[0]: row[1] for row in connection.execute(found)}


def of_dags(dag_ids: AbstractSet[str], *, without_dag: bool) -> sa.ColumnElement[bool]:
    """Return the condition on campaigns that leaves those of some Dags."""
    among = _table.c.dag_id.in_(sorted(dag_ids))
    return sa.or_(among, _table.c.dag_id.is_(None)) if without_dag else among


def _one(connection: Connection, now: float, which: sa.ColumnElement[bool]) -> Summary | None:
    row = connection.execute(_summaries(now).where(which)).one_or_none()
    return Summary(**row._mapping) if row else None


def _summaries(now: float) -> sa.Select[tuple[object, ...]]:
    late = lease_rows.run_out_of_each(now)
    others = {
        "key": _table.c.id,
        "account": _account.c.name,
        "account_paused": _account.c.paused,
        "loading_until": _loading_until(),
        "in_flight": _table.c.in_flight - late,
        "unknown": _table.c.unknown + late,
    }
    columns = [
        (others[one.name] if one.name in others else _table.c[one.name]).label(one.name)
        for one in fields(Summary)
    ]
    return sa.select(*columns).select_from(_table.join(_account, _account.c.id == _table.c.account))


def _loading_until() -> sa.ScalarSelect[float]:
    ends = sa.select(sa.func.max(schema.load.c.lease))
    return ends.where(schema.load.c.campaign == _table.c.id, ~schema.load.c.done).scalar_subquery()


def _stands(now: float) -> dict[Status, sa.ColumnElement[bool]]:
    """Return :meth:`Summary.status` as conditions, one for each status."""
    purged, loaded = _table.c.purged_at.is_not(None), _table.c.loaded_at.is_not(None)
    loading = sa.func.coalesce(_loading_until(), 0.0).between(now, now + schema.FAR_AHEAD_SECONDS)
    left = _table.c.pending + _table.c.in_flight - lease_rows.run_out_of_each(now)
    done = sa.and_(loaded, left == 0, ~loading)
    open_ = sa.and_(~purged, ~_table.c.cancelled, ~done)
    paused = sa.or_(_table.c.paused, _account.c.paused)
    active = sa.func.coalesce(_table.c.active_at, 0.0) > now - ACTIVE_SECONDS
    return {
        Status.PURGED: purged,
        Status.CANCELLED: sa.and_(~purged, _table.c.cancelled),
        Status.DONE: sa.and_(~purged, ~_table.c.cancelled, done),
        Status.PAUSED: sa.and_(open_, paused),
        Status.RUNNING: sa.and_(open_, ~paused, active),
        Status.LOADING: sa.and_(open_, ~paused, ~active, loading),
        Status.WAITING: sa.and_(open_, ~paused, ~active, ~loading),
    }


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18
