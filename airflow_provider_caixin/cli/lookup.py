"""Look up what the arguments of a command name: its connection, ledger, account, campaign, number."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_caixin.cli.terminal import Exit, Refused, note, usage_errors
from airflow_provider_caixin.settings.options import DEFAULT_CONN_ID, default_ledger

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_provider_caixin.hooks.caixin import CaixinHook
    from airflow_provider_caixin.ledger import Ledger
    from airflow_provider_caixin.ledger.rows.account_names import KnownAppKey
    from airflow_provider_caixin.ledger.views.campaigns import Summary
    from airflow_provider_caixin.settings.connection import CaixinConnection


@contextmanager
def open_hook(args: argparse.Namespace) -> Iterator[CaixinHook]:
    """Open the hook of the connection that is named, and check its settings."""
    from airflow_provider_caixin.hooks.caixin import CaixinHook

    with CaixinHook(args.conn_id or DEFAULT_CONN_ID) as hook:
        _settings(hook)
        yield hook


@contextmanager
def open_ledger(
    args: argparse.Namespace, settings: CaixinConnection | None = None, *, make: bool = False
) -> Iterator[Ledger]:
    """Open the ledger that is named, else the connection's, else the configuration's.

    :param settings: the connection, where it was read already.
    :param make: make the embedded ledger where there is none.
    """
    from airflow_provider_caixin.settings.ledgers import embedded_path

    conn_id = args.ledger
    if conn_id is None:
        settings = settings or peek_settings(args)
        conn_id = settings.ledger_conn_id if settings else default_ledger()
    new = make and conn_id is None and not embedded_path().exists()
    with closing(_opened(conn_id, make=make)) as ledger:
        if new:
            note(
                f"A ledger without campaigns was made: {embedded_path()}. If tasks send elsewhere, it is not theirs and nothing "
                "here reaches them: see --ledger."
            )
        yield ledger


def peek_settings(args: argparse.Namespace) -> CaixinConnection | None:
    """Read the connection; None: nobody named one, and there is no default one."""
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    from airflow_provider_caixin.hooks.caixin import CaixinHook

    try:
        return _settings(CaixinHook(args.conn_id or DEFAULT_CONN_ID))
    except AirflowNotFoundException:
        if args.conn_id is not None:
            raise
        return None


class NamedAccount(NamedTuple):
    """The account that a command is about.

    :param name: its name, as someone or a connection has it.
    :param key: the connection's AppKey; None: someone named the account.
    """

    name: str
    key: KnownAppKey | None

    def name_in(self, ledger: Ledger) -> str:
        """Return what a ledger calls it: a connection with a new AppKey goes on with its account."""
        from airflow_provider_caixin.ledger.rows.account_names import name_in_force

        with ledger.reading() as connection:
            return name_in_force(connection, self.name, self.key)


def account_of(args: argparse.Namespace) -> NamedAccount:
    """Return the account that is named, else the connection's."""
    if args.account:
        return NamedAccount(str(args.account), None)
    settings = peek_settings(args)
    if settings is None:
        raise Refused(
            f"Which account? There is no connection {DEFAULT_CONN_ID!r}: add --account or --conn-id."
        )
    return NamedAccount(settings.account, settings.known_app_key())


def no_such_account(name: str) -> Refused:
    """Make the error for an account that the ledger does not know."""
    return Refused(f"account {name!r}: this ledger has no such account; see account list.")


def known_campaign(connection: Connection, campaign_id: str, now: float) -> Summary:
    """Load a campaign by its id.

    :raises NoSuchCampaign: when the ledger has none of this id.
    """
    from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
    from airflow_provider_caixin.ledger.views import campaigns as campaign_views

    found = campaign_views.campaign(connection, campaign_rows.known_campaign(connection, campaign_id), now)
    assert found is not None  # noqa: S101  # its key was found in this very transaction
    return found


def read_number(typed: str) -> str:
    """Read a number that someone typed, in any usual spelling."""
    from airflow_provider_caixin.audience import normalise

    number = normalise(typed)
    if number is None:
        # One digit too many, and it would still show somebody's number.
        shown = typed if len(typed) < 7 else f"{typed[:3]}...{typed[-2:]}"
        raise Refused(
            f"{shown!r} is no mobile number of mainland China: expected 11 digits such as 13800138000."
        )
    return number


def _opened(conn_id: str | None, *, make: bool) -> Ledger:
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    from airflow_provider_caixin.ledger import LedgerError
    from airflow_provider_caixin.settings import ledgers

    try:
        return ledgers.open_ledger(conn_id, make=make)
    except AirflowNotFoundException:
        raise Refused(
            f"Ledger connection {conn_id!r} is not defined in Airflow: expected the id of a connection of type postgres or mysql "
            "(see airflow connections list)."
        ) from None
    except LedgerError as error:
        # It does not connect yet: what is wrong is the connection as it is written down.
        raise Refused(str(error), Exit.FAILED if conn_id is None else Exit.USAGE) from None


def _settings(hook: CaixinHook) -> CaixinConnection:
    with usage_errors():
        return hook.settings
