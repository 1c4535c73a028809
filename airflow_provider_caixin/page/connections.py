"""The connections of type caixin, as the api-server sees them."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from airflow.models.connection import Connection
from airflow.utils.session import create_session
from sqlalchemy.engine import Connection as LedgerConnection

from airflow_provider_caixin.hooks.caixin import CaixinHook
from airflow_provider_caixin.ledger.errors import KeyOfAnotherAccount
from airflow_provider_caixin.ledger.rows.account_names import name_in_force
from airflow_provider_caixin.settings.connection import CaixinConnection
from airflow_provider_caixin.settings.options import DEFAULT_CONN_ID

KEPT_SECONDS: Final = 5.0
_VARIABLE: Final = "AIRFLOW_CONN_"


@dataclass(frozen=True, slots=True)
class ListedConnection:
    """A connection of type ``caixin``.

    :param team: whose it is, where Airflow serves several teams.
    :param settings: None: it cannot be read.
    :param problem: why it cannot be read.
    """

    id: str
    team: str | None
    settings: CaixinConnection | None
    problem: str | None


_lock = threading.Lock()
_kept: tuple[float, list[ListedConnection]] | None = None
# By id what was read and what it came to, so that an unknown field is logged once and not every few seconds.
_parsed: dict[str, tuple[object, ListedConnection]] = {}


def connections() -> list[ListedConnection]:
    """List the connections in Airflow's database and in the environment, and the default one wherever it is.

    Other secrets back ends cannot be asked for a list.
    """
    global _kept  # noqa: PLW0603  # a cache of the process
    with _lock:
        now = time.monotonic()
        if _kept is None or now - _kept[0] > KEPT_SECONDS:
            _kept = (now, sorted(_read(), key=lambda one: one.id))
        return _kept[1]


def connection(conn_id: str) -> ListedConnection | None:
    """Return a connection by its id; None: there is none of type ``caixin``."""
    listed = next((one for one in connections() if one.id == conn_id), None)
    return listed or _read_one(conn_id, None)


def account_of(connection: LedgerConnection, settings: CaixinConnection) -> str:
    """Return what a ledger calls a connection's account: one with a new AppKey goes on with its account."""
    try:
        return name_in_force(connection, settings.account, settings.known_app_key())
    except KeyOfAnotherAccount:
        # It sends nothing before somebody has acted; its tasks log what is to be done.
        return settings.account


def forget() -> None:
    """Read the connections anew at the next look."""
    global _kept  # noqa: PLW0603  # a cache of the process
    with _lock:
        _kept = None
        _parsed.clear()


def _read() -> list[ListedConnection]:
    table = Connection
    with create_session() as session:
        mine = sa.select(table.conn_id, table.team_name).where(table.conn_type == CaixinHook.conn_type)
        teams: dict[str, str | None] = {row.conn_id: row.team_name for row in session.execute(mine)}
    named = [name.removeprefix(_VARIABLE).lower() for name in os.environ if name.startswith(_VARIABLE)]
    for conn_id in (*named, DEFAULT_CONN_ID):
        teams.setdefault(conn_id, None)
    found = (_read_one(conn_id, team) for conn_id, team in teams.items())
    return [one for one in found if one is not None]


def _read_one(conn_id: str, team: str | None) -> ListedConnection | None:
    try:
        conn = Connection.get_connection_from_secrets(conn_id)
    except Exception:  # noqa: BLE001  # whatever another's secrets back end or URI raises: it is not there for us
        return None
    if conn.conn_type != CaixinHook.conn_type:
        return None
    read = (team, conn.password, conn.host, conn.schema, conn.port, conn.extra)
    if conn_id in _parsed and _parsed[conn_id][0] == read:
        return _parsed[conn_id][1]
    try:
        known = ListedConnection(conn_id, team, CaixinConnection.parse(conn), None)
    except ValueError as error:
        known = ListedConnection(conn_id, team, None, str(error))
    _parsed[conn_id] = (read, known)
    return known
