"""The ``[caixin]`` configuration options, defined once: name, meaning and built-in default."""

from __future__ import annotations

from typing import Any, Final

SECTION: Final = "caixin"
DEFAULT_CONN_ID: Final = "caixin_default"

_EXTRA: Final = "A connection's extra of the same name goes before it"
_OF_ACCOUNT: Final = f"{_EXTRA}."
_OF_RULE: Final = f"{_EXTRA}, an operator's argument before both."

_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "ledger_conn_id": {
        "description": (
            "Connection id of the PostgreSQL or MySQL database that holds the ledger. Not set: a SQLite "
            "file, caixin_ledger.db in AIRFLOW_HOME, which serves one host."
        ),
        "type": "string",
        "example": "caixin_ledger",
    },
    "allow_embedded_ledger": {
        "description": (
            "Use the SQLite ledger even where tasks may run on several hosts. Each host then has a ledger "
            "of its own, and a message may be sent and billed once from each."
        ),
        "type": "boolean",
        "default": "False",
    },
    "allow_unsafe_ledger": {
        "description": (
            "Use a ledger whose database server forgets commits when it crashes: PostgreSQL with fsync off, MySQL or MariaDB "
            "with another innodb_flush_log_at_trx_commit than 1. Recipients of its last second get the message again, and it "
            "is billed again."
        ),
        "type": "boolean",
        "default": "False",
    },
    "segments_file": {
        "description": (
            "Path of a phone.dat file with newer number segments (city and carrier) than those shipped "
            "with the provider."
        ),
        "type": "string",
        "example": "/opt/airflow/data/phone.dat",
    },
    "messages_per_second": {
        "description": (
            "Messages a second that one account may send, over all tasks, Dags and hosts that share a "
            "ledger. The gateway allows 300."
        ),
        "type": "float",
        "example": "100",
        "default": "294",
    },
    "max_per_day": {
        "description": (
            "Messages that one account may send in one day of Asia/Shanghai. Not set, or none: no limit."
        ),
        "type": "integer",
        "example": "100000",
    },
    "send_window": {
        "description": ("Daily hours, in Asia/Shanghai, in which messages may be sent; none: at any time."),
        "type": "string",
        "example": "10:00-17:30",
        "default": "09:00-18:00",
    },
    "frequency_cap": {
        "description": (
            "Messages that one recipient may get: member_marketing (1 a day), games_health (1 a day and 3 a "
            "week), JSON with per_day, per_week and rolling, or none."
        ),
        "type": "string",
        "example": '{"per_day": 1, "per_week": 2}',
        "default": "member_marketing",
    },
    "blocked_regions": {
        "description": (
            "Cities or provinces that get nothing, by their Chinese names, separated by commas, or none."
        ),
        "type": "string",
        "example": "北京,沈阳,上海",
        "default": "北京,沈阳",
    },
}
_GOES_BEFORE: Final = {
    **dict.fromkeys(("ledger_conn_id", "messages_per_second", "max_per_day"), _OF_ACCOUNT),
    **dict.fromkeys(("send_window", "frequency_cap", "blocked_regions"), _OF_RULE),
}

OPTION_MEANINGS: Final = {name: option["description"] for name, option in _OPTIONS.items()}
"""What each option means, without what goes before it, for the connection's form."""

CONFIG_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    name: {
        "version_added": "0.1.0",
        "example": None,
        "default": None,
        **option,
        "description": f"{option['description']} {_GOES_BEFORE.get(name, '')}".rstrip(),
    }
    for name, option in _OPTIONS.items()
}


def ui_path() -> str:
    """Return the path of Airflow's UI: that of ``[api] base_url``, without a slash at its end."""
    from urllib.parse import urlsplit

    from airflow.providers.common.compat.sdk import conf

    return urlsplit(str(conf.get("api", "base_url", fallback="/"))).path.rstrip("/")


def get_option(name: str) -> str | None:
    """Read one option as text: the deployment's value, else the built-in default.

    :raises KeyError: for a name that is not in ``CONFIG_OPTIONS``.
    """
    # Airflow asks every process for the provider's metadata, which is built from this module: it stays light.
    from airflow.providers.common.compat.sdk import conf

    # The fallback is needed because not every process loads the providers' configuration defaults.
    default: str | None = CONFIG_OPTIONS[name]["default"]
    value: str | None = conf.get(SECTION, name, fallback=default)
    return value


def default_ledger() -> str | None:
    """Return the ledger's connection where a caixin connection names none; None: the embedded ledger."""
    return (get_option("ledger_conn_id") or "").strip() or None


def read_flag(name: str, value: object) -> bool:
    """Read the truth value of an argument, which a template, YAML or a variable may have made a text of.

    :raises ValueError: when it is neither true nor false.
    """
    text = str(value).strip().lower() if isinstance(value, (bool, int, str)) else ""
    if text in ("true", "1", "yes"):
        return True
    if text in ("false", "0", "no"):
        return False
    raise ValueError(f"{name} {value!r} is neither true nor false: expected True or False.")
