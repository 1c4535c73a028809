"""AppKeys of connections, and accounts that are opened with them."""

from __future__ import annotations

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import accounts
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows.account_names import KnownAppKey


def key(number: int, conn_id: str = "caixin_default") -> KnownAppKey:
    """Return what the ledger knows of an AppKey on a connection."""
    return KnownAppKey(f"{number:064}", conn_id, f"{number:016}")


def opened(ledger: Ledger, name: str | None, owner: KnownAppKey) -> str:
    """Open an account to send by; None: the connection gives it no name. Return what it is called."""
    name = name or owner.unnamed
    with ledger.writing() as connection:
        account = account_names.open_account(ledger, connection, name, owner)
    with ledger.reading() as connection:
        assert account_names.resolve_account(connection, name, owner) == account
        return account_names.name_in_force(connection, name, owner)


def names(ledger: Ledger) -> list[str]:
    """Return the names of all accounts."""
    with ledger.reading() as connection:
        return [one.name for one in accounts.accounts(connection)]
