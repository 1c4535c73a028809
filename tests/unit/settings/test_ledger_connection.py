"""The extra of the ledger's connection: passed on, told as without meaning, or refused by name."""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import Mapping
from typing import Any

import pytest
from airflow.sdk import Connection
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from airflow_provider_caixin.settings.ledger_connection import LedgerConnection


def parsed(kind: str, extra: Mapping[str, Any] | str, **fields: Any) -> LedgerConnection:
    """Read a connection with an extra."""
    text = extra if isinstance(extra, str) else json.dumps(extra)
    return LedgerConnection.parse(Connection(conn_id="led", conn_type=kind, host="h", extra=text, **fields))


def test_what_libpq_takes_is_passed_on() -> None:
    """All of it, as text; empty fields of a form are not given."""
    extra = {
        "sslmode": "verify-full",
        "sslrootcert": "/ca.pem",
        "target_session_attrs": "read-write",
        "options": "-c search_path=caixin",
        "application_name": "caixin",
        "keepalives_idle": 10,
        "sslsni": True,
        "connect_timeout": "3",
        "sslcert": "",
        "sslkey": None,
        "iam": False,
    }
    found = parsed("postgres", extra, login="u@", password="p/:@", port=5, schema="db")
    kept = {name: value for name, value in extra.items() if value not in ("", None, False)}
    assert found.arguments == {**kept, "keepalives_idle": "10", "sslsni": "1"}
    assert found.url.render_as_string(hide_password=False) == "postgresql://u%40:p%2F%3A%40@h:5/db"
    assert "ca.pem" not in repr(found)


def test_what_pymysql_takes_is_passed_on() -> None:
    """Numbers as numbers, also where a URI has made text of them."""
    extra = {"unix_socket": "/s", "connect_timeout": "3", "ssl_disabled": "true", "init_command": "SET x = 1"}
    found = parsed("mysql", extra)
    assert found.arguments == {**extra, "connect_timeout": 3, "ssl_disabled": True}


@pytest.mark.parametrize(
    ("kind", "extra", "told"),
    [
        ("postgres", {"cursor": "dictcursor", "aws_conn_id": "aws", "iam": "false"}, "aws_conn_id, cursor"),
        (
            "mysql",
            {"charset": "utf8", "client": "mysqlclient", "local_infile": True},
            "charset, client, local_infile",
        ),
    ],
)
def test_what_only_airflow_s_hooks_read(
    kind: str, extra: dict[str, Any], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told and has no effect."""
    with caplog.at_level(logging.INFO):
        assert parsed(kind, extra).arguments == {}
    assert f"Ledger connection 'led': extra {told} has no effect here." in caplog.messages


@pytest.mark.parametrize(
    ("kind", "extra", "said"),
    [
        ("postgres", {"sslmod": "require"}, "extra field 'sslmod' is not known; did you mean 'sslmode'?"),
        ("postgres", {"ssl_ca": "/ca.pem"}, "extra field 'ssl_ca' is not known"),
        ("mysql", {"sslmode": "require"}, "extra field 'sslmode' is not known; did you mean 'ssl_mode'?"),
        ("mysql", {"ssl": {"cA": "/ca.pem"}}, "extra field 'ssl': 'cA' is not known"),
        ("mysql", {"ssl": True}, "extra field 'ssl' is no JSON object: expected one such as"),
        ("mysql", {"ssl": '{"password": "secret"'}, "extra field 'ssl' is no JSON object"),
        ("mysql", {"ssl": ["secret"]}, "extra field 'ssl' is no JSON object"),
        ("mysql", {"ssl_mode": "VERIFY"}, "extra field 'ssl_mode' is 'VERIFY': expected DISABLED, PREFERRED"),
        ("mysql", {"ssl_verify_identity": "maybe"}, "'check_hostname' is 'maybe': expected true or false"),
        ("mysql", {"ssl_ca": "/no/ca.pem"}, "with /no/ca.pem on this host (No such file or directory)"),
        (
            "mysql",
            {"connect_timeout": "soon"},
            "extra field 'connect_timeout' is 'soon': expected a whole number",
        ),
        ("mysql", {"cursorclass": "x"}, "extra field 'cursorclass' is not known"),
        ("postgres", {"host": "elsewhere"}, "extra field 'host' cannot be used"),
        ("postgres", {"replication": "database"}, "extra field 'replication' cannot be used"),
        ("postgres", {"iam": True}, "extra field 'iam' is on"),
        ("mysql", {"iam": "true"}, "extra field 'iam' is on"),
        ("postgres", "[1]", "extra is not a JSON object"),
        ("sqlite", {}, "is of type 'sqlite': expected postgres or mysql"),
    ],
)
def test_what_would_have_no_effect_or_the_wrong_one(kind: str, extra: Any, said: str) -> None:
    """It is refused, and the sentence names connection and field."""
    with pytest.raises(ValueError, match="Ledger connection 'led'") as caught:
        parsed(kind, extra)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("extra", "verifies", "host"),
    [
        ({"ssl_ca": DEFAULT_CA_BUNDLE_PATH}, True, True),
        ({"ssl": {"ca": DEFAULT_CA_BUNDLE_PATH}}, True, True),
        ({"ssl": {"ca": DEFAULT_CA_BUNDLE_PATH, "check_hostname": False}}, True, False),
        ({"ssl_ca": DEFAULT_CA_BUNDLE_PATH, "ssl_verify_cert": False}, False, False),
        ({"ssl_mode": "REQUIRED"}, False, False),
        ({"ssl_mode": "REQUIRED", "ssl_ca": DEFAULT_CA_BUNDLE_PATH}, True, True),
        ({"ssl_mode": "REQUIRED", "ssl": {"capath": "/"}}, True, True),
        ({"ssl_mode": "VERIFY_CA"}, True, False),
        ({"ssl_mode": "verify_identity"}, True, True),
        ({"ssl_verify_identity": True}, True, True),
        ({"ssl": {"verify_mode": "required"}}, True, True),
    ],
)
def test_tls_of_mysql(extra: dict[str, Any], verifies: bool, host: bool) -> None:
    """A CA that is given has to have signed for the host, and what the extra loosens is loosened."""
    context = parsed("mysql", extra).arguments["ssl"]
    assert (context.verify_mode is ssl.CERT_REQUIRED, context.check_hostname) == (verifies, host)


def test_no_tls() -> None:
    """As MySQL's own clients say it."""
    assert parsed("mysql", {"ssl_mode": "DISABLED"}).arguments == {"ssl_disabled": True}
    assert parsed("mysql", {"ssl_mode": "PREFERRED"}).arguments == {}
