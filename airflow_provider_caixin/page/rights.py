"""What a signed-in user may see and do, asked of Airflow's auth manager."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.models.dag import DagModel
from airflow.utils.session import create_session
from fastapi import Depends

from airflow_provider_caixin.page.connections import ListedConnection
from airflow_provider_caixin.page.problems import Problem

Method = Literal["GET", "PUT"]


@dataclass(frozen=True, slots=True)
class Dags:
    """The Dags of a ledger's campaigns that a user may see or edit.

    :param ids: these, and those that Airflow does not know any more where ``others``.
    :param others: also campaigns that no Dag of Airflow's runs.
    :param known: which Dags Airflow knows.
    """

    ids: AbstractSet[str]
    others: bool
    known: AbstractSet[str]

    def has(self, dag_id: str | None) -> bool:
        """Check whether a campaign of this Dag is among them; None: one of the command line."""
        return self.others if dag_id is None else dag_id in self.ids


class Rights:
    """The rights of the signed-in user; each is asked for when it is needed, and anew for every request."""

    def __init__(self, user: Any) -> None:
        self._user = user
        self._manager = get_auth_manager()

    @property
    def name(self) -> str:
        """The user's name, for the page and the logs."""
        return str(self._user.get_name())

    @cached_property
    def reads_connections(self) -> bool:
        """Whether the user may read connections in general."""
        return self._manager.is_authorized_connection(method="GET", user=self._user)

    @cached_property
    def edits_connections(self) -> bool:
        """Whether the user may edit connections in general."""
        return self._manager.is_authorized_connection(method="PUT", user=self._user)

    @cached_property
    def edits_a_dag(self) -> bool:
        """Whether there is a Dag that the user may edit."""
        if self._manager.is_authorized_dag(method="PUT", user=self._user):
            return True
        return bool(self._manager.get_authorized_dag_ids(user=self._user, method="PUT"))

    def of_connection(self, method: Method, one: ListedConnection) -> bool:
        """Check whether the user may read (``"GET"``) or edit (``"PUT"``) a connection."""
        details = ConnectionDetails(conn_id=one.id, team_name=one.team)
        return self._manager.is_authorized_connection(method=method, details=details, user=self._user)

    def of_account(self, its: Iterable[ListedConnection]) -> bool:
        """Check whether the user may pause and limit an account.

        :param its: the connections that name it and send by its ledger: another ledger's account of the same
            name is another.
        """
        return self.edits_connections or any(self.of_connection("PUT", one) for one in its)

    def dags(self, method: Method, ids: AbstractSet[str]) -> Dags:
        """Return which of the Dags that have campaigns the user may see (``"GET"``) or edit (``"PUT"``).

        A campaign of a Dag that Airflow does not know any more is as one of the command line.
        """
        others = self.reads_connections if method == "GET" else self.edits_connections
        with create_session() as session:
            found = session.scalars(sa.select(DagModel.dag_id).where(DagModel.dag_id.in_(ids)))
            known = set(found)
            teams = DagModel.get_dag_id_to_team_name_mapping(sorted(known), session=session)
        by_team: dict[str | None, set[str]] = defaultdict(set)
        for dag_id in known:
            by_team[teams.get(dag_id)].add(dag_id)
        allowed: set[str] = set()
        for team, some in by_team.items():
            allowed |= self._manager.filter_authorized_dag_ids(
                dag_ids=some, user=self._user, method=method, team_name=team
            )
        return Dags(allowed | (ids - known) if others else allowed, others, known)

    def demand(self, allowed: bool, what: str) -> None:
        """Refuse what is not allowed.

        :param what: what was asked for, to complete "You may not".
        :raises Problem: when it is not.
        """
        if not allowed:
            raise Problem(403, "forbidden", f"You may not {what}.")


def _rights(user: GetUserDep) -> Rights:
    return Rights(user)


RightsDep = Annotated[Rights, Depends(_rights)]
