"""An Airflow connection to the ledger's database, read once into an address and the driver's arguments."""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_caixin.settings.connection import read_extra

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

log = logging.getLogger(__name__)

_BACKENDS: Final = {
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
}
# What Airflow's hooks and its form read of such a connection, and what the ledger decides for itself.
_WITHOUT_MEANING: Final = {
    "postgresql": {
        *("cursor", "aws_conn_id", "region_name", "redshift", "redshift-serverless", "cluster-identifier"),
        *("workgroup-name", "azure_conn_id", "enable_log_db_messages", "log_sql"),
        *("sqlalchemy_scheme", "sqlalchemy_query", "client_encoding"),
    },
    "mysql": {
        *("cursor", "aws_conn_id", "region_name", "client", "local_infile", "allow_local_infile", "log_sql"),
        *("charset", "collation", "autocommit", "use_unicode", "read_timeout", "write_timeout"),
    },
}
# They have fields of their own in a connection, or make of it something else than a session.
_FIELDS: Final = {"host", "port", "user", "password", "dbname", "database", "db", "passwd", "replication"}
_MYSQL: Final[Mapping[str, type]] = {
    "unix_socket": str,
    "bind_address": str,
    "program_name": str,
    "init_command": str,
    "sql_mode": str,
    "read_default_file": str,
    "read_default_group": str,
    "server_public_key": str,
    "connect_timeout": int,
    "max_allowed_packet": int,
    "ssl_disabled": bool,
}
_MYSQL_TLS: Final = {"ca", "capath", "cert", "key", "password", "cipher", "check_hostname", "verify_mode"}
# Other names of the same, of PyMySQL, SQLAlchemy and MySQL's own clients.
_MYSQL_TLS_NAMES: Final = {
    "ssl_verify_cert": "verify_mode",
    "ssl_verify_identity": "check_hostname",
    "ssl_key_password": "password",
    **{f"ssl_{name}": name for name in _MYSQL_TLS - {"password", "verify_mode"}},
}
_MYSQL_TLS_MODES: Final[Mapping[str, Mapping[str, bool]]] = {
    "PREFERRED": {},
    "REQUIRED": {"check_hostname": False, "verify_mode": False},
    "VERIFY_CA": {"check_hostname": False, "verify_mode": True},
    "VERIFY_IDENTITY": {"check_hostname": True, "verify_mode": True},
}
# Of verify_mode, too.
_YES: Final = ("true", "t", "1", "yes", "on", "required", "optional")
_NO: Final = ("false", "f", "0", "no", "off", "none")


@dataclass(frozen=True, slots=True)
class LedgerConnection:
    """Where the ledger's database is and how its driver is to connect.

    :param url: address and user, put together field by field, so that no character of a password has to be
        quoted right.
    :param arguments: what the connection's extra holds for psycopg (all that libpq knows) or for PyMySQL.
    """

    url: URL
    arguments: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, conn: Any) -> LedgerConnection:
        """Read and check an Airflow connection.

        :raises ValueError: for another type, or for a field of the extra that would have no effect or the
            wrong one; names it.
        :raises ModuleNotFoundError: where psycopg is not installed, which knows what libpq takes.
        """
        from sqlalchemy.engine import URL

        place = f"Ledger connection {conn.conn_id!r}"
        backend = _BACKENDS.get((conn.conn_type or "").lower())
        if backend is None:
            raise ValueError(
                f"{place} is of type {conn.conn_type!r}: expected postgres or mysql (also for "
                "MariaDB). Without ledger_conn_id the ledger is a SQLite file in AIRFLOW_HOME."
            )
        url = URL.create(
            backend,
            username=conn.login or None,
            password=conn.password or None,
            host=conn.host or None,
            port=int(conn.port) if conn.port else None,
            database=conn.schema or None,
        )
        try:
            return cls(url, _arguments(backend, _known(conn, backend)))
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None


def _known(conn: Any, backend: str) -> dict[str, Any]:
    """Return the fields of the extra that the driver takes; those without a meaning here are logged."""
    extra = read_extra(conn, '{"sslmode": "verify-full"}')
    given = {str(name): value for name, value in extra.items() if value is not None and value != ""}
    iam = given.pop("iam", False)
    if _is_on("iam", iam):
        raise ValueError(
            "extra field 'iam' is on, and the ledger does not ask AWS for passwords: a campaign outlives one. Give the ledger "
            "a user with a password, or with a certificate (sslcert and sslkey, ssl_cert and ssl_key)."
        )
    idle = sorted(given.keys() & _WITHOUT_MEANING[backend])
    if idle:
        log.info("Ledger connection %r: extra %s has no effect here.", conn.conn_id, ", ".join(idle))
    kept = {name: value for name, value in given.items() if name not in idle}
    known = _libpq() if backend == "postgresql" else {*_MYSQL, *_MYSQL_TLS_NAMES, "ssl", "ssl_mode"}
    for name in kept:
        if name in _FIELDS:
            raise ValueError(
                f"extra field {name!r} cannot be used: host, port, login, password and schema (the database) are the connection's "
                "own fields."
            )
        _refuse_unknown(name, known, "extra field")
    return kept


def _refuse_unknown(name: str, known: set[str], what: str) -> None:
    if name not in known:
        close = get_close_matches(name, sorted(known), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ". Take it out."
        raise ValueError(f"{what} {name!r} is not known{hint}")


def _libpq() -> set[str]:
    from psycopg import pq

    return {one.keyword.decode() for one in pq.Conninfo.get_defaults()}


def _arguments(backend: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    if backend == "postgresql":
        # libpq writes truth as 1 and 0.
        return {name: str(int(value) if isinstance(value, bool) else value) for name, value in extra.items()}
    given: dict[str, Any] = {}
    for name, value in extra.items():
        kind = _MYSQL.get(name)
        if kind is bool:
            given[name] = _is_on(name, value)
        elif kind is not None:
            try:
                given[name] = kind(value)
            except (TypeError, ValueError):
                raise ValueError(f"extra field {name!r} is {value!r}: expected a whole number.") from None
    if tls := _tls(extra):
        given["ssl"] = _context(tls)
    elif str(extra.get("ssl_mode", "")).upper() == "DISABLED":
        given["ssl_disabled"] = True
    return given


def _tls(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the extra holds about TLS, whichever of its names it uses."""
    found: Any = extra.get("ssl", {})
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except ValueError:
            found = None
    if not isinstance(found, dict):
        # It may hold the password of a key: the value is not shown.
        raise ValueError(
            'extra field \'ssl\' is no JSON object: expected one such as {"ca": "/etc/ssl/ca.pem"}.'
        )
    for name in found:
        _refuse_unknown(name, _MYSQL_TLS, "extra field 'ssl':")
    mode = str(extra.get("ssl_mode", "PREFERRED")).upper()
    if mode not in {*_MYSQL_TLS_MODES, "DISABLED"}:
        raise ValueError(
            f"extra field 'ssl_mode' is {mode!r}: expected DISABLED, {', '.join(_MYSQL_TLS_MODES)}."
        )
    given = {
        **found,
        **{name: extra[other] for other, name in _MYSQL_TLS_NAMES.items() if other in extra},
    }
    # MySQL's own clients, too, heed a CA that is given where TLS is only REQUIRED.
    heeds_ca = mode == "REQUIRED" and (given.get("ca") or given.get("capath"))
    tls = {**({} if heeds_ca else _MYSQL_TLS_MODES.get(mode, {})), **given}
    for name in ("check_hostname", "verify_mode"):
        if name in tls:
            tls[name] = _is_on(name, tls[name])
    return tls


def _context(tls: Mapping[str, Any]) -> ssl.SSLContext:
    """Make the TLS context: a CA that is given has to have signed; without one no host name is checked."""
    ca, folder = tls.get("ca"), tls.get("capath")
    verifies = tls.get("verify_mode", bool(ca or folder or tls.get("check_hostname")))
    try:
        context = ssl.create_default_context(cafile=ca, capath=folder)
        if tls.get("cert"):
            context.load_cert_chain(tls["cert"], tls.get("key"), tls.get("password"))
        if tls.get("cipher"):
            context.set_ciphers(tls["cipher"])
    except OSError as error:
        files = ", ".join(str(tls[name]) for name in ("ca", "capath", "cert", "key") if tls.get(name))
        raise ValueError(
            f"extra: TLS cannot be set up with {files} on this host ({error.strerror or error})."
        ) from None
    # The certificates that MySQL makes for itself lack what Python 3.13 asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = verifies and tls.get("check_hostname", True)
    context.verify_mode = ssl.CERT_REQUIRED if verifies else ssl.CERT_NONE
    return context


def _is_on(name: str, value: object) -> bool:
    text = str(value).strip().lower()
    if text not in (*_YES, *_NO):
        raise ValueError(f"extra field {name!r} is {value!r}: expected true or false.")
    return text in _YES
