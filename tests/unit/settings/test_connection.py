from __future__ import annotations

import hashlib
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk._shared.secrets_masker import redact

from airflow_provider_caixin.rules import FrequencyCap, SendWindow
from airflow_provider_caixin.settings.connection import CaixinConnection

KEY = "0123456789abcdef0123456789abcdef"


def parse(extra: dict[str, Any] | None = None, **fields: Any) -> CaixinConnection:
    """Parse a connection with these fields."""
    plain = {"conn_id": "c", "password": KEY, "host": None, "schema": None, "port": None, **fields}
    return CaixinConnection.parse(SimpleNamespace(**plain, extra_dejson=extra or {}))


def test_a_password_is_enough() -> None:
    """Everything but the AppKey has a default."""
    settings = parse()
    assert (settings.host, settings.schema, settings.port) == ("v.juhe.cn", "https", None)
    assert (settings.timeout, settings.messages_per_second, settings.max_per_day) == (10.0, 294.0, None)
    assert settings.send_window == SendWindow("09:00-18:00")
    assert settings.frequency_cap == FrequencyCap(per_day=1)
    assert settings.blocked_regions == ("北京", "沈阳")
    assert (settings.ledger_conn_id, settings.path_suffix) == (None, "")


def test_extra_is_read() -> None:
    """Each field of the extra reaches its setting."""
    settings = parse(
        {
            "timeout": 3,
            "messages_per_second": 100,
            "max_per_day": 5000,
            "send_window": "10:00-17:00",
            "frequency_cap": {"per_day": 1, "per_week": 2},
            "blocked_regions": ["上海"],
            "account": "shop",
            "ledger_conn_id": "pg",
            "path_suffix": ".php",
        }
    )
    assert (settings.timeout, settings.messages_per_second, settings.max_per_day) == (3.0, 100.0, 5000)
    assert settings.send_window == SendWindow("10:00-17:00")
    assert settings.frequency_cap == FrequencyCap(per_day=1, per_week=2)
    assert settings.blocked_regions == ("上海",)
    assert (settings.account, settings.ledger_conn_id, settings.path_suffix) == ("shop", "pg", ".php")


def test_a_uri_gives_texts() -> None:
    """Numbers and lists that arrive as text, as from a connection URI, are read."""
    settings = parse(
        {
            "timeout": "2.5",
            "max_per_day": "10",
            "messages_per_second": "50.5",
            "blocked_regions": "北京， 上海、天津",
        },
        port="8088",
        schema="HTTP",
    )
    assert (settings.timeout, settings.max_per_day, settings.messages_per_second) == (2.5, 10, 50.5)
    assert settings.blocked_regions == ("北京", "上海", "天津")
    assert (settings.port, settings.schema) == (8088, "http")


@pytest.mark.parametrize("empty", [None, "", "  ", [], {}])
def test_an_empty_form_field_is_not_given(empty: object) -> None:
    """A field left empty keeps the rule."""
    names = (
        "timeout",
        "messages_per_second",
        "max_per_day",
        "send_window",
        "frequency_cap",
        "blocked_regions",
        "account",
    )
    assert parse(dict.fromkeys(names, empty), host="", schema="", port=None) == parse()


@pytest.mark.parametrize("off", ["none", "None", " NONE "])
def test_the_text_none_switches_a_rule_off(off: str) -> None:
    """The word none is the way to have no rule."""
    names = ("max_per_day", "send_window", "frequency_cap", "blocked_regions")
    settings = parse(dict.fromkeys(names, off))
    assert [getattr(settings, name) for name in names] == [None, None, None, ()]


def test_extra_goes_before_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration holds where the connection says nothing."""
    monkeypatch.setenv("AIRFLOW__CAIXIN__SEND_WINDOW", "11:00-12:00")
    monkeypatch.setenv("AIRFLOW__CAIXIN__MESSAGES_PER_SECOND", "7")
    monkeypatch.setenv("AIRFLOW__CAIXIN__BLOCKED_REGIONS", "none")
    settings = parse({"send_window": "13:00-14:00"})
    assert settings.send_window == SendWindow("13:00-14:00")
    assert settings.messages_per_second == 7
    assert settings.blocked_regions == ()
    assert settings.origins["send_window"] == "Connection 'c', extra"
    assert settings.origins["messages_per_second"] == "[caixin] configuration"


def test_an_empty_option_keeps_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration option without a value does not switch its rule off."""
    monkeypatch.setenv("AIRFLOW__CAIXIN__SEND_WINDOW", "")
    monkeypatch.setenv("AIRFLOW__CAIXIN__FREQUENCY_CAP", " ")
    assert parse().send_window == SendWindow("09:00-18:00")
    assert parse().frequency_cap == FrequencyCap(per_day=1)


def test_the_account_is_a_hash_unless_named() -> None:
    """What the ledger counts by is never the key."""
    assert parse().account == hashlib.sha256(KEY.encode()).hexdigest()[:16]


def test_the_key_is_hidden() -> None:
    """Neither repr nor a log line shows the AppKey."""
    key = "a-key-that-no-other-test-has"
    settings = parse(password=f" {key}\n")
    assert settings.app_key == key
    assert key not in repr(settings)
    assert redact(f"sent {key}") == "sent ***"


BAD = [
    ({"timeout": 0}, "timeout 0"),
    ({"timeout": 20}, "timeout 20"),
    ({"timeout": True}, "timeout True"),
    ({"timeout": "soon"}, "timeout 'soon'"),
    ({"timeout": "nan"}, "timeout 'nan'"),
    ({"messages_per_second": 301}, "messages_per_second 301"),
    ({"messages_per_second": -1}, "messages_per_second -1"),
    ({"max_per_day": 0}, "max_per_day 0"),
    ({"max_per_day": 1.5}, "max_per_day 1.5"),
    ({"send_window": "25:99-26:00"}, "25:99"),
    ({"send_window": "18:00-09:00"}, "18:00-09:00"),
    ({"frequency_cap": "often"}, "frequency_cap 'often'"),
    ({"frequency_cap": {"per_year": 1}}, "per_year"),
    ({"blocked_regions": 24}, "blocked_regions 24"),
    ({"blocked_regions": [24]}, "blocked_regions [24]"),
    ({"account": 7}, "account 7"),
    ({"ledger_conn_id": ["a"]}, "ledger_conn_id ['a']"),
    ({"path_suffix": "/php"}, "path_suffix '/php'"),
]


@pytest.mark.parametrize(("extra", "named"), BAD, ids=[named for _, named in BAD])
def test_a_bad_extra_is_named(extra: dict[str, Any], named: str) -> None:
    """The sentence has the connection, the field, the value and what was expected."""
    with pytest.raises(ValueError, match=r"expected|write") as caught:
        parse(extra)
    assert str(caught.value).startswith("Connection 'c', extra: ")
    assert named in str(caught.value)


def test_a_bad_option_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value from the configuration is blamed on the configuration."""
    monkeypatch.setenv("AIRFLOW__CAIXIN__MAX_PER_DAY", "many")
    with pytest.raises(ValueError, match=r"^\[caixin\] configuration: max_per_day 'many'"):
        parse()


@pytest.mark.parametrize(
    "fields",
    [
        {"schema": "ftp"},
        {"port": 0},
        {"port": "eighty"},
        {"port": 70000},
        {"host": "v.juhe.cn:80"},
        {"host": "a b"},
    ],
    ids=str,
)
def test_a_bad_field_is_named(fields: dict[str, Any]) -> None:
    """The connection's own fields are checked like its extra."""
    with pytest.raises(ValueError, match=f"^Connection 'c': {next(iter(fields))} ") as caught:
        parse(**fields)
    assert str(next(iter(fields.values()))) in str(caught.value)


def test_a_pasted_address_is_refused_without_its_key() -> None:
    """A whole URL in the host field may carry the key, which is not repeated."""
    with pytest.raises(ValueError, match="without scheme") as caught:
        parse(host="https://v.juhe.cn/caixinv2/send?key=abcdef")
    assert "v.juhe.cn/caixinv2/send" in str(caught.value)
    assert "abcdef" not in str(caught.value)


@pytest.mark.parametrize("host", ["::1", "127.0.0.1", "gateway.internal"])
def test_hosts_that_are_hosts(host: str) -> None:
    """Names and addresses of both kinds are taken."""
    assert parse(host=host).host == host


@pytest.mark.parametrize("password", [None, "", "  "])
def test_no_key(password: str | None) -> None:
    """Without an AppKey nothing works, and the sentence says where to put it."""
    with pytest.raises(ValueError, match=r"has no AppKey.*password"):
        parse(password=password)


def test_an_unknown_field_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A rule with a misspelled name would have no effect without a word."""
    with caplog.at_level(logging.WARNING):
        parse({"send_windows": "10:00-11:00"})
    assert "'send_windows' is not known and has no effect; did you mean 'send_window'?" in caplog.text


@pytest.mark.parametrize(("extra", "parsed"), [("{broken", {}), ("[1]", [1])])
def test_an_extra_that_is_no_object_is_refused(extra: str, parsed: object) -> None:
    """Airflow reads a broken extra as an empty one, which would lose its rules."""
    conn = SimpleNamespace(
        conn_id="c", password=KEY, host=None, schema=None, port=None, extra=extra, extra_dejson=parsed
    )
    with pytest.raises(ValueError, match="extra is not a JSON object"):
        CaixinConnection.parse(conn)


def test_a_real_connection(connect: Any) -> None:
    """Airflow's own connection, from JSON and from a URI, is read."""
    from airflow.sdk import BaseHook

    connect(host="h", port=1, schema="http", extra={"timeout": 4})
    settings = CaixinConnection.parse(BaseHook.get_connection("caixin_default"))
    assert (settings.host, settings.port, settings.schema, settings.timeout) == ("h", 1, "http", 4.0)


def test_the_uri_of_the_readme(monkeypatch: pytest.MonkeyPatch) -> None:
    """The URI form of a connection works, with the schema as its path."""
    from airflow.sdk import BaseHook

    monkeypatch.setenv("AIRFLOW_CONN_A", f"caixin://:{KEY}@v.juhe.cn")
    monkeypatch.setenv("AIRFLOW_CONN_B", f"caixin://:{KEY}@127.0.0.1:8088/http?send_window=00:00-24:00")
    a, b = (CaixinConnection.parse(BaseHook.get_connection(name)) for name in "ab")
    assert (a.host, a.schema, a.app_key) == ("v.juhe.cn", "https", KEY)
    assert (b.host, b.port, b.schema) == ("127.0.0.1", 8088, "http")
    assert b.send_window == SendWindow("00:00-24:00")
