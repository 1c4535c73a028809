"""The arguments of whoever sends, an operator, a notifier or a command, as Dags and templates give them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk.definitions._internal.types import ArgNotSet

from airflow_provider_caixin.rules import CHINA, FrequencyCap, SendWindow

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath


def object_path(value: Any) -> ObjectStoragePath:
    """
    Make a path of what a Dag gives: a path of this host or a URL.

    :param value: text or path.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    return value if isinstance(value, ObjectStoragePath) else ObjectStoragePath(str(value))


def check_rules(send_window: Any, frequency_cap: Any, blocked_regions: Any) -> None:
    """
    Refuse rules that cannot be right, where a Dag is read and not where it runs.

    :param send_window: what was given as such, or nothing.
    :param frequency_cap: the same.
    :param blocked_regions: the same.
    :raises ValueError: names the argument and what was expected.
    """
    if not isinstance(send_window, ArgNotSet | None):
        SendWindow.parse(send_window)
    if not isinstance(frequency_cap, ArgNotSet | None):
        FrequencyCap.parse(frequency_cap)
    if not isinstance(blocked_regions, ArgNotSet | None):
        from airflow_provider_caixin.connection import regions_of

        regions_of(blocked_regions)


def one_of(name: str, value: object, choices: Sequence[str]) -> None:
    """
    Refuse an argument that is none of its choices.

    :param name: the argument.
    :param value: its value.
    :param choices: what it may be.
    :raises ValueError: names all three.
    """
    if value not in choices:
        raise ValueError(f"{name} {value!r} is not known: expected one of {', '.join(map(repr, choices))}.")


def read_campaign_id(value: object) -> str:
    """
    Read a campaign's name, which a template may have made.

    :param value: what was given.
    :raises ValueError: when it is empty, or the text of None.
    """
    text = str(value).strip()
    if text in ("", "None"):
        raise ValueError(
            f"campaign_id {value!r} is what its template came to: expected a name; leave the argument out for one of its own."
        )
    return text


def refuse_none(name: str, value: object) -> None:
    """
    Refuse a path that is the text of None, which is what a template makes of nothing.

    :param name: the argument.
    :param value: its value.
    :raises ValueError: when it is that.
    """
    if isinstance(value, str) and value.strip() == "None":
        raise ValueError(
            f"{name} 'None' is what its template came to: expected a path, or an empty text for none."
        )


def read_flag(name: str, value: object) -> bool:
    """
    Read a truth value that a template may have made a text of.

    :param name: the argument.
    :param value: its value.
    :raises ValueError: when it is neither true nor false.
    """
    text = str(value).strip().lower()
    if text in ("true", "1", "yes"):
        return True
    if text in ("false", "0", "no", "none", ""):
        return False
    raise ValueError(f"{name} {value!r} is neither true nor false: expected True or False.")


def read_budget(value: object) -> int | None:
    """
    Read a number of messages, which a template makes a text of.

    :param value: what was given.
    :raises ValueError: when a text is no whole number.
    """
    if not isinstance(value, str):
        return value  # type: ignore[return-value]  # what is none of these is refused by the plan
    text = value.strip()
    if text in ("", "None"):
        return None
    if text.isascii() and text.isdigit():
        return int(text)
    raise ValueError(f"max_messages {value!r}: expected a whole number from 0, or None for no limit.")


def read_expiry(value: object) -> datetime | timedelta | Literal["close"] | None:
    """
    Read a moment, which a template makes a text of; without a zone it is Asia/Shanghai.

    :param value: what was given.
    :raises ValueError: when it is none of these.
    """
    if isinstance(value, str):
        text = value.strip()
        if text in ("", "None"):
            return None
        if text == "close":
            return "close"
        try:
            value = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(
                f'expires_at {value!r} is not a moment: expected one such as "2026-11-23 18:00", a timedelta or "close".'
            ) from None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=CHINA)
    if value is None or isinstance(value, timedelta):
        return value
    raise ValueError(f'expires_at {value!r} is not known: expected a moment, a timedelta, "close" or None.')
